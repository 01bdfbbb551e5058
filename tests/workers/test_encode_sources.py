"""The encode job on awkward videos."""

from pathlib import Path

import av
import pytest

from tests.workers import _samples_video as samples
from tests.workers._clocks import clock_video, second_of
from tests.workers._encode_runs import make
from tests.workers._numbered import numbered, numbers
from workplatform.errors import BadInputError

SMALL = "160x90"


def times_of(path: Path) -> list[float]:
    with av.open(f"file:{path}") as container:
        return [frame.time for frame in container.decode(video=0) if frame.time is not None]


def heard_from_s(path: Path) -> float:
    """Return when the first packet of sound comes that is no silence."""
    with av.open(f"file:{path}") as container:
        return next(
            frame.time
            for frame in container.decode(audio=0)
            if frame.time is not None and max(map(abs, memoryview(frame.planes[0]).cast("f"))) > 0.05
        )


def brightness(path: Path) -> list[list[int]]:
    """Return the first picture as 8 by 8 levels of grey."""
    with av.open(f"file:{path}") as container:
        plane = next(container.decode(video=0)).reformat(width=8, height=8, format="gray").planes[0]
    content = bytes(plane)
    return [list(content[row * plane.line_size :][:8]) for row in range(8)]


@pytest.mark.parametrize(("degrees", "bright"), [(90, "bottom"), (180, "right"), (-90, "top")])
def test_a_rotated_phone_video_comes_out_upright(tmp_path: Path, degrees: int, bright: str) -> None:
    made = make(samples.turned(tmp_path / "phone.mp4", degrees))

    assert made.size == ((320, 180) if degrees == 180 else (180, 320))
    rows = brightness(made.path)
    halves = {"right": [row[5:] for row in rows], "top": rows[:3], "bottom": rows[5:]}
    assert sum(map(sum, halves[bright])) > 0.9 * sum(map(sum, rows)) * len(halves[bright]) * len(halves[bright][0]) / 32


def test_pictures_of_a_broadcast_that_stand_for_long_keep_their_times(tmp_path: Path) -> None:
    source = numbered(tmp_path / "screen.ts", "lt(t,2)+gt(t,20)")

    make(source)

    was, now = numbers(source), numbers(tmp_path / "out.mp4")
    assert [number for _, number in now] == [number for _, number in was]
    assert [time_s - now[0][0] for time_s, _ in now] == pytest.approx([time_s - was[0][0] for time_s, _ in was])


@pytest.mark.parametrize("pixels", ["yuv422p10le", "yuv444p", "gray", "rgb24"])
def test_every_pixel_format_becomes_the_one_that_players_take(tmp_path: Path, pixels: str) -> None:
    path = tmp_path / "film.mkv"
    encoder = "libx264rgb" if pixels == "rgb24" else "libx264"
    samples.ffmpeg(*samples.picture(SMALL, duration=1), "-c:v", encoder, "-pix_fmt", pixels, path)

    made = make(path)

    assert (made.pixels, len(made.times)) == ("yuv420p", 25)


@pytest.mark.parametrize(("codec", "pixels"), [("qtrle", "argb"), ("ffv1", "bgr0"), ("ffv1", "gbrp")])
def test_red_green_and_blue_become_the_colours_that_players_take_for_granted(
    tmp_path: Path, codec: str, pixels: str
) -> None:
    path = tmp_path / "screen.mov"
    samples.ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "color=0x00C000:s=160x90:r=25:d=0.2",
        "-c:v",
        codec,
        "-pix_fmt",
        pixels,
        "-strict",
        -2,
        path,
    )

    with av.open(f"file:{make(path).path}") as container:
        frame = next(container.decode(video=0))
    assert int(frame.colorspace) == 1
    assert [bytes(plane)[0] for plane in frame.planes] == pytest.approx([134, 64, 53], abs=3)


@pytest.mark.parametrize(("codec", "name"), [("h264", "out.mp4"), ("hevc", "out.mov"), ("av1", "out.mkv")])
def test_ten_bits_are_made_where_they_are_asked_for(tmp_path: Path, codec: str, name: str) -> None:
    source = samples.silent(tmp_path / "film.mp4", "format=yuv422p10le", size=SMALL, duration=0.4)

    made = make(source, name, codec=codec, bitDepth=10)

    assert (made.pixels, made.result["bitDepth"], made.result["hdr"]) == ("yuv420p10le", 10, False)


def test_odd_sizes_become_even_and_pixels_square(tmp_path: Path) -> None:
    odd = samples.silent(tmp_path / "odd.mp4", "format=yuv444p", size="161x91", duration=0.4)
    wide = samples.silent(tmp_path / "wide.mp4", "setsar=4/3", size=SMALL, duration=0.4)

    assert make(odd).size == (160, 90)
    assert make(wide).size == (212, 90)


