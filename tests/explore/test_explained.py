"""A stop is explained by a fault of the plan, or it is a finding."""

from __future__ import annotations

import pytest

from interlock.explore.explained import EXPLAINS, unexplained
from interlock.mocks.faults import Fault


@pytest.mark.parametrize("code", EXPLAINS)
def test_a_stop_needs_one_fault_that_explains_it(code: str) -> None:
    assert unexplained(code, [Fault.PARTIAL_FILLS], repairs=True)
    assert unexplained(code, [Fault.PARTIAL_FILLS, EXPLAINS[code][0]], repairs=True) == ""


def test_what_no_broker_can_lead_to_is_never_explained() -> None:
    assert "no fault of the plan explains" in unexplained("fill_repeated", list(Fault), repairs=False)


def test_what_was_not_heard_explains_a_divergence_only_where_nothing_is_asked() -> None:
    assert unexplained("reconcile_divergence", [Fault.LOST_EVENT], repairs=False) == ""
    assert unexplained("reconcile_divergence", [Fault.LOST_EVENT], repairs=True)
