"""How bad a difference is: by drift, by amount for cash, by rule for orders and fills; each border on both sides."""

from __future__ import annotations

from decimal import Decimal

import pytest

from interlock.domain.findings import (
    DiffType,
    FindingKind,
    Severity,
    Tolerances,
    cash_severity,
    drift_pct,
    drift_severity,
    severity_of,
    worst,
)
from tests.domain_builders import a_snapshot, a_view, differences

MILDER = {FindingKind.UNKNOWN_OUTCOME: Severity.WARN, FindingKind.FILL_OUT_OF_ORDER: Severity.INFO}
COUNTED = (FindingKind.POSITION_DRIFT, FindingKind.CASH_MISMATCH)


@pytest.mark.spec("DIF-2")
@pytest.mark.parametrize(
    ("pct", "severity"),
    [
        ("0", Severity.INFO),
        ("0.0999999999", Severity.INFO),
        ("0.1", Severity.WARN),
        ("0.1000000001", Severity.WARN),
        ("0.9999999999", Severity.WARN),
        ("1", Severity.WARN),
        ("1.0000000001", Severity.FAIL),
        ("100", Severity.FAIL),
    ],
)
def test_both_borders_of_a_drift_belong_to_warn(pct: str, severity: Severity) -> None:
    assert drift_severity(Decimal(pct)) is severity


@pytest.mark.spec("DIF-2")
@pytest.mark.parametrize(
    ("internal", "external", "pct"),
    [
        ("0.1", "0.0995", "0.5"),
        ("1.0", "0.95", "5"),
        ("1000", "999.001", "0.0999"),
        ("-1000", "-999", "0.1"),
        ("-1", "1", "200"),
        ("5", "0", "100"),
        ("0", "5", "100"),
        ("0", "-5", "100"),
        ("0", "0.0", "0"),
        ("1.0", "1", "0"),
    ],
)
def test_a_drift_is_counted_in_percent_of_what_we_hold(internal: str, external: str, pct: str) -> None:
    """Where we hold nothing, it is all of what they hold."""
    assert drift_pct(Decimal(internal), Decimal(external)) == Decimal(pct)


@pytest.mark.spec("DIF-3")
@pytest.mark.parametrize(
    ("internal", "external", "severity"),
    [
        ("5000", "4995", Severity.FAIL),  # the runbook's: 0.1 %, but more than one unit
        ("5000", "4999.01", Severity.INFO),
        ("5000", "4999", Severity.INFO),
        ("5000", "5001", Severity.INFO),
        ("5000", "4998.99", Severity.FAIL),
        ("5000", "5001.01", Severity.FAIL),
        ("100", "99.51", Severity.INFO),
        ("100", "99.5", Severity.INFO),
        ("100", "100.5", Severity.INFO),
        ("100", "99.49", Severity.FAIL),
        ("100", "100.51", Severity.FAIL),
        ("0", "0.01", Severity.FAIL),
        ("-100", "-100.4", Severity.INFO),
        ("-100", "-100.51", Severity.FAIL),
    ],
)
def test_cash_fails_above_one_unit_or_above_half_a_percent(internal: str, external: str, severity: Severity) -> None:
    """Either is enough, and both borders are still INFO."""
    assert cash_severity(Decimal(internal), Decimal(external)) is severity
    [finding] = differences(a_view(cash=internal), a_snapshot(cash=external))
    assert (finding.diff_type, finding.severity) == (DiffType.CASH, severity)
    assert finding.delta == Decimal(internal) - Decimal(external)
    assert finding.drift_pct == drift_pct(Decimal(internal), Decimal(external))


def test_a_config_may_draw_the_borders_elsewhere() -> None:
    wide = Tolerances(drift_warn_pct=Decimal(2), drift_fail_pct=Decimal(3), cash_fail_delta=Decimal(10))
    assert [drift_severity(Decimal(pct), wide) for pct in ("1.9", "2", "3", "3.1")] == ["INFO", "WARN", "WARN", "FAIL"]
    assert cash_severity(Decimal(5000), Decimal(4990), wide) is Severity.INFO
    assert cash_severity(Decimal(5000), Decimal("4989.99"), wide) is Severity.FAIL


@pytest.mark.spec("DIF-4")
@pytest.mark.parametrize("kind", [kind for kind in FindingKind if kind not in COUNTED])
def test_order_and_fill_findings_fail_unless_a_rule_says_otherwise(kind: FindingKind) -> None:
    assert severity_of(kind) is MILDER.get(kind, Severity.FAIL)


@pytest.mark.spec("DIF-4")
def test_severities_rise_from_info_to_critical() -> None:
    found = differences(a_view({"A": "1000", "B": "1000"}), a_snapshot({"A": "999.9", "B": "995"}))
    assert worst(found) is Severity.WARN
    assert worst(reversed(found)) is Severity.WARN
    assert worst(found[:1]) is Severity.INFO
    assert worst(()) is None
    assert list(Severity) == ["INFO", "WARN", "FAIL", "CRITICAL"]
