"""The architecture, read from the syntax trees: which way imports point, and who may touch what."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("workplatform", "workers", "api")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
EMPTY_NAMES = {"utils", "helpers", "manager", "misc", "common"}
LONGEST_FILE_LINES = 300
LONGEST_FUNCTION_LINES = 50


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def imports_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports_of(path)}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def importers(library: str) -> set[str]:
    return {name_of(path) for path in MODULES if library in roots(path)}


def test_there_is_something_to_look_at() -> None:
    assert {package for package in PACKAGES if list((ROOT / package).glob("*.py"))} == set(PACKAGES)


def test_the_core_imports_neither_the_api_nor_the_workers() -> None:
    assert not {name_of(path) for path in MODULES if "workplatform" in path.parts and roots(path) & {"api", "workers"}}


def test_the_api_and_the_workers_do_not_know_each_other() -> None:
    for package, other in (("api", "workers"), ("workers", "api")):
        assert not {
            name_of(path) for path in MODULES if name_of(path).startswith(f"{package}/") and other in roots(path)
        }


def test_celery_and_kombu_are_imported_in_one_file() -> None:
    assert importers("celery") | importers("kombu") == {"workplatform/celery_app.py"}


def test_redis_is_imported_by_the_store_and_the_launcher_of_the_embedded_server() -> None:
    allowed = {"workplatform/embedded.py"}
    assert {name for name in importers("redis") if not name.startswith("workplatform/store/")} <= allowed


def test_boto3_is_named_in_one_file_and_imported_by_none() -> None:
    assert not importers("boto3") | importers("botocore")
    naming = {name_of(path) for path in MODULES if re.search(r"import_module\(\"boto", path.read_text())}
    assert naming == {"workplatform/storage/s3.py"}


def test_flask_is_imported_by_the_api_alone() -> None:
    assert all(name.startswith("api/") for name in importers("flask"))


def test_the_browsers_driver_alone_imports_pyppeteer_and_nothing_of_the_platform() -> None:
    driver = "workers/_browser_driver/"
    assert importers("pyppeteer")
    assert all(name.startswith(driver) for name in importers("pyppeteer"))
    assert not [path for path in MODULES if name_of(path).startswith(driver) and roots(path) & set(PACKAGES)]


def test_the_core_reads_media_in_one_file_which_runs_in_a_child() -> None:
    assert {name for name in importers("av") if name.startswith("workplatform/")} == {"workplatform/hls_check/probe.py"}


def test_the_check_of_hls_folders_knows_little_of_the_platform() -> None:
    known = tuple(f"workplatform.{name}" for name in ("hls_check", "channels", "children", "errors"))
    for path in (ROOT / "workplatform" / "hls_check").glob("*.py"):
        ours = {name for name in imports_of(path) if name.startswith("workplatform.")}
        assert all(name.startswith(known) for name in ours), name_of(path)


def test_handlers_do_not_see_celery_redis_flask_settings_or_the_store() -> None:
    hidden = {"workplatform.settings", "workplatform.store", "workplatform.celery_app", "workplatform.service"}
    for path in (ROOT / "workers").rglob("*.py"):
        assert not imports_of(path) & hidden, name_of(path)
        assert not roots(path) & {"celery", "redis", "flask"}, name_of(path)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_keeps_to_the_style(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module says in one sentence what it owns"
    assert path.stem not in EMPTY_NAMES, "a noun that says nothing"
    assert len(text.splitlines()) <= LONGEST_FILE_LINES, "split it"
    for function in functions(path):
        first = function.body[1] if ast.get_docstring(function) and len(function.body) > 1 else function.body[0]
        length = (function.end_lineno or 0) - first.lineno + 1
        assert length <= LONGEST_FUNCTION_LINES, f"{function.name} has {length} lines"
        inner = [node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not inner, f"{function.name} imports inside"


def test_the_moment_is_asked_of_one_clock() -> None:
    asking = {name_of(path) for path in MODULES if re.search(r"datetime\.now\(|utcnow\(", path.read_text())}
    assert not asking, "CLOCK.now() is Redis's moment; the host's clock may be wrong"


def test_lua_lives_in_lua_files_with_a_header() -> None:
    scripts = sorted((ROOT / "workplatform" / "store" / "lua").glob("*.lua"))
    assert scripts
    for script in scripts:
        assert script.read_text().startswith("-- "), script.name
    for path in MODULES:
        assert "redis.call(" not in path.read_text(), name_of(path)
