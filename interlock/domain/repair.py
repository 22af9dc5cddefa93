"""From findings to planned actions: what may be done without a person, and only where one explanation exists.

Two things may be done, and both only ask the broker for its own word on an order that we know: ask about the order,
so that a lost fill or a lost ending is heard after all; and cancel an order past its time to live. Everything else
(an order nobody sent, a phantom position, cash that is off, one fill with two contents) waits for an operator.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from interlock.domain.findings import Finding, FindingKind, Severity

__all__ = ["Action", "PlannedAction", "RepairPolicy", "plan"]


class Action(StrEnum):
    """What a planned action does."""

    ASK_ORDER = "ask_order"
    """Ask the broker what became of the order, and believe its answer like any other statement."""
    CANCEL_ORDER = "cancel_order"
    OPERATOR = "operator"
    """Nothing that a machine should do."""


class PlannedAction(msgspec.Struct, frozen=True, tag_field="schema", tag="PlannedAction/1"):
    """What is to be done about one finding; ``automatic`` where it may be done now."""

    action: Action
    kind: FindingKind
    subject: str
    client_order_id: str | None
    automatic: bool


class RepairPolicy(msgspec.Struct, frozen=True):
    """What is switched on (REC-9) and what is permitted (REC-8)."""

    auto_repair: bool = False
    cancel_stale: bool = False
    close_remainder: bool = False
    """After a fill that only the broker had seen: cancel what is left (True), or let it work on."""


_ASKED_ABOUT: Final = (
    FindingKind.STALE_LOCAL_ORDER,
    FindingKind.STUCK_ORDER,
    FindingKind.PARTIAL_FILL_MISMATCH,
    FindingKind.FILL_MISSING_LOCALLY,
)
"""Findings with one explanation: something the broker told did not reach us."""


def plan(findings: Iterable[Finding], policy: RepairPolicy, known_orders: Iterable[str]) -> tuple[PlannedAction, ...]:
    """Return what to do about each finding, in the order of the findings, each order asked about once."""
    known = dict.fromkeys(known_orders)
    actions: list[PlannedAction] = []
    done: dict[tuple[Action, str], None] = {}
    for finding in findings:
        if finding.severity is Severity.INFO or finding.kind is FindingKind.UNKNOWN_OUTCOME:
            continue  # nothing to do, or being settled already
        key = finding.client_order_id
        for action, automatic in _actions(finding, policy, known=key in known):
            if key is not None and action is not Action.OPERATOR:
                if (action, key) in done:
                    continue
                done[action, key] = None
            actions.append(PlannedAction(action, finding.kind, finding.subject, key, automatic))
    return tuple(actions)


def _actions(finding: Finding, policy: RepairPolicy, *, known: bool) -> list[tuple[Action, bool]]:
    if not known:
        return [(Action.OPERATOR, False)]
    if finding.kind is FindingKind.STUCK_ORDER and finding.severity is Severity.WARN:
        return [(Action.CANCEL_ORDER, policy.cancel_stale)]
    if finding.kind not in _ASKED_ABOUT:
        return [(Action.OPERATOR, False)]
    actions = [(Action.ASK_ORDER, policy.auto_repair)]
    if finding.kind is FindingKind.PARTIAL_FILL_MISMATCH and policy.close_remainder:
        actions.append((Action.CANCEL_ORDER, policy.auto_repair))
    return actions
