"""Repositories behind HTTP: tokens reach their host and nothing else, and refusals have their codes."""

import base64
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.workers._deploys import Project
from tests.workers._repositories import Repository
from workers._git import git_for
from workers.deploy import deploy
from workplatform.children import ChildPool
from workplatform.context import Completed
from workplatform.errors import (
    BadInputError,
    JobError,
    NoSpaceError,
    SourceFailedError,
    SourceRefusedError,
    SourceUnreachableError,
)
from workplatform.registry import preloads
from workplatform.testing import inline_job

TOKEN = "t0ken-that-nobody-sees"  # noqa: S105 - of a server of this test
HEADER = "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()


class GitServer(ThreadingHTTPServer):
    """Serves the repositories of a folder by git's own CGI program; `private` asks for the token first."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _GitHandler)
        self.folder = folder
        self.private = False
        self.status: int | None = None
        self.redirect = ""
        self.seen: list[str | None] = []

    @property
    def url(self) -> str:
        """The URL of the repository `repo`."""
        return f"http://127.0.0.1:{self.server_port}/repo/.git"


class _GitHandler(BaseHTTPRequestHandler):
    server: GitServer

    def do_GET(self) -> None:
        server = self.server
        server.seen.append(self.headers.get("Authorization"))
        if server.redirect:
            self._end(302, {"Location": server.redirect + self.path})
        elif server.status:
            self._end(server.status, {})
        elif server.private and self.headers.get("Authorization") != HEADER:
            self._end(401, {"WWW-Authenticate": "Basic"})
        else:
            self._serve()

    do_POST = do_GET  # noqa: N815 - the base's name

    def _end(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        environment = {
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH": os.environ["PATH"],
        }
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        command = ["git", "http-backend"]
        ended = subprocess.run(command, env=environment, input=body, capture_output=True, check=True)
        head, _, content = ended.stdout.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(lines.pop("Status", "200").split()[0]))
        for name, value in lines.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@pytest.fixture(scope="module")
def children() -> Iterator[ChildPool]:
    """Warm children for all tests of the module."""
    pool = ChildPool(preload=preloads(deploy.__job_type__))  # type: ignore[attr-defined]
    yield pool
    pool.close()


@pytest.fixture
def project(tmp_path: Path, children: ChildPool) -> Project:
    """A project whose repository has one commit."""
    Repository(tmp_path / "repo").commit("Begin", page="one")
    return Project(tmp_path, children)


@pytest.fixture
def server(project: Project) -> Iterator[GitServer]:
    """A running server of the project's repository."""
    with GitServer(project.root) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def written(folder: Path) -> Iterator[bytes]:
    """Yield the content of every file below a folder."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path.read_bytes()


def test_a_token_opens_a_private_repository_and_is_written_nowhere(project: Project, server: GitServer) -> None:
    server.private = True
    project.secrets["ci@127.0.0.1"] = TOKEN
    result = project.deploy(
        repoUrl=server.url,
        secret="ci",  # noqa: S106 - its name
        buildCommand="env; cat .git/config; cat /proc/self/cmdline",
    )
    assert result["subject"] == "Begin"
    assert set(server.seen) == {HEADER}, "sent at once, so that no prompt is needed"
    word = HEADER.partition(" ")[2]
    for text in (str(result), "\n".join(project.lines), *map(repr, written(project.root))):
        assert TOKEN not in text and word not in text


def test_an_ssh_key_reaches_ssh_and_is_never_on_disk(
    project: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path_factory.mktemp("programs")
    program = outside / "ssh"
    lines = [
        "#!/bin/sh",
        f'for word; do case "$word" in IdentityFile=*) eval cat "${{word#*=}}" > {outside}/key;; esac; done',
        f"printf '%s\\n' \"$@\" > {outside}/words; grep -rl hidden {project.root} > {outside}/found",
        'exec sh -c "$word"',
    ]
    program.write_text("\n".join(lines))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{outside}:{os.environ['PATH']}")
    project.secrets["ci@127.0.0.1"] = "-----BEGIN KEY\nhidden"
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"ssh://git@127.0.0.1:{server.getsockname()[1]}{project.root}/repo"
        assert project.deploy(repoUrl=url, secret="ci")["subject"] == "Begin"  # noqa: S106 - its name
    assert (outside / "key").read_text() == "-----BEGIN KEY\nhidden\n"
    assert (outside / "found").read_text() == ""
    assert {"StrictHostKeyChecking=yes", "BatchMode=yes"} < set((outside / "words").read_text().splitlines())


def test_without_the_token_or_with_a_wrong_one_it_is_refused(project: Project, server: GitServer) -> None:
    server.private = True
    project.secrets["wrong@127.0.0.1"] = "guessed"
    for secret in (None, "wrong"):
        with pytest.raises(SourceRefusedError) as raised:
            project.deploy(repoUrl=server.url, secret=secret)
        assert "guessed" not in raised.value.message
        assert f"http://127.0.0.1:{server.server_port} asks for a token" in raised.value.message


def test_a_user_without_a_token_is_no_secret(project: Project, server: GitServer) -> None:
    project.secrets["ci@127.0.0.1"] = "ada:"
    with pytest.raises(BadInputError, match="the secret ci names a user, but no token"):
        project.deploy(repoUrl=server.url, secret="ci")  # noqa: S106 - its name
    assert server.seen == []


def test_a_secret_is_for_its_host_alone(project: Project, server: GitServer) -> None:
    project.secrets["ci@example.com"] = TOKEN
    with pytest.raises(BadInputError, match=r"no secret 'ci@127\.0\.0\.1'"):
        project.deploy(repoUrl=server.url, secret="ci")  # noqa: S106
    assert server.seen == []


def test_a_redirect_does_not_take_the_token_along(project: Project, server: GitServer) -> None:
    project.secrets["ci@127.0.0.1"] = TOKEN
    with GitServer(project.root) as thief:
        server.redirect = f"http://localhost:{thief.server_port}"
        with pytest.raises(SourceRefusedError, match=r"it redirects \(302\), .* give the URL that it leads to"):
            project.deploy(repoUrl=server.url, secret="ci")  # noqa: S106
        assert thief.seen == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, SourceRefusedError), (403, SourceRefusedError), (429, SourceFailedError), (503, SourceFailedError)],
)
def test_an_answer_that_is_no_repository_has_its_code(
    project: Project, server: GitServer, status: int, kind: type[JobError]
) -> None:
    server.status = status
    with pytest.raises(kind, match="cannot be fetched"):
        project.deploy(repoUrl=server.url)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (["git@example.com: Permission denied (publickey)."], "git@example.com: Permission denied (publickey)"),
        (["Host key verification failed."], "Host key verification failed"),
        (
            ["@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @", "Host key verification failed."],
            "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!",
        ),
    ],
)
def test_why_ssh_refused_is_told_and_not_only_that_it_hung_up(said: list[str], told: str, tmp_path: Path) -> None:
    hung_up = (
        "fatal: Could not read from remote repository.",
        "",
        "Please make sure you have the correct access rights",
    )
    with inline_job(tmp_path) as run:
        error = git_for(run.job, safe=[]).failure(Completed(128, (*said, *hung_up)))
    assert isinstance(error, SourceRefusedError)
    assert error.message == f"the repository cannot be fetched: {told}"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("server certificate verification failed. CAfile: /etc/ca.crt CRLfile: none", "verification failed. If its"),
        ("SSL certificate problem: self-signed certificate", "problem: self-signed certificate. If its"),
    ],
)
def test_where_to_name_an_authority_of_ones_own_is_told(said: str, told: str, tmp_path: Path) -> None:
    with inline_job(tmp_path) as run:
        refused = Completed(128, (f"fatal: unable to access 'https://git.test/repo/': {said}",))
        error = git_for(run.job, safe=[]).failure(refused)
    assert error.code == "source_unreachable"
    assert told in error.message
    assert error.message.endswith("authority is your own, let SSL_CERT_FILE of the worker name that authority's file")


def test_what_git_counts_is_no_reason(tmp_path: Path) -> None:
    counts = ("remote: Enumerating objects: 20, done.", "remote: Total 20 (delta 0)")
    lines = (*counts, "remote: Compressing objects:  79% (15/20)", "fatal: write error: No space left on device")
    with inline_job(tmp_path) as run:
        error = git_for(run.job, safe=[]).failure(Completed(128, lines))
    assert isinstance(error, NoSpaceError)
    assert error.message.endswith("write error: No space left on device")


def test_a_server_that_is_not_there_is_unreachable(project: Project) -> None:
    with pytest.raises(SourceUnreachableError):
        project.deploy(repoUrl="http://127.0.0.1:9/repo.git")
    with pytest.raises(SourceUnreachableError):
        project.deploy(repoUrl="ssh://git@127.0.0.1:9/repo.git")
