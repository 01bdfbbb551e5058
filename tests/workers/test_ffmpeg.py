"""ffmpeg: which one is run, and what is made of what it says."""

import pytest

from workers._ffmpeg import Progress, ProgressReader, binary, failure_reason, is_disk_full

REPORT = """frame=90
fps=45.1
stream_0_0_q=28.0
out_time_us=3000000
out_time=00:00:03.000000
speed=1.5x
progress=continue"""


def fed(*reports: str) -> Progress:
    reader = ProgressReader()
    for line in "\n".join(reports).splitlines():
        reader.feed(line)
    return reader.latest


def test_a_report_is_complete_with_its_last_line() -> None:
    reader = ProgressReader()
    *before, last = REPORT.splitlines()

    assert all(reader.feed(line) is None for line in before)
    assert reader.feed(last) == Progress(written_s=3.0, frames=90, speed=1.5)


def test_what_ffmpeg_does_not_know_yet_keeps_its_last_value() -> None:
    unknown = "frame=91\nout_time_us=N/A\nspeed=N/A\nprogress=continue"

    assert fed(REPORT, unknown) == Progress(written_s=3.0, frames=91, speed=1.5)
    assert fed(unknown) == Progress(written_s=0.0, frames=91, speed=None)


def test_written_time_never_goes_backwards() -> None:
    assert fed(REPORT, "out_time_us=-5\nprogress=end").written_s == 3.0


@pytest.mark.parametrize(
    ("code", "lines", "reason"),
    [
        (
            187,
            [
                "[vost#0:0/libx264 @ 0x5] [enc:libx264 @ 0x5] Error while opening encoder - maybe wrong parameters.",
                "[vf#0:0 @ 0x5] Error sending frames to consumers: Generic error",
                "[vf#0:0 @ 0x5] Task finished with error code: -22 (Invalid argument)",
                "[vf#0:0 @ 0x5] Terminating thread with return code -22 (Invalid argument)",
                "Conversion failed!",
            ],
            "Error while opening encoder - maybe wrong parameters",
        ),
        (8, ["Unknown encoder 'libx264'"], "Unknown encoder 'libx264'"),
        (1, ["", "Conversion failed!"], "it ended with code 1"),
        (-9, [], "it was ended by signal 9"),
    ],
)
def test_the_reason_is_ffmpegs_own_sentence(code: int, lines: list[str], reason: str) -> None:
    assert failure_reason(code, lines) == reason


def test_a_full_disk_is_recognised() -> None:
    assert is_disk_full(["[tee @ 0x1] Error writing: No space left on device", "Conversion failed!"])
    assert not is_disk_full(["Conversion failed!"])


def test_the_environment_chooses_the_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FFMPEG_BIN", "/opt/ffmpeg")
    assert binary() == "/opt/ffmpeg"

    monkeypatch.setenv("FFMPEG_BIN", "")
    assert "imageio_ffmpeg" in binary()
