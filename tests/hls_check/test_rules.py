"""The table of rules: each is documented, told somewhere, and has a test."""

from pathlib import Path

from tests.documents import ROOT, codes, table
from workplatform.hls_check.rules import RULES

_SOURCES = "".join(
    path.read_text() for path in (ROOT / "workplatform" / "hls_check").glob("*.py") if path.name != "rules.py"
)
_TESTS = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
# Named by the attribute that is wrong.
_COMPOSED = {f"{name}-too-{way}" for name in ("bandwidth", "average-bandwidth") for way in ("low", "high")}


def test_the_documented_rules_are_those_of_the_code() -> None:
    documented = {
        codes(row[0])[0]: (row[1], row[2], row[3]) for row in table("docs/checking-hls.md", "rule", "severity")
    }

    assert documented == {name: (rule.severity.value, rule.reference, rule.mend) for name, rule in RULES.items()}


def test_every_rule_is_told_and_tested() -> None:
    assert [name for name in RULES if name not in _COMPOSED and f'"{name}"' not in _SOURCES] == []
    assert [name for name in RULES if f'"{name}"' not in _TESTS] == []
