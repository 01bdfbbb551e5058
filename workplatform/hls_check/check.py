"""Checking a folder: which playlists there are, and every rule on each of them and on all together."""

from dataclasses import dataclass, field
from pathlib import Path

from workplatform.hls_check.alignment_rules import judge_alignment
from workplatform.hls_check.authoring_rules import advise_on_master, advise_on_media
from workplatform.hls_check.bandwidth_rules import judge_bandwidths
from workplatform.hls_check.codec_rules import judge_codecs
from workplatform.hls_check.entries import Entry, EntryReader, is_master
from workplatform.hls_check.findings import Findings, Place, Report
from workplatform.hls_check.folder import Folder
from workplatform.hls_check.iframe_rules import judge_iframes
from workplatform.hls_check.master import MasterPlaylist, read_master
from workplatform.hls_check.master_rules import judge_master
from workplatform.hls_check.media import MediaPlaylist, read_media
from workplatform.hls_check.media_rules import judge_media
from workplatform.hls_check.reading import SegmentReader, segment_reader
from workplatform.hls_check.rendition_rules import judge_renditions
from workplatform.hls_check.segment_rules import judge_segments
from workplatform.hls_check.streams import Stream
from workplatform.hls_check.subtitle_rules import judge_subtitles

_MASTER = "master.m3u8"


def check(path: Path, *, root: Path | None = None, keys: Path | None = None, reads_media: bool = True) -> Report:
    """Check a playlist and all that it names, or the master.m3u8 of a folder.

    Nothing outside of `root` is opened, by default the playlist's folder; `keys` is a folder with the keys that have
    remote URIs. Without `reads_media`, segments are looked for and not read.
    """
    entrance = path / _MASTER if path.is_dir() else path
    findings = Findings()
    folder = Folder(root or entrance.parent, findings)
    with segment_reader(folder, findings, keys) as reader:
        return _Check(folder, reader, findings, reads_media).run(entrance)


@dataclass(slots=True)
class _Check:
    folder: Folder
    reader: SegmentReader
    findings: Findings
    reads_media: bool
    variables: dict[str, str] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    _by_file: dict[str, Stream] = field(default_factory=dict)
    _subtitles: list[Stream] = field(default_factory=list)

    def run(self, entrance: Path) -> Report:
        place = Place(self._name_of(entrance))
        path = self.folder.find(entrance.name, place)
        entries = self._entries(path, place) if path else None
        if entries is not None and is_master(entries):
            self._check_master(read_master(place.file, entries, self.findings))
        elif entries is not None:
            self._add_stream(read_media(place.file, entries, self.findings), is_independent=False)
        for stream in self._subtitles:
            judge_subtitles(stream, self.findings, begins_s=self._begins_s())
        count = len(self._by_file) + (entries is not None and is_master(entries))
        return self.findings.report(playlists=count, segments=self.reader.read)

    def _name_of(self, entrance: Path) -> str:
        folder = entrance.parent.resolve()
        return (folder.relative_to(self.folder.root) / entrance.name).as_posix()

    def _entries(self, path: Path, place: Place) -> list[Entry] | None:
        data = self.folder.read_playlist(path, place)
        if data is None:
            return None
        reader = EntryReader(self.folder.name_of(path), self.findings, imported=self.variables)
        entries = reader.read(data)
        if is_master(entries):
            self.variables = dict(reader.variables)
        return entries

    def _check_master(self, master: MasterPlaylist) -> None:
        judge_master(master, self.findings)
        is_independent = master.has("EXT-X-INDEPENDENT-SEGMENTS")
        named = [(one.uri, one.line) for one in (*master.variants, *master.iframes)]
        named += [(one.uri, one.line) for one in master.renditions if one.uri]
        for uri, line in named:
            if uri not in self.streams:
                self._follow(uri, master.place(line), is_independent=is_independent)
        judge_renditions(master, self.streams, self.findings)
        judge_codecs(master, self.streams, self.findings)
        judge_bandwidths(master, self.streams, self.findings)
        judge_alignment(master, self.streams, self.findings)
        advise_on_master(master, self.streams, self.findings)

    def _follow(self, uri: str, place: Place, *, is_independent: bool) -> None:
        path = self.folder.find(uri, place)
        if path is None:
            return
        file = self.folder.name_of(path)
        if file not in self._by_file:
            entries = self._entries(path, place)
            if entries is None:
                return
            if is_master(entries):
                self.findings.add("playlist-nested", place, f"{uri} is a master playlist itself")
                return
            self._add_stream(read_media(file, entries, self.findings), is_independent=is_independent)
        self.streams[uri] = self._by_file[file]

    def _add_stream(self, playlist: MediaPlaylist, *, is_independent: bool) -> None:
        judge_media(playlist, self.findings)
        advise_on_media(playlist, self.findings)
        stream = self.reader.stream(playlist) if self.reads_media else self.reader.sizes(playlist)
        self._by_file[playlist.file] = stream
        if stream.facts is not None and stream.facts.text is not None:
            self._subtitles.append(stream)
        elif playlist.is_iframes_only:
            judge_iframes(stream, self.findings)
        else:
            is_independent = is_independent or playlist.has("EXT-X-INDEPENDENT-SEGMENTS")
            judge_segments(stream, self.findings, is_independent=is_independent)

    def _begins_s(self) -> float | None:
        """Return when the video begins: cues are tied to its clock."""
        return next((one.first_s for one in self._by_file.values() if one.facts and one.facts.video), None)
