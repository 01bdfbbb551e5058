"""File names as payloads give them."""


def extension(path: str) -> str:
    """Return the extension in lower case, with its dot; empty if there is none."""
    # As os.path.splitext does, in a third of its time, which every submission pays.
    name = path[path.rfind("/") + 1 :].lstrip(".")
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""
