"""Secrets go, whatever the shape they come in; what is ours stays readable."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.ids import client_order_id, stable_id
from interlock.runtime.redaction import (
    REDACTED,
    is_secret_key,
    looks_secret,
    redact,
    redact_exception,
    redact_flat,
    redact_traceback,
    scrub,
)

pytestmark = pytest.mark.spec("ART-4")

MIXED = "Zk3" + "aB9xQ7Lm2" * 4
"""Looks like a random base64 key; it is none."""
PASSWORD = "hunter2"  # noqa: S105 -- the planted secret of these tests

SECRETS = [
    f"Authorization: Bearer {PASSWORD}",
    f"authorization: AWS4-HMAC-SHA256 Credential={PASSWORD}, Signature={PASSWORD}",
    f"the header was bearer {PASSWORD} and failed",
    f"bearer token {PASSWORD}",
    "Basic dXNlcjpodW50ZXIyCg==",
    f"api_key={PASSWORD}&symbol=BTC",
    f"X-Api-Key: {PASSWORD}",
    f"api key: {PASSWORD}",
    f"--broker-token {PASSWORD} --seed 7",
    f"error: token={PASSWORD}, try again",
    f'{{"apiSecret": "{PASSWORD}", "n": 1}}',
    f'{{"secret": {{"inner": "{PASSWORD}"}}, "n": 1}}',
    f"{{'password': 'two words {PASSWORD}', 'n': 1}}",
    f'{{"body": "{{\\"token\\": \\"{PASSWORD}\\"}}"}}',
    f'token: "cut short {PASSWORD}',
    f"Cookie: a=1; session={PASSWORD}",
    f"wss://user:{PASSWORD}@stream.example/ws?x=1",
    f"https://x.example/?access_token={PASSWORD}&page=2",
    f"account={PASSWORD}",
    "sk_live_4eC39HqLyjWDarjt",
    "pk_test_4eC39HqLyjWDarjt",
    "rk_live_4eC39HqLyjWDarjt",
    "sk-proj-abcdefghijklmnopqrst",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "gho_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuv",
    "xoxb-123456789012-abcdefghijkl",
    "glpat-abcdefghijklmnopqrst",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAK\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\nMIIEow never ends",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    MIXED,
]

OURS = [
    stable_id("an", "id"),
    hashlib.sha256(b"a record").hexdigest(),
    "0xb454293b90fb4745a0dd04017553b9011500b8b3e8cbe540c9ac779d59fff2cc",
    client_order_id("strat_demo", "decision-1"),
    "2026-01-01T00:00:00.000000001Z",
    "2026-01-01T00:00:00+00:00",
    "12345678901234567890123456789012345678.000000000000000000000001",
    "BTC/EUR",
    "strat_demo",
    "out/finish_c/c2/Run_Demo_001/state_snapshots.jsonl",
    "/srv/Data2/interlock/runtime/SessionStateSnapshot2/test_the_audit_1.py",
    "order il-0123456789abcdef01234567: price 12.5 above limit 12.0 (ratio=1.04)",
    "risk-adjusted-position-limits-of-strategy-Demo-2",
    "C2_REJECT_ALLOWLIST_EMPTY",
    "TokenError: the broker did not like it",
    "tokens_used: 17",
    "session_id=s-1, run_id=r-1, key=il-01",
    "basic validation failed",
    'Traceback (most recent call last):\n  File "interlock/runtime/audit.py", line 3, in append\nKeyError: 12',
    "",
]


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_taken_out_of_a_text(text: str) -> None:
    clean = scrub(text)
    assert REDACTED in clean
    assert looks_secret(text)
    assert PASSWORD not in clean
    assert not any(word in clean for word in ("MIIEow", "IBAAK", "4eC39", "abcdefgh", "EXAMPLE", "dXNl", "aB9x", "eyJ"))


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_found_in_the_middle_of_a_text_too(text: str) -> None:
    clean = scrub(f"order refused ({text})")
    assert clean.startswith("order refused (")
    assert REDACTED in clean
    assert PASSWORD not in clean


@pytest.mark.parametrize("text", OURS)
def test_what_is_ours_is_left_alone(text: str) -> None:
    assert scrub(text) == text
    assert not looks_secret(text)


def test_what_stands_around_a_secret_stays() -> None:
    assert scrub(f"error: token={PASSWORD}, try again") == f"error: token={REDACTED}, try again"
    assert scrub(f"https://u:{PASSWORD}@host/p?n=1") == f"https://{REDACTED}@host/p?n=1"
    assert scrub(f"--api-key {PASSWORD} --seed 7") == f"--api-key {REDACTED} --seed 7"


@given(st.lists(st.sampled_from([*SECRETS, *OURS, " ", "=", ": ", '"', "\\", "{", "token", "://", "@"]), max_size=5))
def test_scrubbing_again_changes_nothing(parts: list[str]) -> None:
    once = scrub("".join(parts))
    assert scrub(once) == once


@given(st.text())
def test_any_text_can_be_scrubbed_and_then_encoded(text: str) -> None:
    scrub(text + "\ud800").encode()


@given(st.text("0123456789abcdef", max_size=200))
def test_lower_case_hex_of_any_length_is_never_touched(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize(
    "text", ["token" * 40_000, "a-" * 100_000, "eyJ-" * 50_000, "\\" * 200_000, "x://" * 50_000, "/a" * 100_000]
)
def test_a_hostile_text_does_not_hold_us_up(text: str) -> None:
    """Ends soon, or the run of the tests does not."""
    assert scrub(text)
    assert redact_exception(ValueError(text))


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "TOKEN",
        "access_token",
        "brokerToken",
        "X-Auth-Token",
        "secret",
        "client-secret",
        "password",
        "Passwd",
        "db.password",
        "pwd",
        "api_key",
        "apikey",
        "API-KEY",
        "apiKey",
        "authorization",
        "Authorization",
        "auth",
        "account",
        "account_id",
        "accountNumber",
        "credential",
        "credentials",
        "private_key",
        "privateKey",
        "cookie",
        "Set-Cookie",
        "session_cookie",
        "jwt",
        "bearer",
        "passphrase",
        "tokens",
    ],
)
def test_a_secret_name_is_known(name: str) -> None:
    assert is_secret_key(name)


@pytest.mark.parametrize(
    "name",
    [
        "session_id",
        "run_id",
        "key",
        "client_order_id",
        "tokens_used",
        "max_tokens",
        "token_count",
        "accounts_checked",
        "author",
        "authorized",
        "authenticated",
        "unaccounted",
        "seq",
        "symbol",
        "passed",
        "compass",
        "pass_rate",
        "TokenError",
        "monkey",
        "idempotency_key",
    ],
)
def test_a_harmless_name_is_harmless(name: str) -> None:
    assert not is_secret_key(name)


def test_values_go_by_their_name_at_every_depth() -> None:
    value = {"a": [{"password": 5, "n": 1}, ({"token": {"x": 1}},)], "seq": 3}
    assert redact(value) == {"a": [{"password": REDACTED, "n": 1}, [{"token": REDACTED}]], "seq": 3}


def test_numbers_flags_times_and_nothing_stay_as_they_are() -> None:
    value = {"a": 1, "b": True, "c": None, "d": 1.5, "e": Decimal("2.50"), "f": datetime(2026, 1, 1, tzinfo=UTC)}
    assert redact(value) == value
    assert redact_flat(value) == value


def test_a_name_that_is_itself_a_secret_is_scrubbed_and_none_is_lost() -> None:
    value = {f"token={PASSWORD}": 1, f"x token={PASSWORD}1": 2, MIXED: 3, MIXED + "1": 4, 7: 5}
    for clean in (redact(value), redact_flat(value)):  # type: ignore[arg-type]
        assert isinstance(clean, dict)
        assert len(clean) == len(value)
        assert PASSWORD not in str(clean)
        assert MIXED not in str(clean)
        assert clean["7"] == 5


class _Colour(Enum):
    RED = "red"


class _Struct(msgspec.Struct):
    account: str
    n: int


@dataclass
class _Plain:
    secret: str
    n: int


def test_every_kind_of_value_becomes_json_without_secrets() -> None:
    value = {
        "enum": _Colour.RED,
        "struct": _Struct(PASSWORD, 1),
        "dataclass": _Plain(PASSWORD, 2),
        "set": {"b", "a"},
        "path": Path("a/b"),
        "bytes": PASSWORD.encode(),
        "error": ValueError(f"token={PASSWORD}"),
        "object": object(),
    }
    clean = redact_flat(value)
    assert clean == redact(value)
    assert json.loads(json.dumps(clean)) == {
        "enum": "red",
        "struct": {"account": REDACTED, "n": 1},
        "dataclass": {"secret": REDACTED, "n": 2},
        "set": ["a", "b"],
        "path": "a/b",
        "bytes": "<bytes>",
        "error": f"ValueError: token={REDACTED}",
        "object": "<object>",
    }


def test_a_value_that_holds_itself_ends() -> None:
    value: dict[str, object] = {}
    value["again"] = value
    assert "[too deep]" in str(redact(value))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(SECRETS + OURS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "token", MIXED, "n"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "api_key", f"token={PASSWORD}", f"pwd={PASSWORD}x"]), _JSON))
def test_the_fast_path_says_the_same_as_the_slow_one(payload: dict[str, object]) -> None:
    assert redact_flat(payload) == redact(payload)
    assert PASSWORD not in str(redact(payload))


def _raise(message: str) -> None:
    raise ValueError(message)


def _crash() -> Exception:
    try:
        try:
            _raise(f"cannot read /srv/machine/dir/file.txt with token={PASSWORD}\nfor {object()!r}")
        except ValueError as error:
            raise RuntimeError("the actor stopped") from error
    except RuntimeError as error:
        return error
    raise AssertionError


def test_an_exception_is_one_clean_line() -> None:
    error = _crash().__cause__
    assert error is not None
    assert redact_exception(error) == (
        f"ValueError: cannot read .../file.txt with token={REDACTED} for <object object>"
    )


def test_a_very_long_exception_text_is_cut() -> None:
    assert len(redact_exception(ValueError("a b " * 5000))) < 2100


def test_a_traceback_names_frames_and_causes_but_no_machine() -> None:
    lines = redact_traceback(_crash()).splitlines()
    assert [line.split(":")[0].split("/")[-1] for line in lines] == [
        "test_redaction.py",
        "test_redaction.py",
        "ValueError",
        "test_redaction.py",
        "RuntimeError",
    ]
    text = "\n".join(lines)
    assert " in _raise" in text
    assert PASSWORD not in text
    assert str(Path(__file__).parent) not in text
    assert "0x" not in text
    assert redact_traceback(_crash()) == text


def _fall(depth: int) -> None:
    if depth:
        _fall(depth - 1)
    _raise("the bottom")


def test_a_deep_traceback_is_cut_in_its_middle() -> None:
    with pytest.raises(ValueError, match="bottom") as caught:
        _fall(200)
    lines = redact_traceback(caught.value).splitlines()
    assert len(lines) == 42
    assert "more frames" in lines[20]


def test_the_parts_of_a_group_are_shown() -> None:
    text = redact_traceback(ExceptionGroup("two jobs", [_crash(), KeyError(f"pwd={PASSWORD}")]))
    assert "  | RuntimeError: the actor stopped" in text
    assert "  |   " in text
    assert PASSWORD not in text
