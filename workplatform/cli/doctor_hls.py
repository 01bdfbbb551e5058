"""The `doctor hls` command: is an HLS folder right, and if not, what mends it."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from workplatform.cli.errors import CommandError
from workplatform.hls_check import Finding, Report, Severity, check

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow"}


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option("--root", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Open files below ROOT.")
@click.option(
    "--keys", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Folder with keys of remote URIs."
)
@click.option("--playlists-only", is_flag=True, help="Look for segments, and do not read them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def hls(path: Path, root: Path | None, keys: Path | None, playlists_only: bool, as_json: bool) -> None:
    """Check the HLS stream at PATH, a playlist or a folder with master.m3u8; exit code 1 if there are errors.

    Nothing outside of that folder is opened, and nothing is fetched.
    """
    if root is not None and not path.resolve().is_relative_to(root.resolve()):
        raise CommandError(f"{path} is not below {root}", 2)
    report = check(path, root=root, keys=keys, reads_media=not playlists_only)
    click.echo(json.dumps(_document(report)) if as_json else _text(report))
    sys.exit(1 if report.errors else 0)


def _document(report: Report) -> dict[str, object]:
    return {
        "errors": report.errors,
        "warnings": report.warnings,
        "playlists": report.playlists,
        "segments": report.segments,
        "findings": [asdict(finding) for finding in report.findings],
    }


def _text(report: Report) -> str:
    lines = [line for finding in report.findings for line in _lines(finding)]
    found = f"{_count(report.errors, 'error')}, {_count(report.warnings, 'warning')}"
    looked_at = f"{_count(report.playlists, 'playlist')} with {_count(report.segments, 'segment')}"
    return "\n".join([*lines, f"{found} in {looked_at}"])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _lines(finding: Finding) -> list[str]:
    severity = click.style(f"{finding.severity:<7}", fg=_COLOURS[finding.severity])
    place = finding.file if finding.line is None else f"{finding.file}:{finding.line}"
    return [
        f"{severity}  {_plain(place)}: {_plain(finding.message)}  [{finding.rule}, {finding.reference}]",
        f"         mend: {finding.mend}",
    ]


def _plain(text: str) -> str:
    """Show control characters of hostile playlists instead of sending them to the terminal."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
