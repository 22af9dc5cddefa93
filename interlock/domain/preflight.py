"""Preflight (ORC-3): every reason why a session may not begin, as one pure function over facts.

All failures are reported, not only the first. The facts are gathered by the orchestrator; nothing here looks at
a file, a clock or a broker.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from interlock.domain.findings import Severity
from interlock.domain.reconcile import ReconcileReport, ReconcileResult

__all__ = ["DEFAULT_ALLOWLIST", "LIVE_CODES", "PreflightFacts", "Reject", "preflight"]

DEFAULT_ALLOWLIST: Final = ("strat_demo",)
"""The packaged allowlist, used where a config names none."""

LIVE_CODES: Final = {
    "code": "C2_REJECT_LIVE_ENABLED",
    "file": "C2_REJECT_LIVE_ENABLED_FILE",
    "flag": "C2_REJECT_LIVE_ENABLED_FLAG",
    "environment": "C2_REJECT_LIVE_ENABLED_ENVIRONMENT",
}
"""By where somebody tried to turn live trading on."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_ACCOUNT_SHAPE: Final = re.compile(r"[A-Z]{0,4}-?\d{5,}|.*@.*|0x[0-9a-fA-F]{8,}")
_REAL_BROKERS: Final = re.compile(
    r"(?i)(?:.*[._:-])?(alpaca|binance|bitfinex|bitstamp|bybit|coinbase|deribit|ibkr|ig|interactivebrokers"
    r"|kraken|kucoin|metatrader|mt4|mt5|oanda|okx|robinhood|saxo|schwab|tradier|tradestation)(?:[._:-].*)?"
)


class Reject(msgspec.Struct, frozen=True):
    """One reason why the session may not begin."""

    code: str
    reason: str


class PreflightFacts(msgspec.Struct, frozen=True):
    """What preflight looks at. ``live_enabled_by`` lists where live trading was asked for, if anywhere.

    ``live_override`` is True only where code passed a test override object; ``startup`` is None where the
    start-up reconciliation was not run because the broker must not be touched.
    """

    run_id: str
    strategy_id: str
    allowlist: tuple[str, ...] | None
    broker_is_mock: bool
    live_enabled_by: tuple[str, ...] = ()
    live_override: bool = False
    broker_is_paper: bool = False
    """Orders there go to an account without money; it may take them under a test override alone."""
    shadow: bool = False
    """The session only reads: nothing it is connected to could take an order."""
    audit_sink_error: str = ""
    retry_error: str = ""
    store_error: str = ""
    kill_switch: str = ""
    """Why the kill switch was set before this session began, or ""."""
    startup: ReconcileReport | None = None
    exposure_error: str = ""
    """Which cap is exceeded by what is held and open already, or ""."""

    @property
    def broker_fits(self) -> bool:
        """Return whether this broker may be connected at all (NO-LIVE)."""
        return self.broker_is_mock or self.shadow or (self.broker_is_paper and self.live_override)

    @property
    def may_ask(self) -> bool:
        """Return whether the broker may be asked anything before a session has passed."""
        return self.broker_fits and (self.live_override or not self.live_enabled_by)


def preflight(facts: PreflightFacts) -> tuple[Reject, ...]:
    """Return every reason against beginning; empty means go."""
    rejects = [*_live(facts), *_names(facts), *_allowlist(facts)]
    if not facts.broker_fits:
        rejects.append(Reject("C2_REJECT_BROKER_NOT_MOCK", "the broker is not a mock; only a mock may take orders"))
    if facts.kill_switch:
        reason = f"the kill switch is set ({facts.kill_switch}); only a recorded operator reset releases it"
        rejects.append(Reject("C2_REJECT_KILL_SWITCH", reason))
    for code, error in (
        ("C2_REJECT_AUDIT_SINK", facts.audit_sink_error),
        ("C2_REJECT_RETRY_CONFIG", facts.retry_error),
        ("C2_REJECT_STORE", facts.store_error),
        ("C2_REJECT_EXPOSURE", facts.exposure_error),
    ):
        if error:
            rejects.append(Reject(code, error))
    # A session that only reads begins with whatever there is to see: telling it is what it is for.
    return tuple(rejects) if facts.shadow else (*rejects, *_startup(facts.startup))


def _live(facts: PreflightFacts) -> list[Reject]:
    if facts.live_override:
        return []
    return [
        Reject(LIVE_CODES[source], f"live trading was asked for by {source}; nothing here may trade live")
        for source in facts.live_enabled_by
    ]


def _names(facts: PreflightFacts) -> list[Reject]:
    named = (("C2_REJECT_RUN_ID", "run_id", facts.run_id), ("C2_REJECT_STRATEGY_ID", "strategy_id", facts.strategy_id))
    return [
        Reject(code, f"{name} is missing or not a plain name (letters, digits, . _ : -)")
        for code, name, value in named
        if not _NAME.fullmatch(value)
    ]


def _allowlist(facts: PreflightFacts) -> list[Reject]:
    if facts.allowlist is None:
        return [Reject("C2_REJECT_ALLOWLIST_MISSING", "there is no strategy allowlist")]
    if not facts.allowlist:
        return [Reject("C2_REJECT_ALLOWLIST_EMPTY", "the strategy allowlist is empty")]
    rejects = []
    for entry in facts.allowlist:
        if _ACCOUNT_SHAPE.fullmatch(entry) or _REAL_BROKERS.fullmatch(entry):
            # The entry is not repeated: it may be an account number.
            rejects.append(Reject("C2_REJECT_ALLOWLIST_BROKER_ID", "an allowlist entry looks like a real broker id"))
        elif not _NAME.fullmatch(entry):
            rejects.append(Reject("C2_REJECT_ALLOWLIST_SYNTAX", "an allowlist entry is not a plain name"))
    if facts.strategy_id not in facts.allowlist:
        rejects.append(Reject("C2_REJECT_STRATEGY_NOT_ALLOWED", "the strategy is not in the allowlist"))
    return rejects


def _startup(report: ReconcileReport | None) -> list[Reject]:
    if report is None or report.result is ReconcileResult.HEALTHY:
        return []
    if report.result is ReconcileResult.UNAVAILABLE:
        return [Reject("C2_REJECT_RECONCILE", f"the broker could not be asked at start-up: {report.detail}")]
    return [
        Reject("C2_REJECT_RECONCILE", finding.description)
        for finding in report.findings
        if finding.severity is not Severity.INFO
    ]
