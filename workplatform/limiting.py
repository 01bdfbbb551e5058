"""What may be asked of limits: to show, set and take them back, and to write down those that settings name."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from workplatform.errors import PlatformError
from workplatform.limits import Limit
from workplatform.store.limits import LimitBook, LimitState
from workplatform.submission import checked

KINDS: Final = {"types": "type", "keys": "key"}


class LimitNotFoundError(PlatformError):
    """There is no such job type or API key."""

    code = "limit_not_found"


class LimitService:
    """The use cases. Every method may raise StoreUnavailableError."""

    def __init__(
        self,
        book: LimitBook,
        *,
        types: Collection[str],
        keys: Collection[str],
        configured: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._book = book
        self._known = {"types": types, "keys": keys}
        self._configured = configured

    def publish(self) -> None:
        """Have the limits that this process's settings name count for the fleet, where none is set at run time."""
        self._book.configure(self._configured)

    def all(self) -> list[dict[str, Any]]:
        """Return every limit that is set, configured, or waited for, by name."""
        return [_document(state) for state in sorted(self._book.states(), key=lambda state: state.name)]

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Return the limit of a type or a key, whether it has one or not; raises LimitNotFoundError."""
        return self._shown(self._name(kind, name))

    def put(self, kind: str, name: str, document: object) -> dict[str, Any]:
        """Set the limit of a type or a key; raises LimitNotFoundError or InvalidSubmissionError.

        Jobs that run go on, however many they are; jobs that wait begin as far as there is room.
        """
        wanted = self._name(kind, name)
        self._book.put(wanted, checked(Limit, document, "").stored())
        return self._shown(wanted)

    def take_back(self, kind: str, name: str) -> dict[str, Any]:
        """Let what the settings say count again; raises LimitNotFoundError."""
        wanted = self._name(kind, name)
        self._book.take_back(wanted)
        return self._shown(wanted)

    def _shown(self, wanted: str) -> dict[str, Any]:
        found = [state for state in self._book.states() if state.name == wanted]
        return _document(found[0] if found else LimitState(wanted, None, None, 0, 0))

    def _name(self, kind: str, name: str) -> str:
        """Return what the store calls a limit; one that is set may be of a type or a key that is gone."""
        if kind not in KINDS:
            raise LimitNotFoundError(f"there are no limits of {kind}; there are those of {' and '.join(KINDS)}")
        wanted = f"{KINDS[kind]}:{name}"
        if name not in self._known[kind] and all(state.name != wanted for state in self._book.states()):
            known = ", ".join(sorted(self._known[kind]))
            raise LimitNotFoundError(f"there is no {KINDS[kind]} {name!r}; there are {known}")
        return wanted


def _document(state: LimitState) -> dict[str, Any]:
    kind, _, name = state.name.partition(":")
    by = None
    if kind == "concurrency":
        by, _, name = name.partition(":")
    limit = state.changed if state.changed is not None else state.configured or {}
    return {
        "kind": "concurrencyKey" if by else kind,
        "name": name,
        "apiKey": by,
        "concurrency": limit.get("concurrency"),
        "rate": limit.get("rate"),
        "burst": limit.get("burst"),
        "source": _source(state),
        "running": state.running,
        "waiting": state.waiting,
    }


def _source(state: LimitState) -> str | None:
    if state.changed is not None:
        return "api"
    return "settings" if state.configured is not None else None
