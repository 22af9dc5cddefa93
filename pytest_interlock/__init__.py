"""The pytest plugin of Interlock: the fixtures ``interlock_session`` and ``chaos_broker``, and the marker ``explore``.

A package of its own, since pytest loads it for everybody: nothing of Interlock is imported before a test asks for it.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from interlock.testing import ChaosBroker, Stage
    from interlock.testing.stage import Many

__all__ = ["chaos_broker", "interlock_session"]

_MARKER = "explore"
_RUNS = 100
_OPTIONS = ("runs", "faults", "crashes")
_FIXTURES = ("interlock_session", "chaos_broker")
_STAGE = pytest.StashKey["Stage"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let one schedule be run again, and all be run more or less often."""
    group = parser.getgroup("interlock")
    group.addoption("--explore-seed", type=int, default=None, metavar="N", help="explored tests: only this seed")
    group.addoption("--explore-runs", type=int, default=None, metavar="N", help="explored tests: so many seeds")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    said = f"{_MARKER}(runs={_RUNS}, faults=True, crashes=False): run the test under that many schedules of Interlock"
    config.addinivalue_line("markers", said)


@pytest.fixture(scope="session")
def interlock_session(request: pytest.FixtureRequest) -> Stage:
    """Return what makes sessions: ``interlock_session(strategy={...}, broker={...})``, each judged after the test."""
    return _stage(request.config)


@pytest.fixture(scope="session")
def chaos_broker(request: pytest.FixtureRequest) -> ChaosBroker:
    """Return the broker of the test's sessions: say which faults strike, and read its own book."""
    return _stage(request.config).broker


def _stage(config: pytest.Config) -> Stage:
    if _STAGE not in config.stash:
        from interlock.testing import Stage  # noqa: PLC0415 - see above

        config.stash[_STAGE] = Stage()
    return config.stash[_STAGE]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """Run a test that uses the fixtures on the stage, under one schedule or, with the marker, under many."""
    marker = pyfuncitem.get_closest_marker(_MARKER)
    if marker is None and not any(name in pyfuncitem.fixturenames for name in _FIXTURES):
        return (yield)
    inner = getattr(pyfuncitem.obj, "hypothesis", None)
    test = pyfuncitem.obj if inner is None else inner.inner_test
    if inspect.iscoroutinefunction(test):
        pytest.fail("a session on virtual time is driven by its test: an async one cannot be explored", pytrace=False)
    staged = _staged(pyfuncitem, marker, test)
    if inner is None:
        pyfuncitem.obj = staged
    else:
        # The place that hypothesis keeps for plugins: each of its examples is run on the stage.
        inner.inner_test = staged
    try:
        return (yield)
    finally:
        if inner is None:
            pyfuncitem.obj = test
        else:
            inner.inner_test = test


def _staged(item: pytest.Function, marker: pytest.Mark | None, test: Callable[..., object]) -> Callable[..., None]:
    stage = _stage(item.config)
    many = None if marker is None else _many(item, marker)
    again = f"pytest '{item.nodeid}' --explore-seed {{seed}}"

    @functools.wraps(test)
    def staged(*args: Any, **kwargs: Any) -> None:
        def body() -> object:
            return test(*args, **kwargs)

        if many is None:
            stage.once(body)
        else:
            stage.explore(body, many, again)

    return staged


def _many(item: pytest.Function, marker: pytest.Mark) -> Many:
    from interlock.testing.stage import Many  # noqa: PLC0415 - see above

    if marker.args or not {*marker.kwargs} <= {*_OPTIONS}:
        pytest.fail(f"explore takes {', '.join(_OPTIONS)}, by name", pytrace=False)
    options = dict(marker.kwargs)
    runs, only = options.pop("runs", _RUNS), item.config.getoption("--explore-seed")
    runs = item.config.getoption("--explore-runs") or runs
    if not isinstance(runs, int) or runs < 1:
        pytest.fail(f"explore: runs is {runs!r} (allowed: a whole number from 1 on)", pytrace=False)
    hypothesis = sys.modules.get("hypothesis.errors")
    return Many(
        tuple(range(runs)) if only is None else (only,),
        **options,
        failures=(Exception, pytest.fail.Exception),
        passed_on=() if hypothesis is None else (hypothesis.HypothesisException,),
    )
