"""The documents, held to the code: their tables and names are compared with what they tell of."""

import inspect
import json
import os
import re
from datetime import datetime
from pathlib import Path

import pytest

from api import create_app
from tests.documents import DOCUMENTS, ROOT, anchors, blocks, codes, links, table, text_of
from workplatform.bootstrap import build
from workplatform.cli import COMMANDS
from workplatform.cli.config import shown
from workplatform.pulse import State
from workplatform.registry import Registry, discover, job_type
from workplatform.retry import RetryPolicy
from workplatform.setting_names import FAMILIES
from workplatform.settings import SECRETS, Settings, load
from workplatform.states import TRANSITIONS, Event, Status, WaitingReason
from workplatform.submission import Submission
from workplatform.wire import bulletin_document, callback_document, enveloped

_NAMES = {family: f"{prefix}*" for prefix, family in FAMILIES.items()}


@pytest.fixture(scope="module")
def registry() -> Registry:
    """The job types that come with the platform."""
    return discover(["workers"])


def test_the_transitions_are_those_of_the_code() -> None:
    rows = table("docs/lifecycle.md", "from", "to", "when")
    documented = {(codes(before)[0], codes(after)[0]) for before, after, _ in rows}
    assert len(documented) == len(rows)
    assert documented == {
        (before.value, after.value) for before, following in TRANSITIONS.items() for after in following
    }


def test_events_reasons_and_retry_policies_are_those_of_the_code() -> None:
    for head, known in (
        (("event", "tells"), {event.value for event in Event}),
        (("reason", "meaning"), {reason.value for reason in WaitingReason}),
        (("field", "meaning"), {str(info.alias) for info in RetryPolicy.model_fields.values()}),
    ):
        assert {codes(row[0])[0] for row in table("docs/lifecycle.md", *head)} == known
    policies = [json.loads(block.text) for block in blocks("docs/lifecycle.md", "json") if "backoff" in block.text]
    assert [RetryPolicy.model_validate(policy) for policy in policies] == [RetryPolicy()]


def test_a_callback_looks_as_printed() -> None:
    printed = [json.loads(block.text) for block in blocks("docs/webhooks.md", "json")]
    endings = [body for body in printed if body.get("status") == "completed"]
    real = [
        callback_document(
            body["jobId"],
            body["type"],
            status=Status(body["status"]),
            result=body["result"],
            error=body["error"],
            duration_ms=body["duration"],
            attempt=body["attempt"],
            at=datetime.fromisoformat(body["timestamp"]),
        )
        for body in endings
    ]
    assert endings and endings == real
    [running] = [body for body in printed if body.get("status") == "running"]
    state = State(running["progress"], running["stage"], running["message"])
    at = datetime.fromisoformat(running["timestamp"])
    told = bulletin_document(running["jobId"], running["type"], attempt=running["attempt"], at=at, state=state)
    assert told == running
    assert enveloped("job", "completed", endings[0]) in printed


def test_the_settings_are_those_of_the_code() -> None:
    expected = []
    for name, info in Settings.model_fields.items():
        default = "the host's name" if name == "node_name" else shown(info.default)
        expected.append([_NAMES.get(name, name.upper()), default, info.description])
    rows = table("docs/operating.md", "name", "default", "meaning")
    rows = [[name.strip("`"), default.strip("`"), meaning] for name, default, meaning in rows]
    families = _NAMES.values()
    assert [row for row in rows if row[0] not in families] == [row for row in expected if row[0] not in families]
    assert [row[0] for row in rows] == [row[0] for row in expected]


def test_the_example_of_an_env_file_spells_out_the_defaults(here: Path, registry: Registry) -> None:
    lines = re.sub(r"^#(?=[A-Z][A-Z0-9_]+=)", "", text_of(".env.example"), flags=re.MULTILINE)
    (here / "all.env").write_text(lines)
    loaded = load({}, env_file=here / "all.env")
    assert set(loaded.sources.values()) == {".env"}
    assert loaded.settings.concurrency == {
        queue: max(declared.concurrency for declared in types) for queue, types in registry.queues.items()
    }
    defaults = load({}, env_file=here / "none").settings
    own = {"node_name": defaults.node_name, "concurrency": {}, "retentions": {}, "limits": {}}
    assert loaded.settings.model_copy(update=own) == defaults


def test_every_setting_that_a_document_names_exists() -> None:
    others = {"WORKPLATFORM_URL", "SSL_CERT_FILE"}
    of_compose = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    known = (
        {name.upper() for name in Settings.model_fields} | others | {f"{name}_FILE" for name in SECRETS} | of_compose
    )
    named = {
        name
        for document in DOCUMENTS
        for name in re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z]+)+)(?:=[^`]*)?`", text_of(document))
        if not name.startswith(tuple(FAMILIES))
    }
    assert named and named <= known


def test_the_job_types_are_those_of_the_code(registry: Registry) -> None:
    rows = {codes(row[0])[0]: row for row in table("README.md", "type", "makes")}
    assert rows.keys() == set(registry)
    for name, declared in registry.items():
        for cell, model in ((rows[name][2], declared.payload_model), (rows[name][3], declared.result_model)):
            wanted = {str(info.alias) for info in model.model_fields.values()} - {"success"}
            assert wanted <= set(codes(cell)), name


def test_the_routes_are_those_of_the_code(here: Path) -> None:
    app = create_app(build(load({}, env_file=here / "none").settings))
    real = {
        (
            method,
            str(rule.rule)
            .replace("<job_id>", "ID")
            .replace("<flow_id>", "ID")
            .replace("<batch_id>", "ID")
            .replace("<name:name>", "NAME")
            .replace("<queue>", "QUEUE")
            .replace("<fingerprint>", "FINGERPRINT")
            .replace("<retry_id>", "ID")
            .replace("<schedule>", "NAME")
            .replace("<delivery>", "DELIVERY")
            .replace("<kind>", "KIND")
            .replace("<limit>", "NAME"),
        )
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    documented = [tuple(codes(row[0])[0].split(" ")) for row in table("docs/api.md", "route", "does")]
    assert set(documented) == real
    assert len(documented) == len(real)


def test_the_fields_of_a_submission_are_those_of_the_code() -> None:
    documented = {codes(row[0])[0] for row in table("docs/api.md", "field", "meaning")}
    assert documented == {str(info.alias) for info in Submission.model_fields.values()}


def test_the_arguments_of_a_declaration_are_those_of_the_code() -> None:
    documented = [row[0].strip("`") for row in table("docs/adding-a-job-type.md", "argument of `job_type`")]
    assert documented == list(inspect.signature(job_type).parameters)


def test_the_events_to_watch_for_are_logged() -> None:
    sources = "".join(path.read_text() for path in ROOT.glob("workplatform/**/*.py"))
    for row in table("docs/operating.md", "event", "means"):
        for event in codes(row[0]):
            assert f'"{event}"' in sources, event


def test_every_command_that_a_document_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    code = "\n".join(re.findall(r"```sh\n.*?```|`[^`\n]+`", "\n".join(map(text_of, DOCUMENTS)), re.DOTALL))
    assert set(re.findall(r"\bworkplatform ([a-z]+)", code)) <= set(COMMANDS)
    for target in set(re.findall(r"\bmake ([a-z]+)", code)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for bench in set(re.findall(r"-m bench\.(\w+)", code)):
        assert (ROOT / "bench" / f"{bench}.py").is_file(), bench


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str) -> None:
    for link in links(document):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = os.path.normpath(Path(document).parent / path) if path else document
        assert (ROOT / target).is_file(), link
        assert not anchor or anchor in anchors(target), link
