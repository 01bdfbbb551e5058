"""Settings: read once, refused by name."""

from datetime import timedelta
from pathlib import Path

import pytest

from workplatform.errors import SettingsError
from workplatform.settings import Settings, load


def read(tmp_path: Path, **environ: str) -> Settings:
    return load(environ, env_file=tmp_path / "none").settings


def test_the_specifications_names_are_understood(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        PORT="4010",
        API_KEY="secret",
        QUEUE_TYPE="redis",
        REDIS_URL="redis://elsewhere:1",
        MAX_CONCURRENT_JOBS="7",
        DATA_DIR=str(tmp_path),
        CONCURRENCY_HLS="2",
    )
    assert (settings.port, settings.queue_type, settings.max_concurrent_jobs) == (4010, "redis", 7)
    assert settings.api_key is not None and settings.api_key.get_secret_value() == "secret"
    assert (settings.concurrency_of("hls", 1), settings.concurrency_of("webp", 3)) == (2, 3)
    assert settings.data_dir == tmp_path and tmp_path in settings.roots


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("QUEUE_TYPE", "disk"),
        ("MAX_CONCURRENT_JOBS", "0"),
        ("CONCURRENCY_HLS", "none"),
        ("CONCURRENCY_HLS", "0"),
        ("LEASE", "soon"),
        ("LEASE", "-1"),
        ("LEASE", "2"),
        ("DURABILITY", "never"),
        ("BIND_HOST", "0.0.0.0"),  # noqa: S104 - what must not be allowed without a key
        ("KEY_PREFIX", "a b"),
    ],
)
def test_a_wrong_value_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    expected = "HEARTBEAT" if (name, value) == ("LEASE", "2") else name
    with pytest.raises(SettingsError, match=expected):
        read(tmp_path, **{name: value})


def test_the_environment_wins_over_the_file_and_sources_are_known(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("PORT=5000\nLEASE=30\n")
    loaded = load({"PORT": "6000"}, env_file=file)
    assert (loaded.settings.port, loaded.settings.lease) == (6000, timedelta(seconds=30))
    assert (loaded.sources["port"], loaded.sources["lease"], loaded.sources["data_dir"]) == (
        "environment",
        ".env",
        "default",
    )


def test_a_key_opens_other_addresses_and_an_empty_one_is_none(tmp_path: Path) -> None:
    anywhere = "0.0.0.0"  # noqa: S104 - allowed with a key
    assert not read(tmp_path, BIND_HOST=anywhere, API_KEY="k").is_keyless
    assert read(tmp_path, API_KEY="").is_keyless


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())