@pytest.mark.parametrize(("rate", "frames"), [("1", 3), ("120", 120), ("24000/1001", 24)])
def test_every_frame_rate_is_kept(tmp_path: Path, rate: str, frames: int) -> None:
    duration = 3 if rate == "1" else 1
    source = samples.plain(tmp_path / "film.mp4", size=SMALL, rate=rate, duration=duration)

    made = make(source)

    assert len(made.times) == frames
    assert [float(time) for time in made.times] == pytest.approx(times_of(source), abs=1e-6)


@pytest.mark.parametrize("name", ["out.mp4", "out.webm"])
def test_variable_frame_rate_keeps_each_frame_at_its_time(tmp_path: Path, name: str) -> None:
    source = samples.silent(
        tmp_path / "screen.mp4", "select='lt(t,1)*not(mod(n,5))+gte(t,1)*not(mod(n,3))'", size=SMALL, duration=2
    )

    made = make(source, name)

    assert [float(time) for time in made.times] == pytest.approx(times_of(source), abs=0.001)


def test_half_pictures_after_whole_ones_are_woven_too(tmp_path: Path) -> None:
    broadcast = ("-c:v", "mpeg2video", "-q:v", 3, "-pix_fmt", "yuv420p")
    whole, half, joined = (tmp_path / f"{name}.ts" for name in ("whole", "half", "joined"))
    samples.ffmpeg(*samples.picture(SMALL, duration=1), *broadcast, whole)
    weave = ("-vf", "interlace", "-flags", "+ilme+ildct", "-output_ts_offset", 1)
    samples.ffmpeg(*samples.picture(SMALL, 50, 1), *weave, *broadcast, half)
    joined.write_bytes(whole.read_bytes() + half.read_bytes())

    made = make(joined)

    assert "bwdif" in made.command
    assert len(made.times) == 50


def test_half_pictures_are_woven_into_whole_ones(tmp_path: Path) -> None:
    made = make(samples.interlaced(tmp_path / "tape.mp4"))

    assert "bwdif" in made.command
    assert len(made.times) == 50


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("film.avi", ("-c:v", "mpeg4", "-bf", "2", "-c:a", "mp3")),
        ("film.mpg", ("-c:v", "mpeg2video", "-c:a", "mp2")),
        ("film.h264", ("-c:v", "libx264", "-an", "-f", "h264")),
        ("film.gif", ("-r", "10")),
        ("film.mov", ("-c:v", "prores", "-c:a", "pcm_s24le")),
    ],
)
def test_usual_containers_and_missing_timestamps_are_read(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    source = samples.in_format(tmp_path / name, *options, size=SMALL)
    with av.open(f"file:{source}") as container:
        frames = sum(1 for _ in container.decode(video=0))

    made = make(source)

    assert abs(len(made.times) - frames) <= 1
    assert made.result["duration"] == pytest.approx(2, abs=0.25)


def test_a_clock_that_does_not_start_at_zero_changes_nothing(tmp_path: Path) -> None:
    source = samples.shifted(tmp_path / "broadcast.ts", start_s=10_000)

    whole, part = make(source), make(source, "part.mp4", trim={"start": 5, "end": 6})

    assert (len(whole.times), len(part.times)) == (175, 25)
    assert 0 <= part.times[0] < 0.04


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.ts"])
def test_a_part_from_before_the_first_picture_has_the_sound_from_there_on(tmp_path: Path, name: str) -> None:
    late = ("-itsoffset", 3, *samples.picture(SMALL, duration=3))
    tone = ("-f", "lavfi", "-i", "sine=duration=6:sample_rate=48000")
    samples.ffmpeg(*late, *tone, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", tmp_path / name)

    made = make(tmp_path / name, "part.mp4", trim={"start": 1, "end": 5})

    assert len(made.times) == 50 and made.times[0] == pytest.approx(2, abs=0.03)
    assert heard_from_s(made.path) < 0.05


def test_a_truncated_video_is_encoded_as_far_as_it_goes(tmp_path: Path) -> None:
    source = samples.plain(tmp_path / "film.mp4", size=SMALL, duration=10)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])

    made = make(source)

    assert 3 < made.result["duration"] < 7
    assert any(line.startswith("the video ends early: ") for line in made.log)


def test_of_a_video_that_is_mostly_missing_the_rest_is_encoded(tmp_path: Path) -> None:
    source = samples.silent(tmp_path / "film.mkv", size=SMALL, duration=4)
    holes = samples.rewrapped(source, tmp_path / "holes.mp4", "-movflags", "+faststart")
    data = holes.read_bytes()
    there = data.index(b"mdat") + len(data) // 5
    holes.write_bytes(data[:there] + bytes(len(data) - there))

    made = make(holes)

    assert 5 < len(made.times) < 50


