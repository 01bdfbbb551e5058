"""docker-compose.yml: valid, complete, and nothing in it lets anybody in."""

import json
from pathlib import Path
from typing import Any

import check_jsonschema
import jsonschema
import pytest

from tests.deploy import compose, recipe
from tests.deploy.compose import MissingVariableError, Project, filled
from workplatform.registry import discover
from workplatform.settings import SECRETS, Settings, load

GIVEN = {"API_KEY": "a-key", "REDIS_PASSWORD": "a-password"}


@pytest.fixture(scope="module")
def project() -> Project:
    """The file as somebody uses it who sets the two secrets and nothing else."""
    return compose.project(GIVEN)


@pytest.fixture(scope="module")
def schema() -> Any:
    """The Compose specification's JSON schema (compose-spec/compose-spec, Apache-2.0), as check-jsonschema ships it."""
    folder = Path(check_jsonschema.__file__).parent / "builtin_schemas" / "vendor"
    return json.loads((folder / "compose-spec.json").read_text(encoding="utf-8"))


def test_the_file_is_valid_by_the_compose_specification(schema: Any, project: Project) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    for document in (compose.raw(), project.document):
        assert [error.message for error in validator.iter_errors(document)] == []
    assert not validator.is_valid({"services": {"api": {"imagine": "there were such a key"}}})


def test_variables_are_put_in_as_compose_does() -> None:
    environ = {"SET": "x", "EMPTY": ""}
    for text, wanted in (
        ("$SET ${SET} $$SET", "x x $SET"),
        ("${SET:-d}${EMPTY:-d}${EMPTY-d}${NO-d}", "xdd"),
        ("${SET:+yes}${EMPTY:+yes}", "yes"),
        ("${NO:-${SET:-deep}}/${NO:-${NO:-deep}}", "x/deep"),
    ):
        assert filled(text, environ) == wanted
    with pytest.raises(MissingVariableError, match="say it"):
        filled("${NO:-${EMPTY:?say it}}", environ)


@pytest.mark.parametrize(
    "given", [{}, {"API_KEY": "k"}, {"REDIS_PASSWORD": "p"}, {"API_KEY": "", "REDIS_PASSWORD": "p"}]
)
def test_there_is_no_default_for_a_secret(given: dict[str, str]) -> None:
    with pytest.raises(MissingVariableError, match=r"set (API_KEY|REDIS_PASSWORD), or"):
        compose.project(given)


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    for name in ("key", "password"):
        (tmp_path / name).write_text(f"the {name}\n")
    environ = {"API_KEY_FILE": str(tmp_path / "key"), "REDIS_PASSWORD_FILE": str(tmp_path / "password")}
    project = compose.project(environ)
    api = project.services["api"]
    mounted = {f"/run/secrets/{name}": path for name, path in compose.secret_files(api, project).items()}
    environment = api.environment(environ)
    read = {name: str(mounted.get(value, value)) for name, value in environment.items()}
    settings = load(read, env_file=tmp_path / "none").settings
    assert settings.api_key is not None and settings.api_key.get_secret_value() == "the key"
    assert settings.redis_password is not None and settings.redis_password.get_secret_value() == "the password"


def test_every_queue_has_a_worker_service_with_its_concurrency(project: Project, tmp_path: Path) -> None:
    queues = discover(["workers"]).queues
    workers = {name: service for name, service in project.services.items() if service.command[0] == "worker"}
    assert workers.keys() == {f"worker-{queue}" for queue in queues}
    for queue, types in queues.items():
        service = workers[f"worker-{queue}"]
        assert service.command == ["worker", queue]
        declared = max(job_type.concurrency for job_type in types)
        settings = load(service.environment(GIVEN), env_file=tmp_path / "none").settings
        assert settings.concurrency == {queue: declared}, "say it in the file, so that one finds it there"
        assert settings.max_concurrent_jobs >= declared


def test_any_number_of_each_worker_may_run(project: Project) -> None:
    for service in project.services.values():
        assert "container_name" not in service.document and "hostname" not in service.document
        if service.command[0] == "worker":
            assert not service.published
            assert "NODE_NAME" not in service.environment({}), "the host's name tells the replicas apart"


def test_only_this_machine_reaches_what_is_published(project: Project) -> None:
    published = {name: service.published for name, service in project.services.items() if service.published}
    assert published.keys() == {"redis", "api", "flower"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_every_service_is_confined(project: Project) -> None:
    for service in project.services.values():
        document = service.document
        assert document["read_only"] is True and document["init"] is True
        assert document["cap_drop"] == ["ALL"] and "no-new-privileges:true" in document["security_opt"]
        assert any(place.startswith("/tmp:") for place in document["tmpfs"])  # noqa: S108
        assert not document.get("privileged") and "network_mode" not in document
    assert project.services["redis"].document["user"].split(":")[0] not in ("", "0", "root")


def test_redis_keeps_what_it_is_given_and_evicts_nothing(project: Project) -> None:
    script = " ".join(project.services["redis"].command)
    for option in ("--appendonly yes", "--maxmemory-policy noeviction", "--maxmemory 512mb", "requirepass"):
        assert option in script
    assert project.services["redis"].volumes == {"redis": "/data"}
    assert GIVEN["REDIS_PASSWORD"] not in script


def test_every_variable_of_a_service_is_a_setting(project: Project) -> None:
    known = {name.upper() for name in Settings.model_fields} | {f"{name}_FILE" for name in SECRETS}
    for service in project.services.values():
        if service.is_ours:
            named = set(service.document["environment"])
            assert {name for name in named - known if not name.startswith("CONCURRENCY_")} == set()
            load(service.environment(GIVEN), env_file=Path("none"))


def test_workers_get_their_grace_before_they_are_killed(project: Project) -> None:
    for service in project.services.values():
        if service.is_ours:
            grace_s = float(service.environment(GIVEN)["SHUTDOWN_GRACE"])
            assert float(service.document["stop_grace_period"].rstrip("s")) >= grace_s + 10


def test_flower_and_the_events_it_needs_go_together() -> None:
    for given, replicas, events in (({}, "1", True), ({"FLOWER": "0"}, "0", False)):
        services = compose.project(GIVEN | given).services
        assert services["flower"].document["deploy"]["replicas"] == replicas
        settings = load(services["worker-hls"].environment(GIVEN), env_file=Path("none")).settings
        assert settings.task_events is events


def test_volumes_and_secrets_are_declared_and_mounted_where_the_image_expects_them(project: Project) -> None:
    image = recipe.environment()
    for service in project.services.values():
        assert service.volumes.keys() <= project.document["volumes"].keys()
        assert set(service.document.get("secrets", [])) <= project.document["secrets"].keys()
        if service.is_ours:
            assert set(service.volumes.values()) <= {image["DATA_DIR"], image["ALLOWED_ROOTS"]}
