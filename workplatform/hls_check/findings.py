"""What was found wrong, where, and what mends it."""

from collections import Counter
from dataclasses import dataclass, field

from workplatform.hls_check.rules import RULES, Severity

__all__ = ["Finding", "Findings", "Place", "Report", "Severity"]

# A rule that is broken in each of a thousand segments is told this often for a file, and then counted.
_TOLD_PER_FILE = 10


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a playlist; the file is named from the checked folder."""

    file: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach of one rule; `reference` is the section that asks for it."""

    severity: Severity
    rule: str
    reference: str
    file: str
    line: int | None
    message: str
    mend: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found, errors first, and how much it looked at."""

    findings: tuple[Finding, ...]
    playlists: int
    segments: int

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def warnings(self) -> int:
        """How many findings are warnings."""
        return len(self.findings) - self.errors


@dataclass(slots=True)
class Findings:
    """Collects findings; too many of one kind in one file become a count."""

    _found: list[Finding] = field(default_factory=list)
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, name: str, place: Place, message: str) -> None:
        """Add a breach of the rule of this name."""
        rule = RULES[name]
        self._counts[name, place.file] += 1
        if self._counts[name, place.file] <= _TOLD_PER_FILE:
            self._found.append(Finding(rule.severity, name, rule.reference, place.file, place.line, message, rule.mend))

    def report(self, *, playlists: int, segments: int) -> Report:
        """Return all that was found, errors first, then in the order of files and lines."""
        found = [*self._found, *self._left_out()]
        found.sort(key=lambda one: (one.severity is not Severity.ERROR, one.file, one.line or 0))
        return Report(tuple(found), playlists, segments)

    def _left_out(self) -> list[Finding]:
        return [
            Finding(
                RULES[name].severity,
                name,
                RULES[name].reference,
                file,
                None,
                f"{count - _TOLD_PER_FILE} more of this kind in this file",
                RULES[name].mend,
            )
            for (name, file), count in self._counts.items()
            if count > _TOLD_PER_FILE
        ]
