"""The guard: keyless on this machine and for nobody's web page; with a key for whoever has it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from api import create_app
from api.application import Api
from api.fast_lane import FastLane
from tests.api.running import JOB, environ_in
from workplatform.bootstrap import Platform, build
from workplatform.settings import load

KEY = "a-secret-key"
ORIGIN = "https://app.example.com"


@pytest.fixture(scope="module", params=["Flask's routes", "the fast lane"])
def is_fast(request: pytest.FixtureRequest) -> bool:
    """Which way requests come in."""
    return bool(request.param == "the fast lane")


@pytest.fixture(scope="module")
def keyless_api(is_fast: bool, started_platform: Platform) -> Api:
    """An API without a key."""
    return _api(started_platform, is_fast=is_fast)


@pytest.fixture(scope="module")
def keyed_api(is_fast: bool, platform_folder: Path, started_platform: Platform) -> Iterator[Api]:
    """An API with a key, on the same server."""
    del started_platform  # its server is used
    own = build(load(environ_in(platform_folder, API_KEY=KEY, CORS_ORIGINS=ORIGIN), env_file=Path("none")).settings)
    yield _api(own, is_fast=is_fast)
    own.close()


@pytest.fixture
def keyless(keyless_api: Api, platform: Platform) -> FlaskClient:
    """A client of an API without a key."""
    del platform  # it has emptied the store
    return keyless_api.test_client()


@pytest.fixture
def keyed(keyed_api: Api, platform: Platform) -> FlaskClient:
    """A client of an API with a key."""
    del platform
    return keyed_api.test_client()


def _api(platform: Platform, *, is_fast: bool) -> Api:
    api = create_app(platform)
    if is_fast:
        api.wsgi_app = FastLane(api.wsgi_app, api.guard, api.submissions)  # type: ignore[method-assign]
    return api


def submit(client: FlaskClient, *, peer: str = "127.0.0.1", **headers: str) -> int:
    """Submit a job with these headers (their dashes as underscores); returns the status."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/api/jobs", json=JOB, headers=named, environ_overrides={"REMOTE_ADDR": peer}).status_code


@pytest.mark.parametrize("host", ["localhost", "localhost:4002", "127.0.0.1:4002", "[::1]:4002", "LOCALHOST:80"])
def test_without_a_key_this_machine_is_served(keyless: FlaskClient, host: str) -> None:
    assert submit(keyless, Host=host) == 202
    assert submit(keyless, Host=host, peer="::1") == 202
    assert submit(keyless, Host=host, peer="::ffff:127.0.0.1") == 202


@pytest.mark.parametrize(
    "host",
    ["evil.example.com", "evil.example.com:4002", "localhost.evil.com", "127.0.0.1.nip.io", "[::2]:80", "", "10.0.0.1"],
)
def test_a_rebound_name_is_refused(keyless: FlaskClient, host: str) -> None:
    assert submit(keyless, Host=host) == 403
    assert keyless.get("/api/jobs", headers={"Host": host}).status_code == 403
    assert keyless.get("/api/events", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("peer", ["10.0.0.7", "192.168.1.4", "2001:db8::1", "::ffff:10.0.0.1", "what"])
def test_without_a_key_other_machines_are_refused(keyless: FlaskClient, peer: str) -> None:
    assert submit(keyless, peer=peer) == 403


@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:3000", "null", "http://localhost.evil.com", "file://"])
def test_a_page_of_another_origin_is_refused(keyless: FlaskClient, origin: str) -> None:
    assert submit(keyless, Host="localhost", Origin=origin) == 403
    assert submit(keyless, Host="localhost", Sec_Fetch_Site="cross-site") == 403
    refused = keyless.get("/api/jobs", headers={"Origin": origin})
    assert (refused.status_code, refused.headers.get("Access-Control-Allow-Origin")) == (403, None)
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    assert keyless.options("/api/jobs", headers=asked).status_code == 403
    assert keyless.get("/api/jobs").get_json()["total"] == 0


def test_our_own_page_is_served(keyless: FlaskClient) -> None:
    own = {"Host": "127.0.0.1:4002", "Origin": "http://127.0.0.1:4002", "Sec-Fetch-Site": "same-origin"}
    assert keyless.post("/api/jobs", json=JOB, headers=own).status_code == 202


def test_a_key_opens_the_api_in_both_spellings(keyed: FlaskClient) -> None:
    assert submit(keyed, Authorization=f"Bearer {KEY}") == 202
    assert submit(keyed, Authorization=f"bearer {KEY}") == 202
    assert submit(keyed, X_API_Key=KEY) == 202
    assert submit(keyed, X_API_Key=KEY, peer="203.0.113.9", Host="jobs.example.com") == 202


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": KEY},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": "schlüssel"},
        {"X-API-Key": ""},
    ],
)
def test_without_the_right_key_nothing_is_open(keyed: FlaskClient, headers: dict[str, str]) -> None:
    response = keyed.post("/api/jobs", json=JOB, headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.content_type == "application/problem+json"
    assert KEY not in response.text
    for path in ("/api/jobs", "/api/stats", "/api/events", "/nowhere"):
        assert keyed.get(path, headers=headers).status_code == 401


def test_a_token_in_the_query_opens_the_event_stream_only(keyed: FlaskClient) -> None:
    assert keyed.get(f"/api/jobs?token={KEY}").status_code == 401
    assert keyed.post(f"/api/jobs?token={KEY}", json=JOB).status_code == 401
    assert keyed.get("/api/events?token=wrong").status_code == 401
    assert keyed.head(f"/api/events?token={KEY}").status_code == 200


@pytest.mark.parametrize("path", ["/health", "/healthz", "/api/health", "/"])
def test_health_and_the_page_ask_for_no_key(keyed: FlaskClient, path: str) -> None:
    assert keyed.get(path).status_code == 200
    assert keyed.get("/readyz").status_code == 503


def test_an_allowed_origin_may_ask_and_read(keyed: FlaskClient) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    preflight = keyed.options("/api/jobs", headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "X-API-Key" in preflight.headers["Access-Control-Allow-Headers"]
    assert "DELETE" in preflight.headers["Access-Control-Allow-Methods"]

    answer = keyed.post("/api/jobs", json=JOB, headers={"Origin": ORIGIN, "X-API-Key": KEY})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (202, ORIGIN)
    refused = keyed.post("/api/jobs", json=JOB, headers={"Origin": ORIGIN})
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, ORIGIN)


def test_another_origin_may_not_read(keyed: FlaskClient) -> None:
    asked = {"Origin": "https://evil.example.com", "Access-Control-Request-Method": "POST"}
    assert keyed.options("/api/jobs", headers=asked).status_code == 403
    answer = keyed.get("/api/jobs", headers={"Origin": "https://evil.example.com", "X-API-Key": KEY})
    assert "Access-Control-Allow-Origin" not in answer.headers
