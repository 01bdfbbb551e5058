"""Flower: who may look, that nobody may do more, and that it shows our jobs as they are."""

import base64
import socket
import subprocess
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
import requests
from pydantic import SecretStr
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from tests.running import Up, free_port, running_up
from tests.waiting import eventually
from workplatform.errors import AlreadyRunningError
from workplatform.flower import FlowerGuard
from workplatform.launch import check_port
from workplatform.settings import Settings

KEY = "sesame"


class Pages:
    """Flower's pages and its API, asked with the key."""

    def __init__(self, up: Up) -> None:
        self.url = f"http://127.0.0.1:{up.environ['FLOWER_PORT']}"

    def get(self, path: str, **headers: str) -> requests.Response:
        """Get a page."""
        return requests.get(self.url + path, headers=headers or {"Authorization": f"Bearer {KEY}"}, timeout=10)

    def task(self, job_id: str, *states: str) -> dict[str, Any]:
        """What Flower knows of a job once it is in one of the states."""

        def known() -> dict[str, Any] | None:
            answer = self.get(f"/api/task/info/{job_id}")
            return answer.json() if answer.ok and answer.json()["state"] in states else None

        return eventually(known) or {}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A platform with Flower, and with a key."""
    more = {"API_KEY": KEY, "FLOWER_PORT": str(free_port()), "JOB_PACKAGES": "tests.jobs"}
    with running_up(tmp_path_factory.mktemp("flower"), "--flower", **more) as up:
        yield up


@pytest.fixture(scope="module")
def pages(up: Up) -> Pages:
    """Flower, ready."""
    pages = Pages(up)

    def answers() -> bool:
        try:
            return pages.get("/healthcheck", Accept="*/*").ok
        except requests.ConnectionError:
            return False

    eventually(answers)
    return pages


def submit(up: Up, *words: str) -> str:
    answer: subprocess.CompletedProcess[str] = up.run("submit", *words)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def test_a_job_is_found_by_its_id_with_the_states_that_it_had(up: Up, pages: Pages) -> None:
    napped = submit(up, "nap", "path=note.txt", "seconds=0.4")
    retried = submit(up, "flaky", "path=x", 'text="2"')
    failed = submit(up, "broken", "path=x", "text=bad input")
    task = pages.task(napped, "SUCCESS")
    assert (task["name"], task["worker"].partition("@")[0]) == ("nap", "nap")
    assert task["runtime"] >= 0.4
    assert task["received"] <= task["started"] < task["succeeded"]
    assert napped in task["args"]
    task = pages.task(retried, "SUCCESS")
    assert task["retried"] and "attempt 1 fails on purpose" in task["exception"]
    task = pages.task(failed, "FAILURE")
    assert "this can never work" in task["exception"]
    assert "Traceback" not in up.text


def test_every_worker_is_online(pages: Pages) -> None:
    queues = {"flaky", "nap", "noop", "program", "slow", "trace"}

    def online() -> set[str]:
        workers = pages.get("/workers?json=1").json()["data"]
        return {worker["hostname"].partition("@")[0] for worker in workers if worker["status"]}

    eventually(lambda: queues <= online())


def test_all_but_the_health_check_asks_for_the_key(pages: Pages) -> None:
    secret = base64.b64encode(f"anybody:{KEY}".encode()).decode()
    paths = ("/", "/workers", "/tasks", "/broker", "/metrics", "/api/workers", "/api/tasks", "/static/css/flower.css")
    for path in paths:
        assert pages.get(path, Accept="*/*").status_code == HTTPStatus.UNAUTHORIZED, path
        assert pages.get(path, Authorization="Bearer wrong").status_code == HTTPStatus.UNAUTHORIZED
        assert pages.get(path, Authorization="Basic !!!").status_code == HTTPStatus.UNAUTHORIZED
        for header in ({"Authorization": f"Basic {secret}"}, {"X-API-Key": KEY}):
            answer = pages.get(path, **header)
            assert answer.ok and KEY not in answer.text, path
            assert "Access-Control-Allow-Origin" not in answer.headers
    assert pages.get("/healthcheck", Accept="*/*").text == "OK"


def test_nobody_may_do_more_than_look(pages: Pages) -> None:
    header = {"Authorization": f"Bearer {KEY}"}
    for path in ("/api/worker/shutdown/nap@here", "/api/task/async-apply/noop", "/api/task/revoke/job_1", "/"):
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            answer = requests.request(method, pages.url + path, headers=header, timeout=10)
            assert answer.status_code == HTTPStatus.FORBIDDEN, (method, path)
    assert pages.get("/api/worker/shutdown/nap").status_code == HTTPStatus.METHOD_NOT_ALLOWED


def test_flower_gives_a_sign_of_life_as_every_role_does(up: Up, pages: Pages) -> None:
    assert pages.get("/healthcheck").ok
    alive = up.run("alive")
    assert alive.returncode == 0
    for role in ("api", "scheduler", "flower", "worker-nap", "worker-flaky"):
        assert f"{role}: alive" in alive.stdout


def refusal(settings: Settings, *, peer: str = "127.0.0.1", method: str = "GET", **headers: str) -> HTTPStatus | None:
    named = {"Host": "localhost:5555", **{name.replace("_", "-"): value for name, value in headers.items()}}

    class Connection:
        """Where the request comes from."""

        context = type("Context", (), {"remote_ip": peer, "protocol": "http"})()

    line = RequestStartLine(method, "/tasks", "HTTP/1.1")
    request = HTTPServerRequest(headers=HTTPHeaders(named), connection=Connection(), start_line=line)  # type: ignore[arg-type]
    return FlowerGuard(settings).refusal(request)


def test_without_a_key_only_programs_on_this_machine_may_look() -> None:
    keyless = Settings()
    assert refusal(keyless) is None
    assert refusal(keyless, Host="127.0.0.1:5555") is None
    assert refusal(keyless, Host="[::1]:5555") is None
    assert refusal(keyless, Host="rebound.example:5555") is HTTPStatus.FORBIDDEN
    assert refusal(keyless, peer="192.0.2.7") is HTTPStatus.FORBIDDEN
    assert refusal(keyless, Sec_Fetch_Site="cross-site") is HTTPStatus.FORBIDDEN
    assert refusal(keyless, method="POST") is HTTPStatus.FORBIDDEN


def test_a_key_of_any_letters_lets_in_whoever_brings_it() -> None:
    keyed = Settings(api_key=SecretStr("ключ:with:colons"))
    basic = base64.b64encode("me:ключ:with:colons".encode()).decode()
    assert refusal(keyed, Authorization=f"Basic {basic}") is None
    assert refusal(keyed, Authorization=f"Basic {basic[:-4]}") is HTTPStatus.UNAUTHORIZED
    assert refusal(keyed) is HTTPStatus.UNAUTHORIZED
    assert refusal(keyed, peer="192.0.2.7", Authorization=f"Basic {basic}") is None


def test_a_port_of_flower_that_is_in_use_is_named_by_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = Settings(port=free_port(), flower_port=other.getsockname()[1])
        check_port(settings)
        with pytest.raises(AlreadyRunningError, match="set another FLOWER_PORT"):
            check_port(settings, setting="FLOWER_PORT")
