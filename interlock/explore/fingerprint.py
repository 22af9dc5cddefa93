"""The state of a run as a digest: two runs with the same one go on alike, whatever came before.

Everything that can be reached from a run is walked over: actors, mailboxes, timers, waiting coroutines with their local
variables, the store, the broker's book. What only counts the past or speaks to people is left out: recorders, the
schedule, figures of mailboxes. A number that only names something (a request on its way) is told by the order in which
it is met, so that two requests in either order are one state. What the walk does not know how to look into raises: a
state that is not seen whole would let runs pass for alike that are not.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from hashlib import blake2b
from operator import itemgetter
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any, Final

import msgspec
from pydantic import BaseModel
from tenacity import RetryCallState, Retrying

from interlock.config.parts import Parts
from interlock.config.section import Section
from interlock.domain.budget import AttemptBudget
from interlock.domain.errors import Broken
from interlock.domain.exposure import Exposure
from interlock.domain.windows import SlidingWindows
from interlock.explore.watcher import Watcher
from interlock.mocks.broker import MockBroker
from interlock.mocks.exchange import Exchange
from interlock.mocks.faults import FaultPlan, FaultRule
from interlock.mocks.strategy import Strategy
from interlock.runtime.asks import Asks
from interlock.runtime.credit import Credit
from interlock.runtime.mailbox import LaneQueue
from interlock.runtime.recorder import RunRecorder
from interlock.runtime.schedule import Schedule
from interlock.runtime.stepped import SteppedSystem
from interlock.runtime.timers import Timers
from interlock.runtime.work import Cell, Task

__all__ = ["fingerprint"]

_PLAIN: Final = (type(None), bool, int, float, str, bytes, Decimal, datetime, Enum, type, ModuleType)
_SAME_IN_EVERY_RUN: Final = (RunRecorder, Schedule, Parts, Section, FaultPlan, FaultRule)
_MUTE: Final[dict[type, tuple[str, ...]]] = {
    LaneQueue: ("accepted", "peak", "waits", "wait_ns_sum", "wait_ns_max"),
    Credit: ("peak",),
    Task: ("token",),
    Cell: ("ready", "urgent", "waiting_senders"),
    Exchange: ("_lines",),
    RetryCallState: ("start_time", "outcome_timestamp"),
    Retrying: ("_local",),
}
"""Fields that count what is past, spare making something again, or are told in a better order by the driver.

