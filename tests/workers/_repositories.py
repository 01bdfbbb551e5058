"""Real git repositories for the tests of deploys, made by git itself."""

import os
import subprocess
from pathlib import Path

_WHO = {
    "GIT_AUTHOR_NAME": "Ada Lovelace",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada Lovelace",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}


class Repository:
    """A repository with one branch, `main`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main", *options)

    def git(self, *words: str) -> str:
        """Run git in it; returns what it prints."""
        command = ["git", "-c", "protocol.file.allow=always", "-C", str(self.folder), *words]
        ended = subprocess.run(command, env={**os.environ, **_WHO}, capture_output=True, check=True)
        return ended.stdout.decode().strip()

    def commit(self, subject: str = "Change it", **files: str) -> str:
        """Write files (`__` in a name stands for a dot) and commit everything; returns the commit."""
        for name, text in files.items():
            path = self.folder / name.replace("__", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", subject)
        return self.git("rev-parse", "HEAD")