def test_a_damaged_sound_that_cannot_be_copied_is_encoded(tmp_path: Path) -> None:
    source = samples.plain(tmp_path / "film.ts", size=SMALL, duration=4)
    data = bytearray(source.read_bytes())
    of_sound = [at for at in range(0, len(data), 188) if data[at + 1] & 0x1F == 1 and data[at + 2] == 1]
    for at in of_sound[len(of_sound) // 3 : len(of_sound) // 2]:
        data[at + 60 : at + 188] = bytes(128)
    source.write_bytes(data)

    made = make(source)

    assert made.result["audio"][0]["copied"] is False
    assert "a sound is damaged, which cannot be copied: it is encoded" in made.log
    assert len(made.times) > 50


def test_frames_that_an_edit_list_hides_stay_hidden(tmp_path: Path) -> None:
    whole = samples.plain(tmp_path / "whole.mp4", size=SMALL)
    source = tmp_path / "edited.mp4"
    samples.ffmpeg("-ss", "1.2", "-i", whole, "-c", "copy", source)

    made = make(source)

    assert len(made.times) == 20
    assert made.result["duration"] == pytest.approx(0.8, abs=0.05)


def test_a_part_of_joined_recordings_may_lie_behind_the_first(tmp_path: Path) -> None:
    one = clock_video(tmp_path / "one.ts", seconds=5)
    source = tmp_path / "joined.ts"
    source.write_bytes(2 * one.read_bytes())

    made = make(source, trim={"start": 4, "end": 8})

    assert made.result["duration"] == pytest.approx(4, abs=0.05)
    with av.open(str(made.path)) as video:
        pictures = [frame.to_image() for frame in video.decode(video=0)]  # type: ignore[no-untyped-call]
    assert [second_of(picture) for picture in pictures[::10]] == [4, 0, 1, 2]
    assert make(source, trim={"start": "50%"}).result["duration"] == pytest.approx(5, abs=0.2)


@pytest.mark.parametrize(("codec", "side"), [("h264", 16), ("hevc", 32), ("av1", 16), ("vp9", 16)])
def test_a_tiny_picture_is_enough(tmp_path: Path, codec: str, side: int) -> None:
    source = samples.silent(tmp_path / "tiny.mp4", size=f"{side}x{side}", duration=0.2)
    assert make(source, codec=codec).size == (side, side)


def test_a_picture_too_small_for_its_codec_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="at least 32 pixels each way, this one would be 16x8: give a larger width"):
        make(samples.silent(tmp_path / "small.mp4", size=SMALL, duration=0.2), codec="hevc", width=16)


def test_a_picture_of_av1_too_small_for_a_size_is_refused_before_it_is_encoded(tmp_path: Path) -> None:
    source = samples.silent(tmp_path / "small.mp4", size="96x62", duration=0.2)
    with pytest.raises(BadInputError, match=r"at least 64 pixels each way where size .* 96x62: .* or a crf"):
        make(source, codec="av1", targetSize="100k")
    assert make(source, codec="av1", crf=40).size == (96, 62)


def test_sounds_of_an_unusual_layout_are_kept(tmp_path: Path) -> None:
    tones = ("-f", "lavfi", "-i", f"aevalsrc={'|'.join(['0.1*sin(2000*t)'] * 8)}:d=0.4:s=48000")
    layout = "channelmap=0|1|2|3|4|5|6|7:FL+FR+FC+LFE+BL+BR+DL+DR"
    options = ("-af", layout, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "pcm_s16le")
    samples.ffmpeg(*tones, *samples.picture(SMALL, duration=0.4), *options, tmp_path / "odd.mov")

    for name in ("out.mp4", "out.webm"):
        assert make(tmp_path / "odd.mov", name).sounds[0][1] > 1


def test_a_single_picture_is_a_video_too(tmp_path: Path) -> None:
    source = samples.silent(tmp_path / "still.mp4", size=SMALL, duration="0.04")

    assert len(make(source).times) == 1


def test_a_picture_that_changes_size_keeps_the_first_one(tmp_path: Path) -> None:
    first = samples.plain(tmp_path / "a.ts", size=SMALL)
    second, moved = samples.plain(tmp_path / "b.ts", size="80x60"), tmp_path / "c.ts"
    samples.ffmpeg("-i", second, "-c", "copy", "-output_ts_offset", 2, moved)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + moved.read_bytes())

    made = make(joined)

    assert made.size == (160, 90)
    assert made.result["duration"] == pytest.approx(4, abs=0.2)
