"""The compose file as Compose reads it: variables put in, one value for each service."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.running import ROOT

FILE = ROOT / "docker-compose.yml"
_NAME = re.compile(r"\$(?:(?P<escaped>\$)|(?P<plain>\w+)|\{(?P<name>\w+)(?P<rule>:?[-?+])?)")


class MissingVariableError(Exception):
    """The file asks for a variable that is not set."""


@dataclass(frozen=True)
class Service:
    """A service: what of it makes a difference to its process."""

    name: str
    document: dict[str, Any]

    @property
    def command(self) -> list[str]:
        """The words after the image's entry point."""
        return [str(word) for word in self.document["command"]]

    @property
    def volumes(self) -> dict[str, str]:
        """The path of each named volume."""
        return dict(volume.split(":", 1) for volume in self.document.get("volumes", []))

    @property
    def is_ours(self) -> bool:
        """Whether it runs the platform's own image."""
        return "build" in self.document

    @property
    def published(self) -> list[str]:
        """The ports that the host shows, as HOST:PORT:PORT."""
        return list(self.document.get("ports", []))

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The environment; what has no value in the file is handed through."""
        given = self.document.get("environment", {})
        return {name: str(environ.get(name) if value is None else value) for name, value in given.items()
                if value is not None or name in environ}  # fmt: skip


@dataclass(frozen=True)
class Project:
    """The whole file."""

    document: dict[str, Any]

    @property
    def services(self) -> dict[str, Service]:
        """The services by name."""
        return {name: Service(name, document) for name, document in self.document["services"].items()}


def raw() -> dict[str, Any]:
    """The file, its variables left as they are, merge keys resolved."""
    document: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return document


def project(environ: Mapping[str, str]) -> Project:
    """The file with its variables put in; raises MissingVariableError for one that it insists on."""
    return Project(_filled(raw(), environ))


def _filled(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner, environ) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, environ) for inner in value]
    return filled(value, environ) if isinstance(value, str) else value


def filled(text: str, environ: Mapping[str, str]) -> str:
    """Put variables into a text as the Compose specification says (12-interpolation)."""
    out, at = "", 0
    while match := _NAME.search(text, at):
        out += text[at : match.start()]
        at = match.end()
        if match["escaped"]:
            out += "$"
        elif match["plain"]:
            out += environ.get(match["plain"], "")
        else:
            end = _closing(text, at)
            out += _chosen(match["name"], match["rule"] or "", text[at:end], environ)
            at = end + 1
    return out + text[at:]


def _closing(text: str, at: int) -> int:
    depth = 1
    for place in range(at, len(text)):
        if text.startswith("${", place):
            depth += 1
        elif text[place] == "}":
            depth -= 1
            if depth == 0:
                return place
    raise ValueError(f"no closing brace in {text}")


def _chosen(name: str, rule: str, other: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    is_there = bool(value) if rule.startswith(":") else value is not None
    if rule.endswith("+"):
        return filled(other, environ) if is_there else ""
    if is_there or not rule:
        return value or ""
    if rule.endswith("?"):
        raise MissingVariableError(f"{name}: {other}")
    return filled(other, environ)


def secret_files(service: Service, whole: Project) -> dict[str, Path]:
    """The files of a service's secrets, by the name under /run/secrets."""
    return {name: Path(whole.document["secrets"][name]["file"]) for name in service.document.get("secrets", [])}