tenacity takes down the machine's time, which nothing of ours looks at.
"""

_HEAPS: Final[dict[type, tuple[str, ...]]] = {
    AttemptBudget: ("_by_order",),
    Exposure: ("_open", "_live", "_ended"),
    SlidingWindows: ("_windows",),
    MockBroker: ("requests",),
    Exchange: ("accepted",),
    Strategy: ("outcomes", "promised"),
}
"""Lists of what has been, and mappings that are only looked up in: nobody asks in which order they were filled."""

_ASK: Final = "ask_id"
_HEAP_TYPE: Final = 1 << 9
"""The flag of types that are made by a ``class`` statement (Py_TPFLAGS_HEAPTYPE)."""


def fingerprint(*roots: object) -> bytes:
    """Return 16 bytes for all that can be reached from ``roots``.

    Raises:
        Broken: something is reached that cannot be looked into.
    """
    walk = _Walk()
    walk.visit(roots)
    return blake2b("\n".join(walk.words).encode(), digest_size=16).digest()


class _Ask:
    """The number of a request that is on its way."""

    def __init__(self, number: object) -> None:
        self.number = number


class _Walk:
    """One walk over everything that can be reached, in a fixed order, each object once."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._met: dict[int, int] = {}
        self._kept: list[object] = []
        """What was met, kept alive: the number of an object that is gone could be another's."""
        self._asks: dict[object, int] = {}
        self._todo: list[object] = []

    def visit(self, root: object) -> None:
        """Walk over all that can be reached from ``root``."""
        todo, words, met, kept = self._todo, self.words, self._met, self._kept
        todo.append(root)
        while todo:
            item = todo.pop()
            kind = type(item)
            opened = _way_into(kind)  # type: ignore[arg-type]  # a type is hashable
            if opened is _plain:
                words.append(repr(item))
                continue
            if opened is _same:
                words.append(kind.__name__)
                continue
            number = met.get(id(item))
            if number is not None:
                words.append(f"again {number}")
                continue
            met[id(item)] = len(kept)
            kept.append(item)
            words.append(kind.__qualname__)
            opened(self, item)

    # -- ways into things -----------------------------------------------------------------------------------

    def mapping(self, item: Mapping[object, object]) -> None:
        """Look into keys and values, in their order."""
        self.all([part for pair in item.items() for part in pair])

    def all(self, parts: Iterable[object]) -> None:
        """Look into some things, one after the other."""
        listed = list(parts)
        self.words.append(str(len(listed)))
        listed.reverse()
        self._todo.extend(listed)

    def heap(self, items: Iterable[object]) -> None:
        """Look into a set: in the order in which its members were met, and the others by what they are."""
        self.all(sorted(items, key=self._place))

    def struct(self, item: msgspec.Struct) -> None:
        """Look into the fields of a struct."""
        self._named(item.__struct_fields__, [getattr(item, name) for name in item.__struct_fields__])

    def state(self, item: SteppedSystem | Watcher) -> None:
        """Look into what something says that it goes on from."""
        self.all(item.state())

    def lane(self, item: LaneQueue) -> None:
        """Look into a lane: one in which nothing waits is like one that never carried anything."""
        if item.depth:
            self.fields(item)

    def timers(self, item: Timers) -> None:
        """Look into what is due when; what is due at one time is a set."""
        live = sorted(item.live(), key=lambda entry: (entry[0], self._place(entry[1])))
        self.all([part for entry in live for part in entry])

    def answers(self, item: Asks) -> None:
        """Look into answers that nobody has taken yet."""
        numbered = [(self._number(ask_id), answer) for ask_id, answer in item.answered()]
        self.all([answer for _, answer in sorted(numbered, key=itemgetter(0))])

    def ask(self, item: _Ask) -> None:
        """Name a request by when it was met."""
        self.all((self._number(item.number),))

    def reduced(self, item: object) -> None:
        """Look into something that says how it is copied, such as an iterator."""
        try:
            reduced = item.__reduce_ex__(2)
        except TypeError:
            kind = type(item)
            message = f"a state holds a {kind.__module__}.{kind.__qualname__}, and nobody knows how to look into it"
            raise Broken(message) from None
        self.all(reduced if isinstance(reduced, tuple) else (reduced,))

    def fields(self, item: object) -> None:
        """Look into the attributes of an object."""
        kind = type(item)
        found: dict[str, object] = dict(getattr(item, "__dict__", {}))
        for name in _slots(kind):  # type: ignore[arg-type]  # as above
            if hasattr(item, name):
                found[name] = getattr(item, name)
        for name in _MUTE.get(kind, ()):
            del found[name]
        for name in _HEAPS.get(kind, ()):
            found[name] = _sorted(found[name])
        self._named(tuple(found), list(found.values()))

    def coroutine(self, item: CoroutineType[Any, Any, Any]) -> None:
        """Look into a coroutine that waits."""
        self._waiting(item, item.cr_frame, item.cr_await)

    def generator(self, item: GeneratorType[Any, Any, Any]) -> None:
        """Look into a generator that waits, such as that of an operation of the driver."""
        self._waiting(item, item.gi_frame, item.gi_yieldfrom)

    def _waiting(self, item: object, frame: FrameType | None, inner: object) -> None:
        """Look into one that waits: where it is, its local variables, and what it waits on."""
        if frame is None:
            return
        self.words.append(f"{frame.f_code.co_qualname} {frame.f_lasti}")
        local: Mapping[str, object] = frame.f_locals
        known = [id(part) for part in (item, frame, local, *local.values())]
        # What an expression has put aside while it waits, such as the iterator of a loop, has no name.
        aside: list[object] = []
        for part in gc.get_referents(item):
            if id(part) in known:
                known.remove(id(part))
            elif not isinstance(part, CellType | FunctionType | CodeType | str) and part is not inner:
                aside.append(part)
        self.all((inner, *aside))
        self._named(tuple(local), list(local.values()))

    # -- names ----------------------------------------------------------------------------------------------

    def _named(self, names: tuple[str, ...], values: list[object]) -> None:
        if _ASK in names:
            at = names.index(_ASK)
            values[at] = _Ask(values[at])
        self.words.append(",".join(names))
        values.reverse()
        self._todo.extend(values)

    def _number(self, ask_id: object) -> int:
        return self._asks.setdefault(ask_id, len(self._asks))

    def _place(self, item: object) -> tuple[int, str]:
        """Return where something stands in a set: by when it was met, else by what it is."""
        return self._met.get(id(item), len(self._met)), _look(item)


