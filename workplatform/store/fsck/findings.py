"""What a check finds: a difference, told in a sentence, and the mend of it if there is a safe one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from workplatform.store.fsck.places import FIELDS, Fields

Kind = Literal[
    "record", "missing", "stray", "score", "message", "stream", "schedule", "group", "error", "limit", "unknown"
]


@dataclass(frozen=True, slots=True)
class Mend:
    """One Redis command that removes a difference, as long as what it rests on is still so.

    `record` are fields of the job's record as they were read ("" where there was none); `text` is what the string
    `key` has to hold, for commands that remove a string. With `script`, `command` are the words of that transition,
    which does right whatever has happened since.
    """

    key: str
    command: tuple[str, ...]
    record: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    script: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in the store that does not follow from the records; `subject` is the job or the key it is about."""

    kind: Kind
    subject: str
    sentence: str
    mend: Mend | None = None


def guard(fields: Fields) -> Fields:
    """Return what has to be unchanged in a record as it was read for a mend to be right."""
    return {name: fields.get(name, "") for name in FIELDS}
