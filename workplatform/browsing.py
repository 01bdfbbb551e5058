"""Which browser the platform drives, which Python drives it, and what dead browsers leave on disk."""

import fcntl
import os
import shutil
import sys
from pathlib import Path

from workplatform.errors import BrowserMissingError

INSTALL = "workplatform browser install"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def program(named: str | None = None) -> str:
    """Return the Chromium to run: `named`, by default CHROMIUM_BIN, else the first one on the path.

    Raises BrowserMissingError, which says the mend.
    """
    wanted = os.environ.get("CHROMIUM_BIN", "") if named is None else named
    if wanted:
        if found := shutil.which(wanted):
            return found
        raise BrowserMissingError(f"CHROMIUM_BIN={wanted} is no program: correct it, or leave it empty")
    if found := next(filter(None, map(shutil.which, _NAMES)), None):
        return found
    raise BrowserMissingError(
        "there is no Chromium: install it (Debian, Ubuntu: apt install chromium), or set CHROMIUM_BIN"
    )


def environment() -> Path:
    """Return where `workplatform browser install` puts the driver's environment: within the platform's own."""
    return Path(sys.prefix) / "browser"


def python(named: str | None = None) -> str:
    """Return the Python with pyppeteer: `named`, by default BROWSER_PYTHON, else that of environment(), else this one.

    Raises BrowserMissingError for a named one that does not exist.
    """
    wanted = os.environ.get("BROWSER_PYTHON", "") if named is None else named
    if wanted:
        if found := shutil.which(wanted):
            return found
        raise BrowserMissingError(f"BROWSER_PYTHON={wanted} is no program: correct it, or leave it empty")
    own = environment() / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def sweep_profiles(folder: Path) -> int:
    """Remove the profiles in `folder` whose drivers are dead; returns how many.

    A living driver holds a lock on its profile, and takes its turn before it makes one.
    """
    if not folder.is_dir():
        return 0
    with (folder / "lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        return sum(map(_sweep, folder.glob("profile-*")))


def _sweep(profile: Path) -> bool:
    try:
        fd = os.open(profile, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # its driver has just removed it
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        shutil.rmtree(profile, ignore_errors=True)
        return True
    finally:
        os.close(fd)
