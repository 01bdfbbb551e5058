"""Media playlists with what their segments really hold."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from workplatform.hls_check.facts import Facts, Track
from workplatform.hls_check.findings import Place
from workplatform.hls_check.media import MediaPlaylist, Segment

Role = Literal["video", "audio", "subtitles", "iframes"]
# Moments of transport streams start again at this tick.
_WRAP = 1 << 33
# Real runs have some segments; without an end here, a hostile playlist costs the square of its length.
_MOST_IN_A_RUN = 200


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment and what was read of it; None where nothing could be."""

    segment: Segment
    facts: Facts | None
    size_bytes: int


@dataclass(frozen=True)
class Stream:
    """A media playlist that was read whole."""

    playlist: MediaPlaylist
    pieces: Sequence[Piece]

    def place(self, piece: Piece) -> Place:
        """Return where a segment is listed."""
        return self.playlist.place(piece.segment.line)

    @cached_property
    def read(self) -> list[tuple[Piece, Facts]]:
        """The segments that could be read."""
        return [(piece, piece.facts) for piece in self.pieces if piece.facts is not None]

    @property
    def facts(self) -> Facts | None:
        """What the first readable segment holds."""
        return next((facts for _, facts in self.read if facts.tracks or facts.text is not None), None)

    @property
    def first_s(self) -> float | None:
        """When its first segment begins by its own clock."""
        facts = self.pieces[0].facts if self.pieces else None
        return facts.main.first_s if facts and facts.main else None

    @property
    def is_measured(self) -> bool:
        """Whether the sizes of all segments are known."""
        return bool(self.pieces) and all(piece.size_bytes for piece in self.pieces) and self.playlist.duration_s > 0

    @property
    def average_bps(self) -> float:
        """Bits per second of all segments."""
        return 8 * sum(piece.size_bytes for piece in self.pieces) / self.playlist.duration_s

    @cached_property
    def peak_bps(self) -> float:
        """Bits per second of the most demanding run of half to one and a half target durations (section 4.4.6.2)."""
        return max(self._runs(0.5 * (self.playlist.target_s or 1)), default=self.average_bps)

    @cached_property
    def highest_bps(self) -> float:
        """As `peak_bps`, with shorter runs down to a second, which some packagers count."""
        return max(self._runs(1.0), default=self.average_bps)

    def _runs(self, shortest_s: float) -> Iterator[float]:
        longest_s = 1.5 * (self.playlist.target_s or math.inf)
        for first in range(len(self.pieces)):
            bits, run_s = 0, 0.0
            for piece in self.pieces[first : first + _MOST_IN_A_RUN]:
                bits, run_s = bits + 8 * piece.size_bytes, run_s + piece.segment.duration_s
                if run_s > longest_s:
                    break
                if run_s >= shortest_s:
                    yield bits / run_s

    def frame_rate(self) -> float | None:
        """Frames per second over all segments; None where the rate varies, and for too few pictures to show one."""
        tracks = [facts.video for _, facts in self.read if facts.video]
        if not any(track.is_steady for track in tracks) or any(not one.is_steady for one in tracks[:-1]):
            return None
        count = sum(track.count for track in tracks)
        shown_s = sum(track.duration_s for track in tracks)
        return count / shown_s if count > 1 and shown_s else None


def apart(earlier: int, later: int, facts: Facts) -> int:
    """Return the ticks between two moments; the clock of transport streams may start again between them."""
    if facts.container != "ts":
        return later - earlier
    return (later - earlier + _WRAP // 2) % _WRAP - _WRAP // 2


def step_s(one: Track, other: Track, facts: Facts) -> float:
    """Return the seconds between the first samples of two tracks."""
    return float(apart(one.first, other.first, facts) * one.tick)
