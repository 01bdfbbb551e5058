"""Runs git: nothing of this machine's or a repository's configuration can make it do more than it was asked to."""

import base64
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workplatform.context import Completed, JobContext
from workplatform.errors import (
    BadInputError,
    CommandFailedError,
    JobError,
    NoSpaceError,
    SourceFailedError,
    SourceRefusedError,
    SourceUnreachableError,
    UnexpectedContentError,
)

_NOTHING: Final = "/dev/null"
_SETTINGS: Final = (
    ("advice.detachedHead", "false"),
    ("commit.gpgSign", "false"),
    ("core.alternateRefsCommand", ":"),
    ("core.askPass", ""),
    ("core.attributesFile", _NOTHING),
    ("core.autocrlf", "false"),
    ("core.excludesFile", _NOTHING),
    ("core.fsmonitor", "false"),
    ("core.hooksPath", _NOTHING),
    ("core.pager", "cat"),
    ("credential.helper", ""),
    ("fetch.fsckObjects", "true"),
    # Old repositories have these, and they do no harm.
    ("fetch.fsck.badTimezone", "ignore"),
    ("fetch.fsck.missingSpaceBeforeDate", "ignore"),
    ("fetch.fsck.zeroPaddedFilemode", "ignore"),
    ("fetch.recurseSubmodules", "false"),
    ("gc.autoDetach", "false"),
    # A server that packs for minutes sends no more than a sign of life now and then.
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "60"),
    ("http.postBuffer", "52428800"),
    ("http.sslVerify", "true"),
    ("init.defaultBranch", "main"),
    ("maintenance.autoDetach", "false"),
    ("protocol.version", "2"),
    ("submodule.recurse", "false"),
    ("transfer.fsckObjects", "true"),
    ("user.email", "deploy@localhost"),
    ("user.name", "Work Platform"),
)
_SIGN: Final = re.compile(r"^(fatal|error|remote|warning|ssh): ?", re.IGNORECASE)
# What ssh says comes before the sentence of git's that the remote end hung up.
_SAID_BY_SSH: Final = re.compile(r"Permission denied \(|Host key verification failed|REMOTE HOST IDENTIFICATION")
_ASKED_FOR: Final = re.compile(r"could not read (?:Username|Password) for '(.*)': terminal prompts disabled")
# What cannot be known from git's words for them: where a private authority is named, and where a redirect leads.
_MENDS: Final = (
    (
        re.compile(r"(server certificate verification failed|SSL certificate problem: [^.]*).*"),
        r"\1. If its authority is your own, let SSL_CERT_FILE of the worker name that authority's file",
    ),
    (
        re.compile(r"The requested URL returned error: (30[12378])"),
        r"it redirects (\1), and no redirect is followed with a secret: give the URL that it leads to",
    ),
)
_COUNTING: Final = re.compile(r"\d+% \(\d+/\d+\)|objects: \d+, done|^remote: Total \d")
_FULL: Final = r"No space left on device|Disk quota exceeded|Out of diskspace"
_FAILURES: Final[tuple[tuple[str, type[JobError]], ...]] = (
    (_FULL, NoSpaceError),
    (r"fsck error|bad tree|hash mismatch|fsck_objects|malformed|mismatched algorithms", UnexpectedContentError),
    (r"couldn't find remote ref|not our ref|no such ref|Couldn't find", SourceRefusedError),
    (r"Authentication failed|could not read (User|Pass)|Permission denied|Host key verification", SourceRefusedError),
    (r"error: (408|429|5\d\d)", SourceFailedError),
    (r"error: [34]\d\d|not found|does not appear to be a git repository|not allowed|redirect", SourceRefusedError),
    (
        r"resolve host|Connection refused|timed out|reset|early EOF|hung up|unable to access|proxy",
        SourceUnreachableError,
    ),
)


