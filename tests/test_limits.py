"""Limits and API keys as settings: what is read, and how mistakes are told."""

from pathlib import Path

import pytest

from workplatform.apikeys import name_of
from workplatform.bootstrap import build
from workplatform.cli.config import shown
from workplatform.errors import SettingsError
from workplatform.limits import Limit, read_limit
from workplatform.settings import Settings, load

LONG = "x" * 16


def read(folder: Path, **environ: str) -> Settings:
    return load({"DATA_DIR": str(folder), **environ}, env_file=folder / "none").settings


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("4", "4 - -"),
        ("10/s", "- 100.0 900.0"),
        ("4, 10/s", "4 100.0 900.0"),
        ("100/m,4", "4 600.0 59400.0"),
        ("5/10s, burst 1", "- 2000.0 0.0"),
        ("1/h", "- 3600000.0 0.0"),
        ("3/d , burst 2", "- 28800000.0 28800000.0"),
    ],
)
def test_a_limit_is_read_as_it_is_written(text: str, rule: str) -> None:
    limit = read_limit(text)
    assert limit.rule == rule
    assert read_limit(str(limit)) == limit


@pytest.mark.parametrize("text", ["", ",", "0", "four", "-1", "10/", "0/s", "10/y", "4, 5", "10/s, 5/s", "burst 2"])
def test_a_wrong_limit_is_refused_with_what_one_looks_like(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"^LIMIT_HLS: .*a limit is like \"4\""):
        read(tmp_path, LIMIT_HLS=text)


def test_no_limit_is_a_limit_too() -> None:
    assert (Limit().rule, str(Limit())) == ("- - -", "none")


def test_limits_are_for_types_and_keys_that_exist(tmp_path: Path) -> None:
    keys = {"API_KEYS": f"my-shop:{LONG}"}
    settings = read(tmp_path, LIMIT_HLS="2", LIMIT_KEY_my_shop="4", LIMIT_KEY_DEFAULT="5", **keys)
    assert shown(settings.limits) == "hls=2,key-default=5,key-my-shop=4"
    build(settings).close()
    for name in ("LIMIT_HLSS", "LIMIT_KEY_SHOP", "LIMIT_KEY_"):
        with pytest.raises(SettingsError, match=rf"^{name}: there is no .* types are .*hls.* are default, my-shop"):
            build(read(tmp_path, **keys, **{name: "1"}))


def test_keys_have_names(tmp_path: Path) -> None:
    settings = read(tmp_path, API_KEY="the operator's", API_KEYS=f" shop:{LONG}, blog:{LONG}:2 ,")
    assert settings.keys == {"default": "the operator's", "shop": LONG, "blog": f"{LONG}:2"}
    assert not settings.is_keyless
    assert not read(tmp_path, API_KEYS=f"shop:{LONG}").is_keyless
    assert read(tmp_path, API_KEYS="").is_keyless


def test_keys_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"shop:{LONG}\n")
    assert read(tmp_path, API_KEYS_FILE=str(tmp_path / "keys")).keys == {"shop": LONG}


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("shop", "entry 1 must be name:key"),
        (f"a:{LONG}, Shop:{LONG}y", "entry 2 must be name:key"),
        (f"-a:{LONG}", "entry 1 must be name:key"),
        ("shop:secret-word", "the key of shop is shorter than 16"),
        (f"shop:{LONG}, shop:{LONG}y", "two keys named shop"),
        (f"default:{LONG}", "named default is API_KEY"),
        (f"shop:{LONG}, blog:{LONG}", "the key of blog is the same as the key of shop"),
        (f"shop:{LONG}the-operators", "the key of shop is the same as API_KEY"),
    ],
)
def test_wrong_keys_are_named_and_not_shown(tmp_path: Path, keys: str, told: str) -> None:
    with pytest.raises(SettingsError, match=rf"^API_KEYS: .*{told}") as error:
        read(tmp_path, API_KEY=f"{LONG}the-operators", API_KEYS=keys)
    assert LONG not in str(error.value) and "secret-word" not in str(error.value)


def test_a_key_that_was_given_has_a_name_or_none() -> None:
    keys = {"a": "ключ", "b": LONG}
    assert name_of("ключ".encode(), keys) == "a"
    assert name_of(LONG.encode(), keys) == "b"
    assert name_of(b"", keys) is None
