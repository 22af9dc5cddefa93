"""The examples of docs/proofs.md are what the readers take."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from interlock.prove.cache import read_cache
from interlock.prove.lines import RecordFile
from interlock.prove.model import load_proof
from interlock.prove.records import BROKER_EVENTS
from interlock.prove.replay import EVENT_READER, VERSION_READER
from tests.run_builders import ROOT

DOCS = (ROOT / "docs" / "proofs.md").read_text(encoding="utf-8")
EVENTS, JOURNAL, CACHE = re.findall(r"```json\n(.*?)```", DOCS, flags=re.DOTALL)


def test_the_log_in_the_docs_has_one_line_of_each_kind(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(EVENTS, encoding="utf-8")
    assert [type(event) for event in RecordFile(path, EVENT_READER)] == list(BROKER_EVENTS)


def test_the_journal_in_the_docs_is_read(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(JOURNAL, encoding="utf-8")
    [version] = RecordFile(path, VERSION_READER)
    assert version.fill is not None


def test_the_cache_in_the_docs_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    path.write_text(CACHE, encoding="utf-8")
    body = CACHE.partition("\n")[2].encode()
    assert (read_cache(path).complaint, len(read_cache(path))) == ("", 1), hashlib.sha256(body).hexdigest()


def test_the_config_in_the_docs_is_read_and_names_the_defaults(tmp_path: Path) -> None:
    [config] = re.findall(r"```yaml\n(.*?)```", DOCS, flags=re.DOTALL)
    path = tmp_path / "stale_order.yaml"
    path.write_text(config, encoding="utf-8")
    told = load_proof(path)
    path.write_text("schema: ProofConfig/1\nshows: defaults\nexpect: {stale: 1}\n", encoding="utf-8")
    plain = load_proof(path)
    assert (told.name, told.tolerances, told.expect) == (plain.name, plain.tolerances, plain.expect)
