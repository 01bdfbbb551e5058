"""The faults of a storm. Each leaves the platform such that it can mend itself."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import psutil

from tests.running import Up
from tests.waiting import eventually
from workplatform.embedded import address, connect
from workplatform.errors import StoreUnavailableError
from workplatform.settings import Settings, load
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore


@dataclass
class Scene:
    """The platform under attack."""

    up: Up
    draw: random.Random
    began: float = field(default_factory=time.monotonic)

    @property
    def elapsed_s(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self.began

    @property
    def settings(self) -> Settings:
        """The platform's settings."""
        return load(self.up.environ, env_file=self.up.folder / "none").settings

    def roles(self, *words: str) -> list[psutil.Process]:
        """The processes that the supervisor has started, those whose command line has one of the words."""
        found = []
        for child in psutil.Process(self.up.process.pid).children():
            with suppress(psutil.NoSuchProcess):
                if not words or any(word in " ".join(child.cmdline()) for word in words):
                    found.append(child)
        return found

    def send(self, number: signal.Signals, processes: list[psutil.Process]) -> None:
        """Send a signal to whoever still lives."""
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def pause(self, shortest_s: float, longest_s: float) -> None:
        """Let some time pass."""
        threading.Event().wait(self.draw.uniform(shortest_s, longest_s))


def kill_one(scene: Scene) -> None:
    """Kill one role."""
    if roles := scene.roles():
        scene.send(signal.SIGKILL, [scene.draw.choice(roles)])


def kill_all_but_the_server(scene: Scene) -> None:
    """Kill every worker, the scheduler and the API at once."""
    server = {process.pid for process in scene.roles("valkey-server")}
    scene.send(signal.SIGKILL, [process for process in scene.roles() if process.pid not in server])


def kill_the_server(scene: Scene) -> None:
    """Kill Valkey."""
    scene.send(signal.SIGKILL, scene.roles("valkey-server"))


def kill_children(scene: Scene) -> None:
    """Kill what the roles have started."""
    roles = {process.pid for process in scene.roles()}
    scene.send(signal.SIGKILL, [process for process in scene.up.everyone() if process.pid not in roles])


def freeze_workers(scene: Scene) -> None:
    """Stop some roles past their lease, and let them go on."""
    chosen = [process for process in scene.roles() if process not in scene.roles("valkey-server")]
    frozen = scene.draw.sample(chosen, min(2, len(chosen)))
    scene.send(signal.SIGSTOP, frozen)
    scene.pause(3.5, 4.5)
    scene.send(signal.SIGCONT, frozen)


def freeze_the_server(scene: Scene) -> None:
    """Let Valkey answer nobody for a while."""
    server = scene.roles("valkey-server")
    scene.send(signal.SIGSTOP, server)
    scene.pause(1.0, 4.0)
    scene.send(signal.SIGCONT, server)


def cut_connections(scene: Scene) -> None:
    """Have Valkey drop every connection."""
    with suppress(Exception), connect(scene.settings) as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def take_no_writes(scene: Scene) -> None:
    """Let memory run out, or replicas be missing, for a moment."""
    setting, off, on = scene.draw.choice([("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")])
    with suppress(Exception), connect(scene.settings) as client:
        client.config_set(setting, off)
    scene.pause(0.5, 1.5)
    with suppress(Exception), connect(scene.settings) as client:
        client.config_set(setting, on)


def restart_in_order(scene: Scene) -> None:
    """Ask one role to stop, which is started again."""
    if roles := scene.roles():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            os.kill(scene.draw.choice(roles).pid, signal.SIGTERM)


def lose_messages(scene: Scene) -> None:
    """Take messages away, as a worker does that dies between popping and claiming."""
    with suppress(Exception), connect(scene.settings) as client:
        client.execute_command("RPOP", f"wp:scribble\x06\x16{scene.draw.choice([1, 2, 2])}", 3)


def pause_the_queue(scene: Scene) -> None:
    """Let no job begin for a moment; what is paused is resumed, be Redis away or not."""
    with suppress(StoreUnavailableError), store_of(scene) as store:
        store.queues.pause("scribble", is_paused=True)
    scene.pause(0.2, 1.0)
    eventually(lambda: is_resumed(scene))


def is_resumed(scene: Scene) -> bool:
    """Resume the queue; returns whether that could be done."""
    with suppress(StoreUnavailableError), store_of(scene) as store:
        store.queues.pause("scribble", is_paused=False)
        return True
    return False


def change_a_limit(scene: Scene) -> None:
    """Let a client run one job at a time, or few in a while, or any number."""
    with suppress(StoreUnavailableError), store_of(scene) as store:
        store.limits.put("key:a", {"rule": scene.draw.choice(["1 - -", "2 100 300", "- - -"])})


@contextmanager
def store_of(scene: Scene) -> Iterator[JobStore]:
    """Give the platform's store."""
    with closing(Connector(address(scene.settings))) as connector:
        yield JobStore(connector, prefix=scene.settings.key_prefix)


FAULTS: Final[Mapping[str, Callable[[Scene], None]]] = {
    fault.__name__: fault
    for fault in (
        kill_one,
        kill_all_but_the_server,
        kill_the_server,
        kill_children,
        freeze_workers,
        freeze_the_server,
        cut_connections,
        take_no_writes,
        restart_in_order,
        lose_messages,
        pause_the_queue,
        change_a_limit,
    )
}
