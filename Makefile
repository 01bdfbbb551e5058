# Everything by one word. Needs Python 3.11 or newer with venv, and make; the rest comes by pip into .venv.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin
# A file's tests share their servers and platforms, so a file is never torn apart; the slow ones come first.
SIDE_BY_SIDE := --numprocesses auto --dist loadfile --no-loadscope-reorder
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo up test check clean

help:
	@echo "make demo   start the platform, run real jobs, show the results"
	@echo "make up     run the platform until Ctrl-C"
	@echo "make test   run the tests"
	@echo "make check  run the linter, the formatter's check and the type checker"
	@echo "make clean  remove .venv and caches; data/ stays"

demo: .venv/installed
	@$(BIN)/workplatform demo

up: .venv/installed
	@$(BIN)/workplatform up

# hundreds of processes are started: without compiled modules, each would compile the platform for itself
test: export PYTHONDONTWRITEBYTECODE :=
test: .venv/installed-dev
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

check: .venv/installed-dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# the stamps are newer than pyproject.toml only after an installation that went through
.venv/installed: pyproject.toml | .venv/bin/python
	@echo "Installing the platform into .venv ..."
	@$(PIP) --editable .
	@touch $@

.venv/installed-dev: pyproject.toml | .venv/bin/python
	@echo "Installing the platform and what its tests need into .venv ..."
	@$(PIP) --editable '.[dev]'
	@touch .venv/installed $@

.venv/bin/python:
	@test -n "$(PYTHON)" || { \
		echo "No Python 3.11 or newer found: install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) has no venv: install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }
