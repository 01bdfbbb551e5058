"""Making the renditions of one ladder: what ffmpeg is told, what is taken of it, and what is shown on the way."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from workers._hls_command import ladder_command
from workers._hls_early import EarlyPlay, may_play_early, span_ahead
from workers._hls_encoding import Encoder, encode, run
from workers._hls_plan import Ladder
from workers._hls_resume import Groups
from workers._hls_segments import Intake
from workers._hls_span import Span
from workers._probe import SourceVideo
from workplatform.context import JobContext, Output

# How often ffmpeg tells how far it is, while somebody waits for the first segment.
_SHORT_PERIOD = ("-stats_period", "0.05")


@dataclass(frozen=True, slots=True)
class Renditions:
    """What all ways to make the renditions of a video have in common.

    `made_from` names the source and the settings, `are_final` says that nothing more is done to segments that are
    complete, `is_early` that the lowest rendition is to be seen before the others are made.
    """

    source: Path
    video: SourceVideo
    made_from: str
    are_final: bool
    is_early: bool

    def make(self, job: JobContext, output: Output, ladder: Ladder) -> int:
        """Make the renditions of a ladder in the output; return the number of pictures that each has."""
        names = [rung.name for rung in ladder.rungs]
        groups = Groups(output, names, f"{self.made_from} {ladder.passage}")
        encoder = Encoder(
            names=names,
            copied=[rung.name for rung in ladder.rungs if ladder.is_copied(rung)],
            command=partial(self._command, ladder),
            duration_s=self.video.duration_s,
        )
        lowest = min(ladder.rungs, key=lambda rung: rung.width * rung.height).name
        early = None
        if self.is_early and may_play_early(job, output):
            early = EarlyPlay(job, output, groups, lowest, self.video)

        def on_segments(name: str, numbers: Sequence[int]) -> None:
            # A copy may turn out not to fit, and all is made again.
            if self.are_final and not encoder.copied:
                for number in numbers:
                    output.finish(groups.file(name, number))
            if early and name == lowest:
                early.look()

        if early:
            early.look()
            self._go_ahead(job, encoder, groups, lowest, early)
        return encode(job, encoder, groups, on_segments)

    def _go_ahead(self, job: JobContext, encoder: Encoder, groups: Groups, lowest: str, early: EarlyPlay) -> None:
        """Make the first segments of the lowest rendition before all else, unless there are some."""
        ahead = span_ahead(self.video)
        if ahead is None or groups.playlist(lowest).segments:
            return
        count, span = ahead
        intake = Intake(job, groups, [lowest], seam=None, on_segments=lambda _name, _all: early.look(), at_most=count)
        run(job, encoder, intake, span)

    def _command(self, ladder: Ladder, names: Sequence[str], span: Span) -> list[str]:
        part = replace(ladder, rungs=tuple(rung for rung in ladder.rungs if rung.name in names))
        if ladder.pauses:
            # Else a span that begins while a picture stands would be without it.
            span = replace(span, seek_s=max(0.0, span.seek_s - ladder.pauses.longest_s))
        program, *words = ladder_command(self.source, self.video, part, span)
        return [program, *words] if span.end_s is None else [program, *_SHORT_PERIOD, *words]
