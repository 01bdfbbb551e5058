"""How many channels a sound has, asked in a way that PyAV survives."""

import ctypes
from typing import Protocol


class Layout(Protocol):
    """The channels of a sound, as PyAV hands them out."""

    @property
    def nb_channels(self) -> int:
        """How many there are."""


class Sounding(Protocol):
    """What PyAV has a layout of: the codec context of an audio stream."""

    @property
    def layout(self) -> Layout:
        """The layout; each asking makes another copy."""


def channel_count(context: Sounding) -> int:
    """Return the number of channels; 0 if it is not known.

    A layout that PyAV (18) hands out is a shallow copy. Its end frees the list of channels that an unusual layout has,
    the file frees it again, and the process is gone. So the copy is kept for ever: some hundred bytes for each sound.
    """
    layout = context.layout
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(layout))
    return layout.nb_channels
