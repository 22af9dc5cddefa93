"""The rules: the right adapter holds to all of them, and each wrong one fails at its own and at no other."""

from __future__ import annotations

import pytest

from interlock import ports
from interlock.certify import RULES, Bench, For, Outcome, certify, chosen, tried
from interlock.domain.errors import BadInput
from tests.certify.adapter_builders import RIGHT, Made
from tests.certify.wrong_adapters import WRONG

pytestmark = pytest.mark.spec("NFR-2")

RULE_S = 2.0
"""What a rule may take; only the wrong adapters that never come to an end are waited for so long."""

WAITED_FOR = "CRT-36"
"""The one rule that needs the time-out of the adapter to pass, and gets adapters with a short one."""


def outcomes_of(target: Made) -> dict[str, Outcome]:
    """Return what became of each rule."""
    others = tuple(rule for rule in RULES if rule.id != WAITED_FOR)
    found = {result.rule: result.outcome for result in certify(target, others, timeout_s=RULE_S).results}
    [rule] = chosen((WAITED_FOR,))
    return found | {WAITED_FOR: tried(lambda: target(0.1), rule, timeout_s=RULE_S).outcome}


@pytest.mark.parametrize("kind", RIGHT)
def test_a_right_adapter_passes_every_rule_that_is_for_its_kind(kind: str) -> None:
    other = For.READERS if kind == "trader" else For.TRADERS
    assert outcomes_of(RIGHT[kind]) == {rule.id: Outcome.PASSED for rule in RULES if rule.whom is not other}


@pytest.mark.parametrize("rule", WRONG)
def test_a_wrong_adapter_fails_at_its_rule_and_at_no_other(rule: str) -> None:
    found = outcomes_of(WRONG[rule])
    assert {name: outcome for name, outcome in found.items() if outcome is not Outcome.PASSED} == {rule: Outcome.FAILED}


def test_every_rule_has_a_wrong_adapter() -> None:
    assert list(WRONG) == [rule.id for rule in RULES]


def test_rules_are_numbered_in_order_and_named_once() -> None:
    assert [rule.id for rule in RULES] == [f"CRT-{number}" for number in range(1, len(RULES) + 1)]
    assert len({rule.name for rule in RULES}) == len({rule.check for rule in RULES}) == len(RULES)


def test_every_rule_names_a_part_of_the_ports_and_hooks_that_a_bench_may_have() -> None:
    members = {*vars(ports.BrokerReader), *vars(ports.BrokerTrader), "BrokerReader", "BrokerTrader"}
    for rule in RULES:
        assert {*rule.port.split(", ")} <= members | {"every method", "errors"}, rule.id
        assert {*rule.needs} <= {*vars(Bench)}, rule.id
        assert list(rule.needs) == sorted(rule.needs), rule.id


def test_every_hook_is_needed_by_some_rule() -> None:
    hooks = {name for name, value in vars(Bench).items() if callable(value) and not name.startswith("_")}
    assert hooks == {hook for rule in RULES for hook in rule.needs}


@pytest.mark.parametrize("hook", sorted({hook for rule in RULES for hook in rule.needs}))
def test_a_rule_whose_hook_is_missing_is_skipped_and_never_passed(hook: str) -> None:
    class Lacking:
        """The right bench without one hook."""

        def __init__(self) -> None:
            self._bench = RIGHT["trader"]()

        def __getattr__(self, name: str) -> object:
            if name == hook:
                raise AttributeError(name)
            return getattr(self._bench, name)

    for rule in RULES:
        if hook in rule.needs and rule.whom is not For.READERS:
            result = tried(Lacking, rule)
            assert (result.outcome, result.evidence) == (Outcome.SKIPPED, f"the bench has no {hook}")


def test_rules_are_chosen_by_their_ids_in_the_order_of_the_table() -> None:
    assert [rule.id for rule in chosen(("CRT-9", "CRT-2"))] == ["CRT-2", "CRT-9"]
    assert chosen(()) == RULES
    with pytest.raises(BadInput, match=r"'CRT-0' is no rule .allowed: CRT-1 to CRT-42"):
        chosen(("CRT-1", "CRT-0"))
