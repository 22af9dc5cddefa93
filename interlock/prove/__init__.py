"""Proofs: a broker's log, an order journal and a cache replayed, with the loop off and one reconcile forced.

Each proof names what it expects to find. It leaves four artifacts (``trades.csv``, ``reconcile-report.json``,
``summary.txt``, ``metrics.txt``), written as a whole or not at all. ``docs/proofs.md`` has the formats.
"""

from interlock.prove.convert import convert_recording
from interlock.prove.model import ProofConfig, load_proof
from interlock.prove.proof import Outcome, ProofFiles, prove, prove_config
from interlock.prove.schemas import SCHEMAS, schema_of
from interlock.prove.suite import prove_folder

__all__ = [
    "SCHEMAS",
    "Outcome",
    "ProofConfig",
    "ProofFiles",
    "convert_recording",
    "load_proof",
    "prove",
    "prove_config",
    "prove_folder",
    "schema_of",
]
