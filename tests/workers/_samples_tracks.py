"""Small videos with several sounds and subtitles."""

import struct
from pathlib import Path

from tests.workers._samples_video import ffmpeg, picture

# Hertz of each language's tone, by which it is known again.
TONES = {"en": 400, "de": 800, "fr": 1600}

_SRT = """1
00:00:01,000 --> 00:00:03,500
Hello <i>you</i> & <b>me</b> {\\an8}a --> b

2
00:00:05,000 --> 00:00:07,250
over the <font color="red">cut</font>
in two lines

3
00:00:12,000 --> 00:00:12,900
1 < 2 {no tag}
"""
_ASS = """[Script Info]
ScriptType: v4.00+
[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,20,&H00FFFFFF,&H0,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:02.00,0:00:04.00,Default,,0,0,0,,{\\i1}schr{\\b1}äg{\\i0}, fett{\\r}\\Nneu{a note}
Dialogue: 0,0:00:06.50,0:00:08.00,Default,,0,0,0,,{\\p1}m 0 0 l 100 0 100 100{\\p0}
Dialogue: 0,0:00:06.50,0:00:08.00,Default,,0,0,0,,Text
"""
_VTT = """WEBVTT

00:03.000 --> 00:04.000
Voici <i>le</i> &lt;texte&gt; &amp; <c.rouge>rouge</c>

00:05.500 --> 00:06.500
<v Anna>Deux
"""


def three_languages(path: Path, *, picture_s: float = 13, shortest_s: float = 9) -> Path:
    """Make a Matroska video with a tone and subtitles for each of three languages, the last tone a shorter one."""
    for suffix, text in (("srt", _SRT), ("ass", _ASS), ("vtt", _VTT)):
        path.with_suffix(f".{suffix}").write_text(text, "utf-8")
    lengths = (picture_s, picture_s, shortest_s)
    tones = [_tone(hertz, length_s) for hertz, length_s in zip(TONES.values(), lengths, strict=True)]
    texts = [("-i", path.with_suffix(suffix)) for suffix in (".srt", ".ass", ".vtt")]
    languages = [
        option
        for number, code in enumerate(("eng", "ger", "fre"))
        for kind in "as"
        for option in (f"-metadata:s:{kind}:{number}", f"language={code}")
    ]
    inputs = [option for source in (*tones, *texts) for option in source]
    maps = [option for number in range(7) for option in ("-map", number)]
    codecs = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-c:s", "copy")
    forced = ("-disposition:s:1", "forced", "-metadata:s:s:2", 'title=Pour "tous" {$a}')
    ffmpeg(*picture("160x90", 10, picture_s), *inputs, *maps, *codecs, *languages, *forced, path)
    return path


def _tone(hertz: int, length_s: float) -> tuple[str, ...]:
    """Return input arguments of a tone of five seconds, and silence after it: that takes AAC less work."""
    tone = f"sine=frequency={hertz}:sample_rate=48000:duration={length_s}"
    return ("-f", "lavfi", "-i", f"{tone},volume='lt(t,5)':eval=frame")


def as_mp4(source: Path, path: Path) -> Path:
    """Make an MP4 file of the picture, the first sound and the first subtitles of a video."""
    ffmpeg("-i", source, *("-map", "0:v", "-map", "0:a:0", "-map", "0:s:0"), *("-c", "copy", "-c:s", "mov_text"), path)
    return path


def with_commentary(path: Path) -> Path:
    """Make a video with two sounds in one language, the second one a commentary that says so."""
    tones = (*_tone(400, 2), *_tone(800, 2))
    named = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=eng", "-metadata:s:a:1", "title=Director")
    ffmpeg(*picture("160x90", 10), *tones, "-map", 0, "-map", 1, "-map", 2, "-c:a", "aac", *named, path)
    return path


def with_drawn_subtitles(path: Path) -> Path:
    """Make a Matroska video whose subtitles are pictures: the smallest of a Blu-ray disc, which clears the screen."""
    drawn = path.with_suffix(".sup")
    screen = struct.pack(">HHBHBBBB", 160, 90, 0x10, 0, 0x80, 0, 0, 0)
    parts = ((0x16, screen), (0x80, b""))
    drawn.write_bytes(
        b"".join(b"PG" + struct.pack(">IIBH", 90_000, 0, kind, len(content)) + content for kind, content in parts)
    )
    kept = ("-map", 0, "-map", 1, "-c:s", "copy", "-metadata:s:s:0", "language=jpn")
    ffmpeg(*picture("160x90", 10), "-i", drawn, *kept, path)
    return path
