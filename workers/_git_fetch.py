"""Fetches exactly the wanted commit into a project's store of commits."""

import os
import re
import sys
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Final

from workers._browser_proxy import GuardedProxy
from workers._deploy_models import DeployPayload
from workers._deploy_place import remove
from workers._git import (
    Git,
    command_settings,
    drop_stale_locks,
    own_authorities,
    ssh_command,
    with_key,
    with_token,
)
from workers._git_folders import repository_in
from workers._git_names import Remote, remote_of
from workplatform.context import JobContext
from workplatform.errors import (
    BadInputError,
    CommandFailedError,
    SourceFailedError,
    SourceRefusedError,
    SourceUnreachableError,
)

WANTED: Final = "refs/deploy/wanted"
_FULL_NAME: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHARE: Final = re.compile(r"(Receiving objects|Resolving deltas): +(\d+)%")
_KEY_MARK: Final = "-----BEGIN"
_KNOWN_HOSTS: Final = "known_hosts"
_REACHED_WITHIN: Final = timedelta(seconds=15)


def fetch(job: JobContext, git: Git, repository: Path, payload: DeployPayload) -> str:
    """Bring the wanted commit into the bare repository; returns its full name.

    Raises what the error list calls source, BadInputError for a secret that does not fit, UrlForbiddenError.
    """
    remote = remote_of(payload.repo_url or "")
    _make(git, repository)
    inside = git.within(repository)
    with ExitStack() as stack:
        if remote.scheme == "file":
            address = str(repository_in(job, job.place(remote.address)))
            ready = Git(job, {**inside.env, "GIT_ALLOW_PROTOCOL": "file"}, inside.hidden)
            _fetch(job, ready, address, payload)
        elif remote.scheme == "ssh":
            _require_reachable(job, remote)
            _fetch(job, _for_ssh(job, inside, remote, payload, stack), remote.address, payload)
        else:
            proxy = stack.enter_context(GuardedProxy(job.connect))
            try:
                _fetch(job, _for_http(job, inside, remote, payload, proxy), remote.address, payload)
            except (SourceUnreachableError, SourceRefusedError, SourceFailedError):
                for refusal in proxy.refusals.values():
                    raise refusal from None
                for host, reason in proxy.failures.items():
                    raise SourceUnreachableError(f"{host} cannot be reached: {reason}") from None
                raise
    return _resolved(inside, payload)


def _make(git: Git, repository: Path) -> None:
    """Make the repository, or take it over with a configuration that is ours, whoever wrote into it meanwhile."""
    if not ((repository / "HEAD").is_file() and (repository / "objects").is_dir()):
        git.run("init", "--bare", "--quiet", "--template=", repository)
    drop_stale_locks(repository)
    # A fetch that was killed leaves what it had received, which may be as large as the repository.
    for left in list((repository / "objects").rglob("tmp_*")):
        remove(left)
    config = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tfilemode = true\n"
    (repository / "config").write_text(config, encoding="utf-8")
    for name in ("info/attributes", "info/grafts", "objects/info/alternates", "config.worktree"):
        (repository / name).unlink(missing_ok=True)


def _fetch(job: JobContext, git: Git, address: str, payload: DeployPayload) -> None:
    """Fetch what the payload names; a commit that the server does not give by name is looked for in everything."""
    options = ("--no-tags", "--force", "--prune", "--progress", "--no-write-fetch-head", "--update-shallow")
    begin = ("fetch", *options, "--", address)
    everything = ("+refs/heads/*:refs/deploy/heads/*", "+refs/tags/*:refs/deploy/tags/*")
    if payload.branch is not None:
        refspecs: tuple[str, ...] = (f"+refs/heads/{payload.branch}:{WANTED}",)
    elif payload.tag is not None:
        refspecs = (f"+refs/tags/{payload.tag}:{WANTED}",)
    elif _FULL_NAME.fullmatch(commit := (payload.commit or "").lower()):
        if git.attempt(*begin, f"+{commit}:{WANTED}", on_line=lambda line: _tell(job, line)).returncode == 0:
            return
        refspecs = everything
    else:
        refspecs = everything
    ended = git.attempt(*begin, *refspecs, on_line=lambda line: _tell(job, line))
    if ended.returncode != 0:
        raise git.failure(ended)


