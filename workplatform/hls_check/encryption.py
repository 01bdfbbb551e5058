"""AES-128 as HLS uses it: CBC over whole segments, with padding (RFC 8216bis, section 4.4.4.4)."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK_BYTES = 16


class WrongKeyError(Exception):
    """A segment does not open with its key."""


def decrypted(data: bytes, key: bytes, iv: bytes | None) -> bytes:
    """Decrypt a segment. Raises WrongKeyError."""
    if len(data) % BLOCK_BYTES or not data:
        raise WrongKeyError(f"its {len(data)} bytes are no whole number of AES blocks")
    opener = Cipher(algorithms.AES(key), modes.CBC(iv or bytes(BLOCK_BYTES))).decryptor()
    plain = opener.update(data) + opener.finalize()
    padding = plain[-1]
    if not 1 <= padding <= BLOCK_BYTES or plain[-padding:] != bytes([padding]) * padding:
        raise WrongKeyError("it does not open with its key and IV: the padding is wrong")
    return plain[:-padding]
