"""Names that go to git from outside: what is a URL, a branch or a tag, and what would be an option or worse."""

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

Scheme = Literal["http", "https", "ssh", "file"]

# git's short form of ssh: user@host:path. Without a user, a Windows drive or a typing error would be a host.
_SCP: Final = re.compile(
    r"(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?P<path>/?[^-/:].*)"
)
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_HOST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\]")
# What `git check-ref-format` refuses, and what a refspec would read otherwise.
_NOT_IN_REFS: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a repository is: `address` is what git gets; `host` and `port` are what is connected to."""

    scheme: Scheme
    address: str
    host: str
    port: int


def check_ref(ref: str) -> str:
    """Return the name of a branch or tag; raises ValueError for what git does not take, or takes for an option."""
    if ref.startswith("-"):
        raise ValueError(f"{ref!r} begins with a dash, as an option does")
    parts = ref.split("/")
    if _NOT_IN_REFS.search(ref) or ref == "@" or not all(parts):
        raise ValueError(f"{ref!r} is no name that git gives to branches and tags")
    if ref.endswith(".") or any(part.startswith(".") or part.endswith(".lock") for part in parts):
        raise ValueError(f"{ref!r} is no name that git gives to branches and tags")
    return ref


def check_url(url: str) -> str:
    """Return the URL; raises ValueError for one that is not understood or must not be used."""
    remote_of(url)
    return url


def remote_of(url: str) -> Remote:
    """Read a repository's URL; a local one has its path as its address. Raises ValueError."""
    if not url or not url.isprintable() or url != url.strip():
        raise ValueError("the repository's URL is empty, or holds spaces at its ends or control characters")
    if url.startswith("-") or "--upload-pack" in url or "--receive-pack" in url:
        raise ValueError("the repository's URL looks like an option of git")
    if "::" in url.split("/", 1)[0]:
        raise ValueError("git's remote helpers (such as ext::) are not used")
    if short := _SCP.fullmatch(url):
        return Remote("ssh", url, short["host"].lower(), 22)
    if "://" not in url:
        if ":" in url.split("/", 1)[0]:
            raise ValueError("the repository's URL is not understood; ssh needs a user, as in git@host:path")
        return Remote("file", url, "", 0)
    return _from_url(url)


def _from_url(url: str) -> Remote:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError("the repository's URL cannot be read") from error
    scheme = parts.scheme.lower()
    if scheme == "file":
        return Remote("file", _local_path(parts.netloc, unquote(parts.path)), "", 0)
    if scheme not in ("http", "https", "ssh"):
        raise ValueError(f"{scheme}:// is not used; http, https, ssh and folders that jobs may read are")
    host = parts.netloc.rpartition("@")[2]
    host = host if host.endswith("]") else host.rpartition(":")[0] or host
    if not _HOST.fullmatch(host):
        raise ValueError("the repository's URL names no host, or one that is not understood")
    if parts.query or parts.fragment:
        raise ValueError("the repository's URL must not have a ? or #")
    if parts.password is not None or (parts.username is not None and scheme != "ssh"):
        raise ValueError("the repository's URL must not carry a user name or password: name a secret")
    if parts.username is not None and not _USER.fullmatch(parts.username):
        raise ValueError("the user name in the repository's URL is not understood")
    if "/-" in parts.path[:2]:
        raise ValueError("the repository's path begins with a dash, as an option does")
    default = {"http": 80, "https": 443, "ssh": 22}[scheme]
    return Remote(scheme, url, host.strip("[]").lower(), port or default)  # type: ignore[arg-type]


def _local_path(host: str, path: str) -> str:
    if host not in ("", "localhost"):
        raise ValueError("file:// must not name a host")
    if not path.isprintable():
        raise ValueError("the repository's path holds control characters")
    return path