def _resolved(git: Git, payload: DeployPayload) -> str:
    name = payload.commit.lower() if payload.commit else WANTED
    try:
        (commit,) = git.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except (CommandFailedError, ValueError) as error:
        asked = payload.commit or payload.tag or payload.branch
        raise SourceRefusedError(f"the repository has no commit {asked}, or several that begin so") from error
    if payload.branch is None:  # a branch is a commit already
        git.run("update-ref", WANTED, commit)
    return commit


def _for_http(job: JobContext, git: Git, remote: Remote, payload: DeployPayload, proxy: GuardedProxy) -> Git:
    """Return git that goes out through the guard, and shows the secret to the repository's own origin alone."""
    # Redirects stay off with a secret: the header would go along to wherever they lead.
    follow = "false" if payload.secret else "initial"
    pairs = [("http.proxy", proxy.url), ("http.followRedirects", follow)]
    env = {**git.env, **own_authorities(), "GIT_ALLOW_PROTOCOL": "http:https"}
    ready = Git(job, env | command_settings(pairs, after=env), git.hidden)
    if not payload.secret:
        return ready
    if remote.scheme == "http" and remote.host not in ("localhost", "127.0.0.1", "::1"):
        raise BadInputError("a secret is sent over https only; the repository's URL is http")
    secret = _secret(job, payload.secret, remote)
    if _KEY_MARK in secret:
        raise BadInputError(f"the secret {payload.secret} is an SSH key; the repository's URL is {remote.scheme}")
    if secret.endswith(":"):
        raise BadInputError(f"the secret {payload.secret} names a user, but no token")
    origin = "/".join(remote.address.split("/", 3)[:3])
    return with_token(ready, origin, secret)


def _for_ssh(job: JobContext, git: Git, remote: Remote, payload: DeployPayload, stack: ExitStack) -> Git:
    """Return git whose ssh has the key, in a file that is gone before anything of the repository runs.

    The worker may be killed before, and a build of the next attempt may look for what it left.
    """
    ready = Git(job, {**git.env, "GIT_ALLOW_PROTOCOL": "ssh"}, git.hidden)
    hosts = _written(job, _KNOWN_HOSTS, job.secret(_KNOWN_HOSTS), stack) if _has(job, _KNOWN_HOSTS) else None
    if not payload.secret:
        return Git(job, {**ready.env, "GIT_SSH_COMMAND": ssh_command(None, hosts)}, ready.hidden)
    secret = _secret(job, payload.secret, remote)
    if _KEY_MARK not in secret:
        raise BadInputError(f"the secret {payload.secret} is no SSH key; the repository's URL is ssh")
    return with_key(ready, key=_in_memory(job, secret, stack), known_hosts=hosts)


def _secret(job: JobContext, name: str, remote: Remote) -> str:
    """Return the secret for a host: it is kept as NAME@HOST, so that nobody can have it sent to another one."""
    return job.secret(f"{name}@{remote.host}")


def _has(job: JobContext, name: str) -> bool:
    try:
        job.secret(name)
    except BadInputError:
        return False
    return True


def _in_memory(job: JobContext, key: str, stack: ExitStack) -> Path:
    """Return a file that is gone with this process, even if that is killed; a real one where there are none such."""
    if sys.platform != "linux":
        return _written(job, "key", key, stack)
    fd = os.memfd_create("key", os.MFD_CLOEXEC)
    stack.callback(os.close, fd)
    os.fchmod(fd, 0o600)
    os.pwrite(fd, f"{key}\n".encode(), 0)
    return Path(f"/proc/{os.getpid()}/fd/{fd}")


def _written(job: JobContext, name: str, text: str, stack: ExitStack) -> Path:
    path = job.workdir / name
    path.touch(mode=0o600)
    path.write_text(f"{text}\n", encoding="utf-8")
    stack.callback(path.unlink, missing_ok=True)
    return path


def _require_reachable(job: JobContext, remote: Remote) -> None:
    """Refuse a host that must not be called; ssh connects by itself afterwards."""
    try:
        job.connect(remote.host, remote.port, within=_REACHED_WITHIN).close()
    except (OSError, UnicodeError) as error:
        raise SourceUnreachableError(f"{remote.host} cannot be reached on port {remote.port}") from error


def _tell(job: JobContext, line: str) -> None:
    """Turn git's progress into the job's; what else it says goes to the log."""
    if share := _SHARE.search(line):
        begin = 5 if share[1].startswith("Receiving") else 20
        job.progress(begin + 0.1 * int(share[2]), line.strip())
    elif "%" not in line:
        job.log(line)
