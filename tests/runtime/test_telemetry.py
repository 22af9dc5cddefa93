"""Log lines carry the session, no secrets, and go nowhere the host did not ask for."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from interlock.runtime.redaction import REDACTED
from interlock.runtime.telemetry import LOGGER_NAME, session_logger

pytestmark = pytest.mark.spec("RT-12")

ROOT = Path(__file__).resolve().parents[2]
SECRET = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"  # noqa: S105 - planted


class Keep(logging.Handler):
    """A host's handler."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record."""
        self.records.append(record)


@pytest.fixture
def host() -> Iterator[Keep]:
    """Lend a handler that the host put on our logger."""
    handler, logger = Keep(), logging.getLogger(LOGGER_NAME)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def run_host(code: str) -> subprocess.CompletedProcess[str]:
    """Run a small host in a process of its own, where no test runner has configured any logging."""
    before = "import logging\nfrom interlock.runtime.telemetry import session_logger\n"
    return subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", before + code], cwd=ROOT, capture_output=True, text=True, check=True
    )


def test_a_line_is_bound_to_its_session_and_names_its_actor(host: Keep) -> None:
    session_logger("run-1", "session-1").warning("ORDER_REJECTED", actor="desk", code="max_size")
    (record,) = host.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == (
        "event='ORDER_REJECTED' actor='desk' code='max_size' run_id='run-1' session_id='session-1'"
    )


def test_two_sessions_do_not_share_what_is_bound(host: Keep) -> None:
    one, other = session_logger("run-1", "session-1"), session_logger("run-2", "session-2")
    one.bind(extra="mine").info("A", actor="a")
    other.info("B", actor="b")
    one.info("C", actor="c")
    lines = [record.getMessage() for record in host.records]
    assert ["run-1" in line for line in lines] == [True, False, True]
    assert ["mine" in line for line in lines] == [True, False, False]


@pytest.mark.spec("ART-4")
def test_a_line_is_redacted(host: Keep) -> None:
    log = session_logger("run-1", SECRET)
    log.error("SENT", actor="desk", api_key="plain words", detail=f"used {SECRET}", nested={"token": "plain words"})
    log.error(SECRET, actor="desk")
    for record in host.records:
        line = record.getMessage()
        assert SECRET not in line
        assert "plain words" not in line
        assert REDACTED in line


def test_a_percent_sign_in_a_line_is_only_a_percent_sign(host: Keep) -> None:
    session_logger("run-1", "session-1").info("DONE", actor="desk", detail="100 %d of %s")
    assert "100 %d of %s" in host.records[0].getMessage()


def test_what_is_below_information_is_not_even_made(host: Keep) -> None:
    logging.getLogger(LOGGER_NAME).setLevel(logging.DEBUG)
    session_logger("run-1", "session-1").debug("NOISE", actor="desk")
    assert host.records == []


def test_the_host_decides_from_which_level_on_it_wants_lines(host: Keep) -> None:
    logging.getLogger(LOGGER_NAME).setLevel(logging.ERROR)
    session_logger("run-1", "session-1").warning("W", actor="desk")
    session_logger("run-1", "session-1").error("E", actor="desk")
    assert [record.levelname for record in host.records] == ["ERROR"]


@pytest.mark.spec("RT-10", "RT-12")
def test_nothing_is_configured_for_the_host() -> None:
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    session_logger("run-1", "session-1").info("DONE", actor="desk")
    assert (root.handlers, root.level) == (handlers, level)
    assert structlog.get_config() == before
    assert logging.getLogger(LOGGER_NAME).propagate, "a handler on the host's root logger gets our lines"


@pytest.mark.spec("RT-10", "RT-12")
def test_a_host_without_any_handler_sees_and_hears_nothing() -> None:
    done = run_host("session_logger('r', 's').error('LOUD', actor='desk')\nprint(len(logging.getLogger().handlers))")
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_host_gets_our_lines_in_its_own_format() -> None:
    done = run_host(
        "logging.basicConfig(format='HOST %(name)s %(levelname)s %(message)s')\n"
        "session_logger('r', 's').error('LOUD', actor='desk')"
    )
    assert done.stderr == "HOST interlock ERROR event='LOUD' actor='desk' run_id='r' session_id='s'\n"


def test_a_host_may_pass_a_logger_of_its_own() -> None:
    class Lines(structlog.testing.CapturingLogger):
        """What structlog wraps."""

    lines = Lines()
    session_logger("run-1", "session-1", lines).warning("ORDER_REJECTED", actor="desk")
    (call,) = lines.calls
    assert call.method_name == "warning"
    assert "run_id='run-1'" in call.args[0]
