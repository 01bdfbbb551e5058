"""The services of docker-compose.yml at work, each in namespaces of its own: addresses, disks, users, privileges."""

import http.server
import io
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest
import requests
from PIL import Image as Picture

from tests.deploy import compose, namespaces, recipe
from tests.deploy.compose import Project, Service
from tests.deploy.namespaces import Container, Image, Network
from tests.waiting import eventually
from workplatform import embedded
from workplatform.registry import discover

REPLICAS = {"worker-webp": 2}
BODY = b"a file from a host that is no container" * 1000
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Origin(http.server.BaseHTTPRequestHandler):
    """A host on the network: gives a file, and takes calls."""

    def do_GET(self) -> None:
        """Give the file."""
        self.answer(BODY)

    def do_POST(self) -> None:
        """Take a call."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(b"{}")

    def answer(self, body: bytes) -> None:
        """Answer with a body."""
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class Cluster:
    """The running services, and somebody on the network who calls them."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.key, self.password = secrets.token_hex(16), secrets.token_hex(16)
        self._environ = {"API_KEY": self.key, "REDIS_PASSWORD": self.password, "ALLOWED_HOSTS": "10.99.0.0/24"}
        self.project: Project = compose.project(self._environ)
        self._network, self._folder = network, folder
        self._call: Callable[[Callable[[], Any]], Any] = network.client("caller", "origin")
        self._address = "10.99.0.2"
        self.origin = self._call(lambda: http.server.ThreadingHTTPServer((self._address, 0), Origin))
        threading.Thread(target=self.origin.serve_forever, daemon=True).start()

    def start(self) -> None:
        """Start everything, Redis first, and wait until it is ready to work."""
        services = self.project.services
        redis = self._start(services["redis"], 1)
        eventually(lambda: self._call(lambda: is_open(redis.address, 6379)))
        for service in services.values():
            for replica in range(1, REPLICAS.get(service.name, 1) + 1):
                if service.name != "redis":
                    self._start(service, replica)
        eventually(self._is_ready, within_s=90)

    def container(self, name: str) -> Container:
        """The container of a name such as api-1."""
        return next(one for one in self._network.containers if one.name == name)

    @property
    def ours(self) -> list[Container]:
        """The containers of our image."""
        return [one for one in self._network.containers if not one.name.startswith("redis")]

    def ask(
        self, method: str, path: str, *, key: str | None = None, port: int = 4002, **more: Any
    ) -> requests.Response:
        """Send a request to the API, or to Flower by its port, from the caller's namespace."""
        host = self.container("api-1" if port == 4002 else "flower-1").address
        headers = {"Authorization": f"Bearer {key or self.key}"}
        answer: requests.Response = self._call(
            lambda: requests.request(method, f"http://{host}:{port}{path}", headers=headers, timeout=30, **more)
        )
        return answer

    def put(self, name: str, data: bytes) -> str:
        """Send a file; returns what payloads call it."""
        answer = self.ask("PUT", f"/api/files/{name}", data=data)
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["path"])

    def make_repository(self, name: str) -> None:
        """Put a repository with one commit where jobs may read it, as an operator would."""
        folder = self._folder / "volumes" / "media" / name
        folder.mkdir()
        (folder / "page.html").write_text("hello")
        author = ["-c", "user.name=An Operator", "-c", "user.email=operator@example.com"]
        for words in (["init", "-q", "-b", "main"], ["add", "."], [*author, "commit", "-q", "-m", "Say hello"]):
            subprocess.run(["git", "-C", str(folder), *words], check=True, timeout=30)  # noqa: S607

    def run(self, job_type: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Run a job to its end; returns its record."""
        answer = self.ask("POST", "/api/jobs", json={"type": job_type, "payload": payload})
        assert answer.status_code == 202, answer.text
        path = f"/api/jobs/{answer.json()['jobId']}"

        def ended() -> dict[str, Any] | None:
            job: dict[str, Any] = self.ask("GET", path).json()
            return job if job["status"] in ("completed", "failed") else None

        return eventually(ended, within_s=90) or {}

    def _start(self, service: Service, replica: int) -> Container:
        environment = {"PATH": SYSTEM_PATH}
        if service.is_ours:
            image = recipe.environment()
            environment |= image | {"PATH": f"{Path(sys.executable).parent}:{SYSTEM_PATH}"}
            command, user = ["workplatform", *service.command], recipe.texts("USER")[-1]
        else:  # the server of the image is the one that comes with pip
            environment["PATH"] = f"{embedded.binary().parent}:{SYSTEM_PATH}"
            command, user = service.command, service.document["user"]
        volumes = {self._volume(name, user): target for name, target in service.volumes.items()}
        given = compose.secret_files(service, self.project)
        image_run = Image(
            command=command,
            environment=environment | service.environment(self._environ),
            user=user,
            volumes=volumes,
            secrets={path: f"/run/secrets/{name}" for name, path in given.items()},
        )
        return self._network.start(service.name, image_run, replica=replica)

    def _volume(self, name: str, user: str) -> Path:
        path = self._folder / "volumes" / name
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, *map(int, user.split(":")))
        return path

    def _is_ready(self) -> bool:
        dead = [one for one in self._network.containers if one.process.poll() is not None]
        assert not dead, {one.name: one.text for one in dead}
        try:
            if not self.ask("GET", "/readyz").ok or not self.ask("GET", "/healthcheck", port=5555).ok:
                return False
        except requests.RequestException:
            return False
        return sum(len(worker["queues"]) for worker in self.workers()) == len(self.ours) - 3

    def workers(self) -> list[dict[str, Any]]:
        """What the API knows of the workers."""
        workers: list[dict[str, Any]] = self.ask("GET", "/api/workers").json()["workers"]
        return workers


def is_open(host: str, port: int) -> bool:
    """Whether something listens there."""
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """All services, running."""
    if lack := namespaces.lacking():
        if os.environ.get("CI"):
            pytest.fail(lack)
        pytest.skip(lack)
    folder = tmp_path_factory.mktemp("cluster")
    with Network(folder) as network:
        cluster = Cluster(network, folder)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.origin.shutdown()
            cluster.origin.server_close()


def film(folder: Path) -> bytes:
    """Two seconds of film."""
    path = folder / "film.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:duration=2"]
    subprocess.run([*command, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", str(path)], check=True)
    return path.read_bytes()


def picture() -> bytes:
    """A small picture."""
    out = io.BytesIO()
    Picture.new("RGB", (64, 48), "teal").save(out, "PNG")
    return out.getvalue()


def test_a_job_of_each_type_runs_for_a_caller_that_shares_no_disk(cluster: Cluster, tmp_path: Path) -> None:
    film_path = cluster.put("in/film.mp4", film(tmp_path))
    picture_path = cluster.put("in/picture.png", picture())
    cluster.make_repository("site.git")
    origin = f"http://10.99.0.2:{cluster.origin.server_port}"
    payloads: dict[str, dict[str, Any]] = {
        "hls": {"inputPath": film_path, "outputDir": "out/hls", "qualities": ["144p"]},
        "encode": {"inputPath": film_path, "outputPath": "out/film.webm", "preset": "ultrafast"},
        "thumbnail": {"videoPath": film_path, "outputPath": "out/still.webp", "timestamp": 1},
        "preview": {"videoPath": film_path, "outputPath": "out/preview.webp", "duration": 1},
        "storyboard": {"videoPath": film_path, "outputDir": "out/storyboard"},
        "webp": {"inputPath": picture_path, "outputPath": "out/picture.webp"},
        "download": {"url": f"{origin}/file.bin", "outputPath": "out/file.bin"},
        "http": {"url": f"{origin}/hook", "body": {"hello": "there"}},
        "deploy": {"projectId": "site", "repoUrl": "site.git", "branch": "main", "directory": "site"},
    }
    assert payloads.keys() == set(discover(["workers"])), "a type is not tried"
    made: dict[str, list[bytes]] = {}
    for job_type, payload in payloads.items():
        job = cluster.run(job_type, payload)
        assert job["status"] == "completed", job
        files = cluster.ask("GET", f"/api/jobs/{job['jobId']}/files").json()["files"]
        made[job_type] = [cluster.ask("GET", file["url"]).content for file in files]
    assert made["download"] == [BODY]
    assert any(data.startswith(b"#EXTM3U") for data in made["hls"]) and len(made["hls"]) >= 3
    assert any(data.startswith(b"WEBVTT") for data in made["storyboard"]) and len(made["storyboard"]) == 2
    assert made["encode"][0].startswith(b"\x1a\x45\xdf\xa3"), "the magic number of Matroska and WebM"
    for job_type in ("thumbnail", "webp", "preview"):
        with Picture.open(io.BytesIO(made[job_type][0])) as opened:
            assert opened.format == "WEBP"
    assert made["http"] == made["deploy"] == []
    assert cluster.container("worker-deploy-1").run("cat", "/media/site/page.html").stdout == "hello"


def test_replicas_of_a_worker_are_nodes_of_their_own(cluster: Cluster) -> None:
    nodes = [worker["node"] for worker in cluster.workers() if worker["queues"] == ["webp"]]
    assert sorted(nodes) == ["worker-webp-1", "worker-webp-2"]


def test_every_role_shows_that_it_lives_and_may_write_nothing_but_its_volumes(cluster: Cluster) -> None:
    check = recipe.health_check()
    for container in cluster.ours:
        health = container.run(*check)
        assert health.returncode == 0, (container.name, health.stdout, health.stderr)
        probe = "id -u; touch /probe /etc/probe /usr/probe 2>&1 | grep -c Read-only; ls -d /media /srv /tmp/*"
        uid, refused, *seen = container.run("sh", "-c", probe).stdout.split()
        assert (uid, refused) == ("10001", "3")
        assert ("/media" in seen) == bool(container.image.volumes)
        assert "/tmp/alive" in seen and not [path for path in seen if "srv" in path or "pytest" in path]  # noqa: S108


def test_flower_shows_jobs_by_their_ids_to_those_who_have_the_key(cluster: Cluster) -> None:
    job = cluster.run("webp", {"inputPath": "in/none.png", "outputPath": "out/none.webp"})
    path = f"/api/task/info/{job['jobId']}"

    def told() -> dict[str, Any] | None:
        answer = cluster.ask("GET", path, port=5555)
        return answer.json() if answer.ok and answer.json()["state"] not in ("RECEIVED", "STARTED") else None

    seen = eventually(told) or {}
    assert (seen["name"], seen["state"]) == ("webp", "FAILURE")
    for path in ("/", "/tasks", "/metrics", "/api/tasks"):
        assert cluster.ask("GET", path, port=5555).status_code == 200
        assert cluster.ask("GET", path, port=5555, key="wrong").status_code == 401
    shutdown = cluster.ask("POST", f"/api/worker/shutdown/{seen['worker']}", port=5555)
    assert shutdown.status_code == 403


def test_nobody_gets_into_redis_or_the_api_without_a_secret(cluster: Cluster) -> None:
    assert cluster.ask("GET", "/api/jobs", key="wrong").status_code == 401
    speak = "import socket as s; c = s.create_connection(('redis', 6379)); c.send(b'PING\\r\\n'); print(c.recv(99))"
    assert "NOAUTH" in cluster.container("api-1").run("python", "-c", speak).stdout
    assert cluster.password not in " ".join(cluster.container("redis-1").first().children()[0].cmdline())


def test_a_container_that_is_stopped_ends_in_order_within_its_grace(cluster: Cluster) -> None:
    for name in ("worker-webp-2", "scheduler-1", "flower-1"):
        container = cluster.container(name)
        assert container.stop() == 0, container.text
    eventually(lambda: "worker-webp-2" not in {worker["node"] for worker in cluster.workers()})
