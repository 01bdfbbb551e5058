"""Fingerprints: what is alike has one, what differs has not, and the normal form is one."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workplatform.fingerprints import LONGEST, fingerprint, kept_error, normal_form


@pytest.mark.parametrize(
    ("message", "form"),
    [
        ("there is no file data/demo/sample-17.mp4", "there is no file <path>"),
        ("there is no file sample.mp4", "there is no file <path>"),
        ("/srv/a b/c.png cannot be read: permission denied", "<path> <path> cannot be read: permission denied"),
        ("https://cdn.test/a?token=1: 503 Service Unavailable", "<url> <n> Service Unavailable"),
        ("s3://bucket/key/a.webp has 123456 bytes, and 17 are free", "<url> has <n> bytes, and <n> are free"),
        ("the job had to end by 2026-11-22T10:00:00.123Z", "the job had to end by <n>-<n>-<n>T<n>Z"),
        ("worker webp@node-3 went silent in attempt 2", "worker webp@node-<n> went silent in attempt <n>"),
        ("KeyError: 'title'", "KeyError: <text>"),
        ("the handler can't go on: it isn't ready", "the handler can't go on: it isn't ready"),
        ("job job_01M80HG638H0VGAP3MT4ERDPAM failed", "job <id> failed"),
        ("commit 4f2a91c of 0xDEADBEEF", "commit <hex> of <hex>"),
        ("key 123e4567-e89b-12d3-a456-426614174000", "key <id>"),
        ("frame 00012 at 3.5 s", "frame <n> at <n> s"),
        ("decade facade", "decade facade"),
        ("two\n\n  lines", "two lines"),
        ("", ""),
    ],
)
def test_what_varies_is_named_by_its_kind(message: str, form: str) -> None:
    assert normal_form(message) == form


texts = st.one_of(
    st.text(max_size=400),
    st.text(alphabet="ab01 '\"`/.<>nx:-_\n", max_size=3000),
    st.lists(
        st.sampled_from(["1", "'a'", "a/b", "http://x", "<n>", "<pa", '"', "x.mp4", " ", "abc123f", "b", ">"]),
        max_size=300,
    ).map("".join),
)


@given(texts)
def test_a_normal_form_is_its_own_and_has_a_bound(message: str) -> None:
    form = normal_form(message)
    assert normal_form(form) == form
    assert len(form) <= LONGEST
    assert not re.search(r"[0-9]", form)


@given(texts, st.integers(0, 10**9), st.integers(0, 10**9))
def test_numbers_make_no_difference(message: str, first: int, second: int) -> None:
    before, after = (f"step {number} of: {message}" for number in (first, second))
    assert fingerprint("webp", "error", before) == fingerprint("webp", "error", after)


def test_type_code_and_words_make_a_difference() -> None:
    prints = {
        fingerprint(*facts)
        for facts in (("webp", "error", "a"), ("hls", "error", "a"), ("webp", "timeout", "a"), ("webp", "error", "b"))
    }
    assert len(prints) == 4
    assert all(re.fullmatch(r"[0-9a-f]{12}", one) for one in prints)


def test_a_kept_error_bears_its_fingerprint() -> None:
    facts = {"code": "bad_input", "message": "no 7", "retryable": False}
    kept = json.loads(kept_error("webp", facts, {"payload": {}, "tags": ["red"]}))
    assert kept == facts | {"fingerprint": fingerprint("webp", "bad_input", "no 8"), "tags": ["red"]}
