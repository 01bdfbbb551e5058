"""The Dockerfile as data: its instructions, in order."""

import json
import re
import shlex
from dataclasses import dataclass

from tests.running import ROOT

FILE = ROOT / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    """One instruction, its continued lines joined."""

    name: str
    text: str


def instructions() -> list[Instruction]:
    """All of them, comments left out."""
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    pairs = (line.split(None, 1) for line in joined.splitlines() if line.strip())
    return [Instruction(name.upper(), text.strip()) for name, text in pairs]


def texts(name: str) -> list[str]:
    """What the instructions of a name say."""
    return [instruction.text for instruction in instructions() if instruction.name == name]


def environment() -> dict[str, str]:
    """The environment that the image sets."""
    return dict(word.split("=", 1) for text in texts("ENV") for word in shlex.split(text))


def copied() -> list[str]:
    """What is copied from the folder of the build."""
    sources: list[str] = []
    for text in texts("COPY"):
        if not text.startswith("--from="):
            sources += shlex.split(text)[:-1]
    return sources


def debian_packages() -> list[str]:
    """What apt-get installs."""
    found: list[str] = []
    for text in texts("RUN"):
        for match in re.finditer(r"apt-get install ([^&;]+)", text):
            found += [word for word in match[1].split() if not word.startswith("-")]
    return found


def health_check() -> list[str]:
    """The command that tells whether a container is well."""
    (text,) = texts("HEALTHCHECK")
    command: list[str] = json.loads(text.partition("CMD ")[2])
    return command
