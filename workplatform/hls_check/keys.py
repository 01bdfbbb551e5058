"""The keys of encrypted segments, as far as they are files here."""

from contextlib import suppress
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from workplatform.hls_check.findings import Findings, Place
from workplatform.hls_check.folder import Folder
from workplatform.hls_check.media import Key

_KEY_BYTES = 16


class KeyRing:
    """Finds keys; those at remote URIs are taken by their file name from `key_folder`, if it is given."""

    def __init__(self, folder: Folder, findings: Findings, key_folder: Path | None) -> None:
        self._folder = folder
        self._findings = findings
        self._key_folder = key_folder
        self._known: dict[tuple[str, str], tuple[bool, bytes | None]] = {}

    def key_of(self, key: Key | None, place: Place) -> tuple[bool, bytes | None]:
        """Return whether what is encrypted so can be read, and with which key."""
        if key is None:
            return True, None
        mark = f"{key.line}", place.file
        if mark not in self._known:
            self._known[mark] = self._look(key, Place(place.file, key.line))
        return self._known[mark]

    def _look(self, key: Key, place: Place) -> tuple[bool, bytes | None]:
        if key.method != "AES-128" or not key.is_identity:
            self._findings.add("key-unknown", place, f"METHOD={key.method} with KEYFORMAT={key.key_format}")
            return False, None
        path = self._path(key.uri, place) if key.uri else None
        if path is None:
            return False, None
        with path.open("rb") as file:
            content = file.read(_KEY_BYTES + 1)
        if len(content) != _KEY_BYTES:
            size = path.stat().st_size
            self._findings.add("key-length", place, f"the key file {path.name} has {size} bytes")
            return False, None
        return True, content

    def _path(self, uri: str, place: Place) -> Path | None:
        if self._key_folder is None or not self._folder.is_remote(uri):
            return self._folder.find(uri, place)
        path = self._key_folder / PurePosixPath(unquote(urlsplit(uri).path)).name
        with suppress(OSError):  # the name may be too long for a file
            if path.is_file():
                return path
        self._findings.add("file-missing", place, f"{self._key_folder} has no key {path.name[:120]}")
        return None
