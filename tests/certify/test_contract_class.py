"""The kit as tests: a class with a test for each rule, whatever plugins for asynchronous tests there are."""

from __future__ import annotations

import subprocess
import sys
import unittest
from pathlib import Path

import pytest

from examples.custom_broker import target as venue
from interlock.certify import RULES, BrokerContract
from tests.certify.wrong_adapters import WRONG

ROOT = Path(__file__).resolve().parent.parent.parent

SOURCE = """
from interlock.certify import BrokerContract
from tests.certify.adapter_builders import RIGHT
from tests.certify.wrong_adapters import WRONG

class TestWrong(BrokerContract):
    target = lambda: WRONG["CRT-31"](0.1)

class TestReader(BrokerContract):
    target = lambda: RIGHT["reader"](0.1)
"""


class TestVenue(BrokerContract):
    """The adapter of the examples, as its author would test it."""

    target = venue


def test_each_rule_is_a_method_with_the_rule_for_its_words() -> None:
    found = [name for name in vars(TestVenue) if name.startswith("test_")]
    assert len(found) == len(RULES)
    assert found[4] == "test_crt_05_placed_once"
    assert TestVenue.test_crt_05_placed_once.__doc__ == f"CRT-5: {RULES[4].holds}"  # type: ignore[attr-defined]


def test_what_fails_says_the_rule_and_what_was_seen() -> None:
    class TestWrong(BrokerContract):
        target = WRONG["CRT-33"]

    with pytest.raises(AssertionError, match=r"^CRT-33 .* open_orders\(\), which got no answer, was answered: \(\)$"):
        TestWrong().test_crt_33_lost_question()  # type: ignore[attr-defined]
    with pytest.raises(unittest.SkipTest, match="it is for readers"):
        TestWrong().test_crt_02_reader_only_reads()  # type: ignore[attr-defined]


def test_an_author_may_say_more_about_a_rule_himself() -> None:
    class TestOwn(BrokerContract):
        target = venue

        def test_crt_22_exact_decimals(self) -> str:
            return "mine"

    assert TestOwn().test_crt_22_exact_decimals() == "mine"


def test_it_serves_unittest_as_well() -> None:
    class TestOld(BrokerContract, unittest.TestCase):
        target = WRONG["CRT-3"]

    suite = unittest.TestSuite(TestOld(name) for name in ("test_crt_02_reader_only_reads", "test_crt_03_plain_flags"))
    result = suite.run(unittest.TestResult())
    assert (result.testsRun, len(result.skipped), len(result.failures), result.errors) == (2, 1, 1, [])


@pytest.mark.parametrize(
    "plugins",
    [["-o", "asyncio_default_fixture_loop_scope=function"], ["-p", "no:asyncio", "-p", "no:anyio"]],
    ids=["plugins", "no-plugins"],
)
def test_it_runs_with_and_without_plugins(plugins: list[str], tmp_path: Path) -> None:
    (tmp_path / "test_brokers.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\naddopts = -p no:cacheprovider\nfilterwarnings = error\n", encoding="utf-8"
    )
    command = [sys.executable, "-m", "pytest", "-q", *plugins, str(tmp_path)]
    done = subprocess.run(  # noqa: S603 - this very interpreter
        command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=60
    )
    readers = sum(rule.whom != "traders" for rule in RULES)
    passed, skipped = len(RULES) - 2 + readers, len(RULES) - readers + 1
    assert done.stdout.splitlines()[-1].startswith(f"1 failed, {passed} passed, {skipped} skipped"), done.stdout
