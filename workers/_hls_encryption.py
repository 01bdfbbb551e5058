"""AES-128 encryption of HLS segments (RFC 8216bis sections 4.4.4.4 and 5): keys, what players are told, the sealing.

Segments are encrypted whole and last, when everything has been measured. Key and initialization vector of a segment
follow from its number alone, so that it does not matter who seals it, when, and how often.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from workers._hls_master import KEY_PATTERN
from workers._hls_models import KEY_MARK, Encryption
from workers._hls_playlist import INIT, MediaPlaylist, map_line

_KEY_BYTES = 16
_BLOCK_BITS = 128
_CHUNK_BYTES = 1 << 20
# An initialization section has no number: its vector is one that is no segment's.
_INIT_IV = bytes([0xFF]) * 16


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of one stream: random, kept in its `folder`, and made when they are first asked for."""

    folder: Path
    encryption: Encryption

    def sealed(self, playlist: MediaPlaylist) -> MediaPlaylist:
        """Return what players are told of a playlist whose segments are encrypted; sizes are those of the sealed files.

        The initialization section has an initialization vector of its own, as it has no number (section 4.4.4.5);
        segments have their number as theirs (section 5.2).
        """
        head: tuple[str, ...] = ()
        if playlist.head:
            first = self._key_line(0)
            head = (f"{first},IV=0x{_INIT_IV.hex()}", map_line(INIT))
        segments = tuple(
            replace(segment, size_bytes=_sealed_size(segment.size_bytes), keys=self._lines(number))
            for number, segment in enumerate(playlist.segments)
        )
        return MediaPlaylist(segments, head)

    def seal(self, folder: Path, playlist: MediaPlaylist, watch: Callable[[], None]) -> None:
        """Encrypt the files of a playlist in place; `watch` is asked all along and may end it by raising."""
        if playlist.head:
            self._seal_file(folder / INIT, 0, _INIT_IV, watch)
        for number, segment in enumerate(playlist.segments):
            self.seal_segment(folder / segment.name, number, watch)

    def seal_segment(self, path: Path, number: int, watch: Callable[[], None]) -> None:
        """Encrypt the file of one segment in place."""
        self._seal_file(path, self._key_number(number), number.to_bytes(_KEY_BYTES, "big"), watch)

    def _seal_file(self, path: Path, key: int, iv: bytes, watch: Callable[[], None]) -> None:
        encryptor = Cipher(AES(self._key(key)), CBC(iv)).encryptor()
        padder = PKCS7(_BLOCK_BITS).padder()
        sealed = path.with_name(f"{path.name}.sealed")
        with path.open("rb") as plain, sealed.open("wb") as target:
            while chunk := plain.read(_CHUNK_BYTES):
                watch()
                target.write(encryptor.update(padder.update(chunk)))
            target.write(encryptor.update(padder.finalize()) + encryptor.finalize())
        sealed.replace(path)

    def _key_number(self, segment: int) -> int:
        return segment // self.encryption.rotate_every if self.encryption.rotate_every else 0

    def _key(self, number: int) -> bytes:
        path = self.folder / (KEY_PATTERN % number)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            fresh = path.with_suffix(".fresh")
            fresh.write_bytes(os.urandom(_KEY_BYTES))
            fresh.replace(path)
        return path.read_bytes()

    def _lines(self, segment: int) -> tuple[str, ...]:
        """Return what changes before this segment."""
        number = self._key_number(segment)
        return (self._key_line(number),) if segment == 0 or number != self._key_number(segment - 1) else ()

    def _key_line(self, number: int) -> str:
        asked = self.encryption.key_url
        url = asked.replace(KEY_MARK, f"{number:03}") if asked else f"../{KEY_PATTERN % number}"
        return f'#EXT-X-KEY:METHOD=AES-128,URI="{url}"'


def _sealed_size(size_bytes: int) -> int:
    """Return the size after padding, which is never nothing."""
    return (size_bytes // _KEY_BYTES + 1) * _KEY_BYTES
