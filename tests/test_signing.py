"""Signatures of callbacks, checked by the official verifier of Standard Webhooks."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from workplatform.errors import BadInputError, SettingsError
from workplatform.settings import load
from workplatform.signing import keys_of, read_keys, signed_headers

OLD, NEW, OTHER = (f"whsec_{base64.b64encode(bytes([number]) * 32).decode()}" for number in (1, 2, 3))
BODY = json.dumps({"jobId": "job_1", "error": "é"}).encode()


def headers_by(*secrets: str, at_s: int | None = None) -> dict[str, str]:
    now_s = int(datetime.now(UTC).timestamp())
    return signed_headers(read_keys(" ".join(secrets)), message_id="job_9", at_s=at_s or now_s, body=BODY)


def test_the_official_verifier_accepts_what_is_signed() -> None:
    assert Webhook(OLD).verify(BODY, headers_by(OLD)) == {"jobId": "job_1", "error": "é"}


@pytest.mark.parametrize("known", [OLD, NEW])
def test_while_a_secret_rotates_both_are_accepted(known: str) -> None:
    assert Webhook(known).verify(BODY, headers_by(NEW, OLD))


@pytest.mark.parametrize(
    ("secret", "headers", "body"),
    [
        (OTHER, headers_by(NEW, OLD), BODY),
        (OLD, headers_by(OLD), BODY + b" "),
        (OLD, headers_by(OLD) | {"webhook-id": "job_8"}, BODY),
        (OLD, headers_by(OLD, at_s=1_000_000_000), BODY),
    ],
    ids=["another secret", "another body", "another message", "too old"],
)
def test_the_official_verifier_refuses_anything_else(secret: str, headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


@pytest.mark.parametrize(
    "text", ["", "hunter22", OLD.removeprefix("whsec_"), "whsec_!!!", "whsec_c2hvcnQ=", f"{OLD} x"]
)
def test_what_is_no_secret_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="secret") as refusal:
        read_keys(text)
    assert not text or text not in str(refusal.value)


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="WEBHOOK_SECRET"):
        load({"WEBHOOK_SECRET": "hello"})


def test_named_secrets_are_files_of_their_own_folder(tmp_path: Path) -> None:
    (tmp_path / "webhooks").mkdir()
    (tmp_path / "webhooks" / "shop").write_text(f"{NEW}\n{OLD}\n")
    (tmp_path / "webhooks" / "bad").write_text("hello")
    (tmp_path / "token").write_text(OTHER)
    keys = keys_of(SecretStr(OTHER), str(tmp_path))
    assert keys("shop") == read_keys(f"{NEW} {OLD}")
    assert keys("default") == read_keys(OTHER)
    for name in ("token", "../token", "none", "bad"):
        with pytest.raises(BadInputError, match="webhook secret"):
            keys(name)
    with pytest.raises(BadInputError, match="WEBHOOK_SECRET"):
        keys_of(None, "")("default")
