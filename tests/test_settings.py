"""Settings: read once, refused by name."""

from datetime import timedelta
from pathlib import Path

import pytest

from workplatform.bootstrap import build
from workplatform.embedded import address, shown_address
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
        ("LEASE", "inf"),
        ("LEASE", "nan"),
        ("LEASE", "1e20"),
        ("LEASE", "-1e20"),
        ("LEASE", "0.9"),
        ("HEARTBEAT", "0.05"),
        ("RETENTION", "1e20"),
        ("RETENTION", "315360001"),
        ("SHUTDOWN_GRACE", "inf"),
        ("ALLOWED_ROOTS", ""),
        ("ALLOWED_ROOTS", " ,"),
        ("REDIS_URL", ""),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "http://localhost:6379"),
        ("REDIS_URL", "redis://localhost:port"),
        ("DURABILITY", "never"),
        ("BIND_HOST", "0.0.0.0"),  # noqa: S104 - what must not be allowed without a key
        ("KEY_PREFIX", "a b"),
    ],
)
def test_a_wrong_value_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    expected = "HEARTBEAT" if (name, value) == ("LEASE", "2") else name
    with pytest.raises(SettingsError, match=f"^{expected}\\b") as refusal:
        read(tmp_path, **{name: value})
    assert refusal.value.message.count("\n") == 0


def test_the_longest_and_the_shortest_durations_are_accepted(tmp_path: Path) -> None:
    settings = read(tmp_path, LEASE="1", HEARTBEAT="0.1", RETENTION="315360000")
    assert (settings.lease, settings.heartbeat) == (timedelta(seconds=1), timedelta(milliseconds=100))
    assert settings.retention == timedelta(days=3650)


@pytest.mark.parametrize("url", ["redis://:p@host:1/0", "rediss://host", "unix:///run/valkey.sock"])
def test_every_form_of_a_redis_url_is_accepted(tmp_path: Path, url: str) -> None:
    assert read(tmp_path, REDIS_URL=url).redis_url.get_secret_value() == url


@pytest.mark.parametrize("url", ["http://:hunter2@host", "redis://:hunter2@host:hunter2"])
def test_a_refused_redis_url_keeps_its_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        read(tmp_path, REDIS_URL=url)
    assert "hunter2" not in refusal.value.message


@pytest.mark.parametrize("name", ["CONCURRENCY_HLS", "CONCURRENCY_TWO_WORDS"])
@pytest.mark.parametrize("value", ["0", "1001"])
def test_a_concurrency_out_of_range_is_named_as_it_was_written(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: must be 1 to 1000$"):
        read(tmp_path, **{name: value})


def test_a_concurrency_for_a_queue_that_no_job_type_uses_is_refused_by_name(tmp_path: Path) -> None:
    settings = read(tmp_path, CONCURRENCY_HLS="2", CONCURRENCY_HLSS="2", CONCURRENCY_TWO_WORDS="2")
    with pytest.raises(
        SettingsError, match=r"^CONCURRENCY_HLSS, CONCURRENCY_TWO_WORDS: no job type.* CONCURRENCY_HLS,"
    ):
        build(settings)


@pytest.mark.parametrize("queue", ["two-words", "two_words"])
def test_a_queue_of_two_words_has_one_spelling_in_the_environment(tmp_path: Path, queue: str) -> None:
    settings = read(tmp_path, CONCURRENCY_TWO_WORDS="7")
    settings.check_queues([queue])
    assert settings.concurrency_of(queue, 1) == 7


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


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from the file\n")
    settings = read(tmp_path, API_KEY_FILE=str(tmp_path / "key"), API_KEY="", REDIS_PASSWORD_FILE="")
    assert settings.api_key is not None and settings.api_key.get_secret_value() == "from the file"
    assert settings.redis_password is None


def test_a_secret_file_that_cannot_be_used_is_named_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe hush")
    for name in ("missing", "empty", "binary"):
        with pytest.raises(SettingsError, match=rf"API_KEY_FILE=.*{name} (cannot|is)") as refused:
            read(tmp_path, API_KEY_FILE=str(tmp_path / name))
        assert "hush" not in refused.value.message
    with pytest.raises(SettingsError, match="both set"):
        read(tmp_path, API_KEY_FILE=str(tmp_path / "empty"), API_KEY="x")


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("redis://redis:6379/0", "redis://:p%40ss%2F@redis:6379/0"),
        ("rediss://me@redis", "rediss://me:p%40ss%2F@redis"),
        ("redis://:own@redis", "redis://:own@redis"),
        ("redis://[::1]:6379/2?a=b", "redis://:p%40ss%2F@[::1]:6379/2?a=b"),
    ],
)
def test_a_password_given_apart_gets_into_the_url_of_redis(tmp_path: Path, url: str, whole: str) -> None:
    settings = read(tmp_path, QUEUE_TYPE="redis", REDIS_URL=url, REDIS_PASSWORD="p@ss/")  # noqa: S106
    assert address(settings) == whole
    assert "p%40ss" not in shown_address(settings)
