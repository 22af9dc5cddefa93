"""A conformance kit for adapters: every promise of ``interlock.ports``, held to a fresh adapter and its test double."""

from interlock.certify.bench import Bench, Target
from interlock.certify.contract import BrokerContract
from interlock.certify.kit import TIMEOUT_S, certify, tried
from interlock.certify.loading import load_target
from interlock.certify.report import CertifyReport, Outcome, RuleResult, Verdict, write_report
from interlock.certify.rules import RULES, For, Rule, chosen

__all__ = [
    "RULES",
    "TIMEOUT_S",
    "Bench",
    "BrokerContract",
    "CertifyReport",
    "For",
    "Outcome",
    "Rule",
    "RuleResult",
    "Target",
    "Verdict",
    "certify",
    "chosen",
    "load_target",
    "tried",
    "write_report",
]
