"""Text that can be told: names of files may hold bytes that are no text, which neither JSON nor Redis can carry."""


def well_formed(text: str) -> str:
    """Return the text with a question mark for each part of it that no encoding knows (a lone surrogate)."""
    return text.encode("utf-8", "replace").decode()
