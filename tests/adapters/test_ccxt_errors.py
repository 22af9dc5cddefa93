"""Every error of ccxt has a meaning here, and its text shows no key."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from interlock.adapters.ccxt_errors import retry_after_s, shown, translated
from interlock.domain.errors import NotProcessed, NotSent, RateLimited, Refused, Unreachable

ERRORS: Any = importlib.import_module("ccxt.base.errors")
NAMES = [name for name in ERRORS.__all__ if isinstance(getattr(ERRORS, name), type)]

KEY = "Zx81QwErTyUiOp42"


def meaning(name: str) -> type:
    """Return what an error of ccxt becomes."""
    return type(translated(getattr(ERRORS, name)("x says no"), "x"))


@pytest.mark.parametrize("name", NAMES)
def test_every_error_of_ccxt_is_translated(name: str) -> None:
    error = translated(getattr(ERRORS, name)("x says no"), "x")
    assert isinstance(error, NotProcessed | Unreachable)
    assert "says no" in str(error) or isinstance(error, RateLimited)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["RateLimitExceeded", "DDoSProtection"], RateLimited),
        (["AuthenticationError", "PermissionDenied", "AccountSuspended", "BadRequest", "BadSymbol"], Refused),
        (["NotSupported", "OrderNotFound"], Refused),
        (["NetworkError", "RequestTimeout", "ExchangeNotAvailable", "OnMaintenance", "InvalidNonce"], Unreachable),
        (["ExchangeError", "BadResponse", "NullResponse", "OperationRejected", "BaseError"], Unreachable),
        (["ExchangeClosedByUser"], NotSent),
    ],
)
def test_errors_mean_what_is_known_after_them(names: list[str], kind: type) -> None:
    assert {meaning(name) for name in names} == {kind}


def test_what_ccxt_stumbles_over_is_no_answer_and_its_text_is_not_repeated() -> None:
    error = translated(KeyError(KEY), "x")
    assert type(error) is Unreachable
    assert str(error) == "x: an answer that ccxt cannot read (KeyError)"


def test_a_text_is_one_short_line_without_keys_and_without_the_query_of_an_address() -> None:
    text = f"GET https://h/api?apiKey={KEY}&signature=ab12 401\n{{'k': '{KEY}'}} Zx%2B/= " + "x" * 1000
    line = shown(text, (KEY, "Zx+/="))
    assert KEY not in line
    assert "signature" not in line
    assert "\n" not in line
    assert len(line) <= 240
    assert line.startswith("GET https://h/api?... 401")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), (" 0 ", 0.0), ("99999999", 86_400.0), ("1e9", None), ("-1", None), ("", None), ("\u0667", None)],
)
def test_only_a_plain_number_of_seconds_is_advice(value: str, seconds: float | None) -> None:
    assert retry_after_s([("X-Other", "3"), ("Retry-After", value)]) == seconds
    assert retry_after_s([]) is None
