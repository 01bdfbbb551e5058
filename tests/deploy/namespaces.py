"""Containers without a container engine: a process with a network, a root and a host name of its own.

Each has its network namespace with an address on one bridge, a root that is read-only but for its volumes and /tmp, its
process tree, which ends with it, and the user, privileges and environment that it is given. Needs root on Linux with
iproute2 and util-linux; all it makes goes away with the processes and `Network.close()`.
"""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

import psutil

from tests.running import ROOT

_CLONE_NEWNET = 0x40000000
_TOOLS = ("ip", "unshare", "nsenter", "setpriv", "chroot", "mount", "hostname")
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/dev")
# The Python and the code that the tests run with stand where they stand; nothing else of the disk is to be seen.
_CODE = tuple(dict.fromkeys((sys.base_prefix, sys.prefix, str(ROOT))))

Answer = TypeVar("Answer")

# $1 new root, $2 host name, $3 hosts file; then BIND FROM TO or ROBIND FROM TO, `--`, and the command.
_SETUP = """
root=$1; hostname "$2"; hosts=$3; shift 3
mount -t tmpfs -o mode=755,size=1m tmpfs "$root"
mkdir "$root/proc" "$root/tmp" && mount -t proc proc "$root/proc" && mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
place() {
  mkdir -p "$root$(dirname "$2")"
  if [ -d "$1" ]; then mkdir -p "$root$2"; else : > "$root$2"; fi
  mount --rbind "$1" "$root$2"
}
while [ "$1" != -- ]; do
  if [ -L "$2" ]; then cp -P "$2" "$root$3"; else
    place "$2" "$3"
    if [ "$1" = ROBIND ]; then mount -o remount,bind,ro "$root$3"; fi
  fi
  shift 3
done
shift
mount --bind "$hosts" "$root/etc/hosts"
mount -o remount,ro "$root"
exec chroot "$root" "$@"
"""
# As `init: true` does: signals go to the role, orphans are reaped, and its end is the container's.
_INIT = '"$@" & role=$!; trap "kill -TERM $role" TERM; while kill -0 $role; do wait $role; code=$?; done; exit $code'


def lacking() -> str:
    """Return why there can be no namespaces here; empty if there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    return f"missing: {', '.join(missing)} (Debian: apt install iproute2 util-linux)" if missing else ""


@dataclass(frozen=True)
class Image:
    """What a container is started with, whatever its network is."""

    command: Sequence[str]
    environment: Mapping[str, str]
    user: str
    volumes: Mapping[Path, str] = field(default_factory=dict)
    secrets: Mapping[Path, str] = field(default_factory=dict)


@dataclass
class Container:
    """A running container."""

    name: str
    address: str
    image: Image
    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def text(self) -> str:
        """What it has written."""
        return self.log_file.read_text(errors="replace")

    def first(self) -> psutil.Process:
        """Its first process, the parent of all others in it."""
        return psutil.Process(self.process.pid).children()[0]

    def stop(self) -> int:
        """End it as an engine does, and wait; returns the exit code."""
        self.first().send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        """End all of it at once; the kernel ends every process of the tree with its first."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as `docker exec` and health checks do."""
        inside = ["nsenter", "--target", str(self.first().pid), "--mount", "--net", "--pid", "--uts", "--root", "--wd"]
        command = [*inside, *_as_user(self.image), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


class Network:
    """A bridge in a namespace of its own, and the containers on it; each knows the others by their names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._hub = f"wp{os.getpid()}"
        self._hosts = folder / "hosts"
        self._namespaces: list[str] = []
        self._count = 1
        self.containers: list[Container] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        _remove_remains()
        self._hosts.write_text("127.0.0.1 localhost\n")
        self._add_namespace(self._hub)
        _ip("-n", self._hub, "link", "add", "bridge0", "type", "bridge")
        _ip("-n", self._hub, "link", "set", "bridge0", "up")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        for container in self.containers:
            container.kill()
        for name in reversed(self._namespaces):
            subprocess.run(["ip", "netns", "delete", name], check=False, timeout=20)  # noqa: S607

    def attach(self, *names: str) -> tuple[str, str]:
        """Make a namespace with an address; returns both. Containers started from now on know it by the names."""
        self._count += 1
        namespace, address = f"{self._hub}-{self._count}", f"10.99.0.{self._count}"
        self._add_namespace(namespace)
        port = f"port{self._count}"
        _ip("-n", self._hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        _ip("-n", self._hub, "link", "set", port, "master", "bridge0", "up")
        for words in (("link", "set", "lo", "up"), ("address", "add", f"{address}/24", "dev", "eth0")):
            _ip("-n", namespace, *words)
        _ip("-n", namespace, "link", "set", "eth0", "up")
        with self._hosts.open("a") as hosts:
            hosts.write(f"{address} {' '.join(names)}\n")
        return namespace, address

    def start(self, name: str, image: Image, *, replica: int = 1) -> Container:
        """Start a container of a service."""
        host = f"{name}-{replica}"
        namespace, address = self.attach(host, *([name] if replica == 1 else []))
        root = self._folder / "roots" / host
        root.mkdir(parents=True)
        binds = [word for path in _SYSTEM if Path(path).exists() for word in ("ROBIND", path, path)]
        binds += [word for path in _CODE if not path.startswith("/usr") for word in ("ROBIND", path, path)]
        binds += [word for source, target in image.volumes.items() for word in ("BIND", str(source), target)]
        binds += [word for source, target in image.secrets.items() for word in ("ROBIND", str(source), target)]
        isolated = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
        setup = ["sh", "-ceu", _SETUP, "setup", str(root), host, str(self._hosts), *binds, "--"]
        command = [*_as_user(image), "sh", "-c", _INIT, "init", *image.command]
        log_file = self._folder / f"{host}.log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", "ip", "netns", "exec", namespace, *isolated, *setup, *command],  # noqa: S607
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        container = Container(host, address, image, process, log_file)
        self.containers.append(container)
        return container

    def client(self, *names: str) -> Callable[[Callable[[], Answer]], Answer]:
        """Return what calls a function from a namespace of its own, which shares no disk with any container."""
        namespace, _ = self.attach(*names)
        thread = self._stack.enter_context(
            ThreadPoolExecutor(1, initializer=_enter, initargs=(Path("/run/netns") / namespace,))
        )
        return lambda call: thread.submit(call).result(120)

    def _add_namespace(self, name: str) -> None:
        _ip("netns", "add", name)
        self._namespaces.append(name)


def _remove_remains() -> None:
    """Remove the namespaces of tests that were killed; their processes ended with them."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, timeout=20, check=True)  # noqa: S607
    for line in listed.stdout.splitlines():
        match = re.match(r"(wp(\d+)(-\d+)?)\b", line)
        if match and not psutil.pid_exists(int(match[2])):
            _ip("netns", "delete", match[1])


def _as_user(image: Image) -> list[str]:
    uid, _, gid = image.user.partition(":")
    # Changing the user has cleared what `unshare --kill-child` had set.
    privileges = ["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--pdeathsig=KILL"]
    environment = [f"{name}={value}" for name, value in image.environment.items()]
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", *privileges, "env", "-i", *environment]


def _enter(namespace: Path) -> None:
    """Move this thread, and it alone, into a network namespace."""
    with namespace.open() as file:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(file.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=20)  # noqa: S607
