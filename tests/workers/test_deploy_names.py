"""What a deploy refuses before anything runs: options, helpers and paths in the guise of names."""

from typing import Any

import pytest
from pydantic import ValidationError

from workers._deploy_models import DeployPayload
from workers._git_names import remote_of

RIGHT: dict[str, Any] = {
    "projectId": "p",
    "repoUrl": "https://example.com/r.git",
    "branch": "main",
    "directory": "site",
}


def refusal(**more: Any) -> str:
    payload = {name: value for name, value in {**RIGHT, **more}.items() if value is not None}
    with pytest.raises(ValidationError) as raised:
        DeployPayload.model_validate(payload)
    return str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=x",
        "ext::sh -c x",
        "transport::address",
        "git://example.com/r.git",
        "ftp://example.com/r.git",
        "ssh://-oProxyCommand=x/r",
        "ssh://example.com/-x",
        "-x@example.com:r",
        "git@-oProxyCommand=x:r",
        "git@example.com:-x",
        "git@example.com:/-x",
        "git@example.com://x",
        "https://user:word@example.com/r.git",
        "https://token@example.com/r.git",
        "https://example.com/r.git?x=1",
        "https:///r.git",
        "https://exa mple.com/r.git",
        "https://example.com:x/r.git",
        "https://example.com/\nr.git",
        "file://elsewhere/r.git",
        " https://example.com/r.git",
        "",
    ],
)
def test_urls_that_are_options_helpers_or_carry_secrets_are_refused(url: str) -> None:
    assert "repoUrl" in refusal(repoUrl=url)


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port"),
    [
        ("https://github.com/user/repo.git", "https", "github.com", 443),
        ("http://[::1]:8080/repo", "http", "::1", 8080),
        ("ssh://git@Example.com:2222/~/repo.git", "ssh", "example.com", 2222),
        ("git@github.com:user/repo.git", "ssh", "github.com", 22),
        ("git@example.com:/srv/repo.git", "ssh", "example.com", 22),
        ("repos/one", "file", "", 0),
        ("file:///srv/repos/one.git", "file", "", 0),
    ],
)
def test_urls_are_read_as_git_reads_them(url: str, scheme: str, host: str, port: int) -> None:
    remote = remote_of(url)
    assert (remote.scheme, remote.host, remote.port) == (scheme, host, port)


@pytest.mark.parametrize(
    "name",
    [
        "--all",
        "-f",
        "a..b",
        "a b",
        "a:b",
        "a~1",
        "a^",
        "a*",
        "@",
        "@{1}",
        "a/",
        "/a",
        "a//b",
        ".a",
        "a.lock",
        "a\n",
        "",
    ],
)
def test_names_that_git_gives_to_nothing_are_refused(name: str) -> None:
    assert "branch" in refusal(branch=name)
    assert "tag" in refusal(branch=None, tag=name)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"commit": "abc1234"}, "exactly one"),
        ({"branch": None}, "exactly one"),
        ({"branch": None, "commit": "--help"}, "commit"),
        ({"branch": None, "commit": "HEAD"}, "commit"),
        ({"repoUrl": None}, "repoUrl is required"),
        ({"projectId": "../p"}, "projectId"),
        ({"directory": "--help"}, "dash"),
        ({"directory": "a\nb"}, "control"),
        ({"env": {"A=B": "x"}}, "no name of a variable"),
        ({"env": {"LD_PRELOAD": "x"}}, "must not be set"),
        ({"env": {"A": "\0"}}, "zero byte"),
        ({"env": {"A": "\N{HEAVY CHECK MARK}" * 32_000}}, "A is too long"),
        ({"env": {f"A{number}": "x" * 32_000 for number in range(40)}}, "more than 1048576 bytes together"),
        ({"buildCommand": "a\0b"}, "zero byte"),
        ({"secret": "../key"}, "secret"),
        ({"rollback": True}, "strategy releases"),
        ({"rollback": True, "strategy": "releases"}, "takes no"),
        ({"healthCheck": {"url": "file:///etc/passwd"}}, "http"),
        ({"bogus": 1}, "bogus"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(more: dict[str, Any], told: str) -> None:
    assert told in refusal(**more)
