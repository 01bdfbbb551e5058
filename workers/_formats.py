"""The picture formats that jobs write, by the extension of the file's name."""

from typing import Literal

from workers._names import extension

Format = Literal["webp", "jpg", "png", "avif"]

FORMATS: dict[str, Format] = {
    ".webp": "webp",
    ".jpg": "jpg",
    ".jpeg": "jpg",
    ".png": "png",
    ".avif": "avif",
}


def format_of(path: str) -> Format:
    """Return the format that the extension names, which has been checked."""
    return FORMATS[extension(path)]


def check_extension(path: str) -> str:
    """Return the path as it is. Raises ValueError, with a sentence for a person, if its extension names no format."""
    if extension(path) not in FORMATS:
        raise ValueError(f"{path!r} must end in {', '.join(FORMATS)}")
    return path