@dataclass(frozen=True, slots=True)
class Git:
    """git with an environment of ours.

    `settings` hold against those of any repository; `hidden` are words that must not appear in what it tells.
    """

    job: JobContext
    env: Mapping[str, str]
    hidden: tuple[str, ...] = ()

    def run(self, *words: str | Path, on_line: Callable[[str], None] | None = None) -> list[str]:
        """Run a command that has to succeed; returns the lines of its standard output.

        Raises CommandFailedError, or NoSpaceError where that is why.
        """
        lines: list[str] = []
        ended = self.attempt(*words, on_stdout=lines.append, on_line=on_line)
        if ended.returncode != 0:
            is_full = re.search(_FULL, "\n".join(ended.stderr_tail))
            raise (NoSpaceError if is_full else CommandFailedError)(f"git {words[0]} failed: {self.reason(ended)}")
        return lines

    def attempt(
        self,
        *words: str | Path,
        on_stdout: Callable[[str], None] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        """Run a command; `on_line` gets what it says on its standard error, without what is hidden."""

        def tell(line: str) -> None:
            if on_line:
                on_line(self.shown(line))

        return self.job.run(["git", *words], env=self.env, on_stdout=on_stdout, on_stderr=tell)

    def within(self, git_dir: Path, work_tree: Path | None = None) -> "Git":
        """Return the same for one repository, wherever that says that its files are."""
        where = {"GIT_DIR": str(git_dir)} | ({"GIT_WORK_TREE": str(work_tree)} if work_tree else {})
        return Git(self.job, {**self.env, **where}, self.hidden)

    def calmly(self, job: JobContext) -> "Git":
        """Return the same in another context of the job."""
        return Git(job, self.env, self.hidden)

    def shown(self, text: str) -> str:
        """Return a text without what must not be seen."""
        for word in self.hidden:
            text = text.replace(word, "***")
        return text

    def reason(self, ended: Completed) -> str:
        """Return why a command failed, as git says it."""
        lines = [line for line in ended.stderr_tail if not _COUNTING.search(line)] or list(ended.stderr_tail)
        signed = [line for line in lines if _SIGN.match(line)]
        telling = [line for line in lines if _SAID_BY_SSH.search(line)] or signed or lines
        texts = [self.shown(_plain(line)) for line in telling]
        return texts[0] if texts else f"it ended with code {ended.returncode}"

    def failure(self, ended: Completed) -> JobError:
        """Return the error for a failed fetch."""
        told = "\n".join(ended.stderr_tail)
        for pattern, kind in _FAILURES:
            if re.search(pattern, told, re.IGNORECASE):
                return kind(f"the repository cannot be fetched: {self.reason(ended)}")
        return SourceFailedError(f"the repository cannot be fetched: {self.reason(ended)}")


def git_for(job: JobContext, *, safe: Sequence[Path]) -> Git:
    """Return git for one attempt; `safe` are the folders whose owner may be somebody else."""
    folders = [("safe.directory", str(path)) for path in safe]
    config = job.workdir / "gitconfig"
    config.write_text("".join(_config_line(name, value) for name, value in (*_SETTINGS, *folders)), encoding="utf-8")
    env = {
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": str(job.workdir),
        "LC_ALL": "C",
        "XDG_CONFIG_HOME": str(job.workdir),
    }
    return Git(job, env | command_settings((*_SETTINGS, *folders)))


def without_filters(git: Git) -> Git:
    """Return the same for a repository that somebody else configures, with the filters off that it defines.

    Whatever a checkout or a look at what changed would start is one of them. Raises BadInputError.
    """
    keys: list[str] = []
    git.attempt("config", "--includes", "--name-only", "--get-regexp", r"^filter\.", on_stdout=keys.append)
    filters = sorted({key.rpartition(".")[0] for key in keys})
    if any("\ufffd" in name for name in filters):
        raise BadInputError("the working copy's .git/config defines a filter whose name is no text")
    # What is set to nothing is not started, and without `required` that is no error.
    off = [(f"{name}.{key}", "") for name in filters for key in ("clean", "smudge", "process")]
    settings = command_settings([*off, *((f"{name}.required", "false") for name in filters)], after=git.env)
    return Git(git.job, {**git.env, **settings}, git.hidden)


def command_settings(pairs: Sequence[tuple[str, str]], *, after: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return variables that set what no configuration file can change, adding to those that are set in `after`."""
    begin = int((after or {}).get("GIT_CONFIG_COUNT", "0"))
    env = {"GIT_CONFIG_COUNT": str(begin + len(pairs))}
    for number, (name, value) in enumerate(pairs, start=begin):
        env |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return env


def with_token(git: Git, origin: str, secret: str) -> Git:
    """Return git that shows a token (`TOKEN` or `USER:TOKEN`) to one origin, in a variable and nowhere else."""
    user, _, token = secret.rpartition(":")
    word = base64.b64encode(f"{user or 'x-access-token'}:{token}".encode()).decode()
    header = (f"http.{origin}/.extraHeader", f"Authorization: Basic {word}")
    return Git(git.job, {**git.env, **command_settings([header], after=git.env)}, (*git.hidden, secret, token, word))


def with_key(git: Git, *, key: Path, known_hosts: Path | None) -> Git:
    """Return git whose ssh uses one key, and knows each host that it talks to."""
    return Git(git.job, {**git.env, "GIT_SSH_COMMAND": ssh_command(key, known_hosts)}, git.hidden)


def ssh_command(key: Path | None, known_hosts: Path | None) -> str:
    """Return the ssh to use: it asks nothing, reads no configuration, and refuses hosts that it does not know."""
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=15", "ForwardAgent=no"]
    options += ["ClearAllForwardings=yes", "PermitLocalCommand=no", "UpdateHostKeys=no"]
    options += ["ServerAliveInterval=15", "ServerAliveCountMax=4"]
    if key is not None:
        options += ["IdentitiesOnly=yes", f"IdentityFile={_for_ssh(key)}", "IdentityAgent=none"]
    if known_hosts is not None:
        options.append(f"UserKnownHostsFile={_for_ssh(known_hosts)}")
    return shlex.join(["ssh", "-F", _NOTHING, *(word for option in options for word in ("-o", option))])


def drop_stale_locks(git_dir: Path) -> None:
    """Remove the lock files of a git that was killed; only whoever keeps everybody else out may call this."""
    for lock in (*git_dir.glob("*.lock"), *(git_dir / "refs").rglob("*.lock"), *git_dir.glob("objects/info/*.lock")):
        with suppress(FileNotFoundError):
            lock.unlink()


def own_authorities() -> dict[str, str]:
    """Return the variable that has git trust the authorities that the operator named for the platform."""
    file = os.environ.get("SSL_CERT_FILE")
    return {"GIT_SSL_CAINFO": file} if file else {}


def _plain(line: str) -> str:
    """Return a line of git's or ssh's without its sign and frame; for a prompt that nobody answers, what it means.

    Where git does not say what to do about it, that is added.
    """
    text = _SIGN.sub("", line).strip(" @").rstrip(".")
    for said, mend in _MENDS:
        text = said.sub(mend, text)
    return _ASKED_FOR.sub(r"\1 asks for a token, or refused the one that it was given", text)


def _for_ssh(path: Path) -> str:
    """Return a path as ssh's settings have it: blanks would end it, and percent signs begin a variable."""
    return f'"{str(path).replace("%", "%%")}"'


def _config_line(name: str, value: str) -> str:
    """Return a setting in the form of git's configuration files."""
    section, _, key = name.rpartition(".")
    first, _, rest = section.partition(".")
    head = f'[{first} "{rest}"]' if rest else f"[{first}]"
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{head}\n\t{key} = "{quoted}"\n'
