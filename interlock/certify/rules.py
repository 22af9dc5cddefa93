"""The rules of the kit, as one table: what each holds an adapter to, and what the double must be able to do for it.

A rule names the part of ``interlock.ports`` that it holds, and one check, in a file by its subject. Each is made so
that an adapter that breaks one promise fails at one rule: what a check needs besides, it does in the plainest way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

import msgspec

from interlock.certify import (
    account_checks,
    call_checks,
    error_checks,
    fill_checks,
    lookup_checks,
    order_checks,
    port_checks,
    stream_checks,
)
from interlock.certify.case import Case
from interlock.domain.errors import BadInput

__all__ = ["RULES", "For", "Rule", "chosen"]


class For(StrEnum):
    """Whom a rule is for."""

    ALL = "all"
    READERS = "readers"
    TRADERS = "traders"


class Rule(msgspec.Struct, frozen=True):
    """One promise of the port."""

    id: str
    name: str
    holds: str
    """The promise, as the port makes it."""
    port: str
    """Where it stands in ``interlock.ports``."""
    whom: For
    needs: tuple[str, ...]
    """The hooks of the bench without which it cannot be tried."""
    check: Callable[[Case], Awaitable[str]]


_ALL, _READERS, _TRADERS = For.ALL, For.READERS, For.TRADERS

RULES: Final = (
    # -- what it is -----------------------------------------------------------------------------------------
    Rule("CRT-1", "whole_port", "It has every method of its port.", "BrokerReader, BrokerTrader",
         _ALL, (), port_checks.has_its_port),
    Rule("CRT-2", "reader_only_reads", "Nothing of a reader changes anything there.", "BrokerReader",
         _READERS, (), port_checks.reader_only_reads),
    Rule("CRT-3", "plain_flags", "is_mock and is_paper are True or False, nothing that looks like it.", "BrokerTrader",
         _TRADERS, (), port_checks.flags_are_plain),
    Rule("CRT-4", "typed_answers", "Each answer has the types of the port; amounts are Decimal, instants whole ns.",
         "every method", _ALL, ("fill",), port_checks.answers_are_typed),
    # -- orders ---------------------------------------------------------------------------------------------
    Rule("CRT-5", "placed_once", "An order that exists under its id is never doubled.", "place",
         _TRADERS, ("orders_there",), order_checks.placed_once),
    Rule("CRT-6", "other_content", "Another order under a taken id is rejected as DUPLICATE_ID and changes nothing.",
         "place", _TRADERS, (), order_checks.other_content),
    Rule("CRT-7", "definite_reject", "Rejected is a definite no to an order that never worked, by the broker's code.",
         "place", _TRADERS, ("orders_there", "reject"), order_checks.rejected_is_definite),
    Rule("CRT-8", "cancel_ends", "Cancelled is said only once nothing more of the order can fill.", "cancel",
         _TRADERS, (), order_checks.cancel_ends),
    Rule("CRT-9", "cancel_of_ended", "The cancel of an order that had ended is refused.", "cancel",
         _TRADERS, ("cancel_there", "fill"), order_checks.cancel_of_ended),
    Rule("CRT-10", "cancel_of_unknown", "The cancel of an order that is not known there is refused.", "cancel",
         _TRADERS, (), order_checks.cancel_of_unknown),
    Rule("CRT-11", "raced_cancel", "Cancelled tells all that was filled, also while the cancel was on its way.",
         "cancel", _TRADERS, ("fill_in_cancel",), order_checks.raced_cancel),
    Rule("CRT-12", "late_cancel", "An order that filled while its cancel was on its way has filled.", "cancel",
         _TRADERS, ("fill_in_cancel",), order_checks.late_cancel),
    # -- looking up -----------------------------------------------------------------------------------------
    Rule("CRT-13", "finds_ended", "An order is found, open or closed, with all its fills.", "order",
         _ALL, ("cancel_there", "fill"), lookup_checks.finds_whatever_became_of_it),
    Rule("CRT-14", "says_not_found", "What is neither open nor closed is OrderNotFound, and no error.", "order",
         _ALL, (), lookup_checks.says_not_found),
    Rule("CRT-15", "finds_lost", "An order is found by the id that we gave it, also when its answer was lost.", "order",
         _TRADERS, ("lose_after",), lookup_checks.finds_what_was_lost),
    Rule("CRT-16", "lists_open", "All that is open is listed, ours or not, and nothing that has ended.", "open_orders",
         _ALL, ("cancel_there", "fill", "place_there"), lookup_checks.lists_what_is_open),
    # -- fills ----------------------------------------------------------------------------------------------
    Rule("CRT-17", "inclusive_cursor", "The fill at the cursor itself is told again; 0 asks for all.", "fills_since",
         _ALL, ("fill",), fill_checks.cursor_tells_itself_again),
    Rule("CRT-18", "none_skipped", "Every fill is told, also those of one instant.", "fills_since",
         _ALL, ("fill",), fill_checks.none_is_skipped),
    Rule("CRT-19", "rising_cursor", "A fill that comes later has a higher cursor, whatever its time.", "fills_since",
         _ALL, ("fill",), fill_checks.cursor_only_rises),
    Rule("CRT-20", "lasting_history", "A fill, its id and its cursor never change.", "fills_since, order",
         _ALL, ("fill",), fill_checks.history_stays_as_it_was),
    Rule("CRT-21", "parts_add_up", "What an order says is filled is the sum of its fills.", "order",
         _ALL, ("fill",), fill_checks.parts_add_up),
    Rule("CRT-22", "exact_decimals", "Quantities and prices are exactly as the broker has them.", "every method",
         _ALL, ("fill",), fill_checks.decimals_are_exact),
    Rule("CRT-23", "utc_instants", "Instants are nanoseconds since the epoch, UTC.", "every method",
         _ALL, ("fill",), fill_checks.instants_are_utc),
    # -- the account ----------------------------------------------------------------------------------------
    Rule("CRT-24", "positions_agree", "Positions move with the fills.", "positions",
         _ALL, ("fill",), account_checks.positions_agree),
    Rule("CRT-25", "cash_agrees", "Cash, where it is told, moves with the fills and their fees.", "cash",
         _ALL, ("fill",), account_checks.cash_agrees),
    Rule("CRT-26", "their_time", "The time that is told is the broker's own, however far from ours.", "server_time_ns",
         _ALL, ("shift_clock",), account_checks.server_time_is_theirs),
    Rule("CRT-27", "time_never_falls", "The time that is told is never less than it was.", "server_time_ns",
         _ALL, ("shift_clock",), account_checks.server_time_never_falls),
    # -- errors ---------------------------------------------------------------------------------------------
    Rule("CRT-28", "rate_limited", "RateLimited: no effect, and the broker's advice where it gave one.", "errors",
         _ALL, ("orders_there", "rate_limit"), error_checks.rate_limited),
    Rule("CRT-29", "not_sent", "NotSent: failed before its first byte left, no effect.", "errors",
         _ALL, ("fail_to_send", "orders_there"), error_checks.not_sent),
    Rule("CRT-30", "refused", "Refused: a definite no to the call, no effect.", "errors",
         _ALL, ("orders_there", "refuse"), error_checks.refused),
    Rule("CRT-31", "lost_order", "An order without an answer may be live: OutcomeUnknown, never Rejected.", "errors",
         _TRADERS, ("lose_after", "lose_before"), error_checks.order_without_answer),
    Rule("CRT-32", "lost_cancel", "A cancel without an answer: OutcomeUnknown, never CancelRefused.", "errors",
         _TRADERS, ("lose_after", "lose_before"), error_checks.cancel_without_answer),
    Rule("CRT-33", "lost_question", "A question without an answer: Unreachable, never an empty answer.", "errors",
         _ALL, ("lose_before",), error_checks.question_without_answer),
    Rule("CRT-34", "nothing_foreign", "What cannot be read is no answer, and no foreign error leaves.", "errors",
         _ALL, ("garble",), error_checks.garbled),
    Rule("CRT-35", "called_once", "A method makes its call once; repeating is the session's business.", "every method",
         _ALL, ("fail", "orders_there"), error_checks.fails_once),
    # -- calls ----------------------------------------------------------------------------------------------
    Rule("CRT-36", "bounded", "A call is bounded by a time-out of its own.", "every method",
         _ALL, ("hold",), call_checks.bounds_itself),
    Rule("CRT-37", "cancellable", "A call may be cancelled at any time.", "every method",
         _ALL, ("held", "hold", "release"), call_checks.can_be_cancelled),
    Rule("CRT-38", "own_answers", "Several calls at a time: an answer is about the call it was given to.",
         "every method", _ALL, ("held", "hold", "release"), call_checks.answers_are_kept_apart),
    # -- statements -----------------------------------------------------------------------------------------
    Rule("CRT-39", "tells_fills", "Every fill is told, equal in every field to that of fills_since.", "statements",
         _TRADERS, ("fill", "listened"), stream_checks.tells_every_fill),
    Rule("CRT-40", "told_again", "A fill that is delivered twice keeps its id.", "statements",
         _TRADERS, ("fill", "listened", "tell_again"), stream_checks.told_again_is_the_same),
    Rule("CRT-41", "lost_link", "A lost link raises Unreachable; a new iterator tells again.", "statements",
         _TRADERS, ("cut", "fill", "listened"), stream_checks.lost_link_is_said),
    Rule("CRT-42", "late_fill", "A fill that is told late is told, whatever has ended by then.", "statements",
         _TRADERS, ("cancel_there", "fill", "hold_statements", "listened", "release_statements"),
         stream_checks.late_fill_is_told),
)  # fmt: skip


def chosen(ids: tuple[str, ...]) -> tuple[Rule, ...]:
    """Return the rules with these ids, in the order of the table; all of them where none is named.

    Raises:
        BadInput: there is no such rule.
    """
    known = [rule.id for rule in RULES]
    strangers = [name for name in ids if name not in known]
    if strangers:
        raise BadInput("--rule", f"{strangers[0]!r} is no rule", f"{known[0]} to {known[-1]}; --list shows them")
    return tuple(rule for rule in RULES if not ids or rule.id in ids)
