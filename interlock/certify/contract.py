"""The kit as tests: a base class with a test for each rule, for pytest and, mixed with ``TestCase``, for unittest.

    class TestMyBroker(BrokerContract):
        target = my_double.bench

The tests run an event loop of their own, so that no plugin for asynchronous tests is needed, and none is in the way.
A rule that cannot be tried, or is not for a broker of this kind, is a test that is skipped.
"""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any, ClassVar

from interlock.certify.bench import Target
from interlock.certify.kit import TIMEOUT_S, tried
from interlock.certify.report import Outcome
from interlock.certify.rules import RULES, Rule

__all__ = ["BrokerContract"]


class BrokerContract:
    """Every rule of the kit as a test method, such as ``test_crt_05_placed_once``."""

    target: ClassVar[Target]
    """What makes a fresh bench, or an object with such a method ``fresh``."""
    timeout_s: ClassVar[float] = TIMEOUT_S
    """How long one rule may take."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for rule in RULES:
            name = f"test_crt_{int(rule.id.removeprefix('CRT-')):02d}_{rule.name}"
            if not hasattr(cls, name):
                setattr(cls, name, _test_of(rule, name))


def _test_of(rule: Rule, name: str) -> Callable[[BrokerContract], None]:
    def test(self: BrokerContract) -> None:
        cls = type(self)
        result = tried(getattr(cls.target, "fresh", cls.target), rule, timeout_s=cls.timeout_s)
        if result.outcome is Outcome.SKIPPED:
            raise unittest.SkipTest(result.evidence)
        if result.outcome is Outcome.FAILED:
            raise AssertionError(f"{rule.id} {rule.holds} {result.evidence}")

    test.__name__ = name
    test.__doc__ = f"{rule.id}: {rule.holds}"
    return test