def _plain(_: _Walk, item: object) -> None:
    """Tell something that is all in its text."""
    raise AssertionError(item)


def _same(_: _Walk, item: object) -> None:
    """Tell something that is the same in every run of a plan."""
    raise AssertionError(item)


_WAYS: Final[tuple[tuple[type | tuple[type, ...], Callable[[_Walk, Any], None]], ...]] = (
    (_SAME_IN_EVERY_RUN, _same),
    ((*_PLAIN, BaseModel), _plain),
    ((dict, MappingProxyType), _Walk.mapping),
    ((tuple, list, deque), _Walk.all),
    (msgspec.Struct, _Walk.struct),
    ((set, frozenset), _Walk.heap),
    (CoroutineType, _Walk.coroutine),
    (GeneratorType, _Walk.generator),
    (MethodType, lambda walk, item: walk.all((item.__func__, item.__self__))),
    (FunctionType, lambda walk, item: walk.all((item.__module__, item.__qualname__, item.__closure__))),
    (BuiltinFunctionType, lambda walk, item: walk.all((item.__qualname__, item.__self__))),
    (CellType, lambda walk, item: walk.all(_content(item))),
    ((SteppedSystem, Watcher), _Walk.state),
    (LaneQueue, _Walk.lane),
    (Timers, _Walk.timers),
    (Asks, _Walk.answers),
    (_Ask, _Walk.ask),
)
"""How things of each type are looked into; the first that fits."""


@cache
def _way_into(kind: type) -> Callable[[_Walk, Any], None]:
    for types, way in _WAYS:
        if issubclass(kind, types):
            return way
    copied = any({"__reduce__", "__reduce_ex__"} & base.__dict__.keys() for base in kind.__mro__[:-1])
    written_here = kind is object or kind.__flags__ & _HEAP_TYPE
    return _Walk.fields if written_here and not copied else _Walk.reduced


@cache
def _slots(kind: type) -> tuple[str, ...]:
    found: list[str] = []
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        found.extend((slots,) if isinstance(slots, str) else slots)
    return tuple(name for name in found if name not in ("__weakref__", "__dict__"))


def _sorted(items: Any) -> Sequence[object]:
    """Return what is in a list or a mapping in an order of its own."""
    if isinstance(items, dict):
        return [part for pair in sorted(items.items(), key=repr) for part in pair]
    return sorted(map(repr, items))


def _look(item: object) -> str:
    """Return what tells one thing in a set from the others; a task by its name, and by where it is with what."""
    if isinstance(item, Cell):
        return item.name
    if not isinstance(item, Task):
        return repr(item)
    looks = [item.name]
    waits: object = item.coro
    while isinstance(waits, CoroutineType) and waits.cr_frame is not None:
        looks.append(str(waits.cr_frame.f_lasti))
        looks.extend(_told_apart(part) for part in waits.cr_frame.f_locals.values())
        waits = waits.cr_await
    return "\n".join(looks)


def _told_apart(part: object) -> str:
    return repr(part) if isinstance(part, str | msgspec.Struct | BaseModel) else getattr(part, "broker_order_id", "")


def _content(cell: CellType) -> tuple[object, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # nothing is in it yet
        return ()
