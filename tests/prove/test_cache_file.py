"""The idempotency cache of a proof: any flipped byte is found, and an open order that it does not hold as well."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from interlock.prove.cache import cache_bytes, read_cache
from interlock.runtime.seeds import SeededStreams
from tests.proof_builders import a_proof, by_options, edited, proved, report_of
from tools.proofs import healthy_day
from tools.stories import Story, key_of

FLIPS = 60


def signed(folder: Path, change: Callable[[list[bytes]], list[bytes]]) -> Path:
    """Change the entries of the healthy cache and give it the header that fits them."""
    path = folder / "healthy" / "cache.jsonl"
    entries = change(path.read_bytes().splitlines(keepends=True)[1:])
    digest = hashlib.sha256(b"".join(entries)).hexdigest()
    header = f'{{"entries":{len(entries)},"schema":"OrderIdCache/1","sha256":"{digest}"}}\n'
    path.write_bytes(header.encode() + b"".join(entries))
    return path


@pytest.mark.spec("PRF-2")
def test_one_byte_flipped_anywhere_in_the_cache_is_found(tmp_path: Path) -> None:
    a_proof(tmp_path)
    path = tmp_path / "healthy" / "cache.jsonl"
    sound = path.read_bytes()
    draws = SeededStreams(7)
    for number in range(FLIPS):
        content = bytearray(sound)
        # Every fifth one in the header, where the checksum itself stands.
        at = draws.below(sound.index(b"\n") + 1 if number % 5 == 0 else len(sound), "place")
        content[at] ^= 1 << draws.below(8, "bit")
        path.write_bytes(content)
        answer = by_options(tmp_path, tmp_path / "out")
        assert answer.code == 2, at
        summary, reason = answer.out.splitlines()
        assert summary == "reconcile_summary stale=0 orphan=0 drift=0.0 cache_ok=false"
        assert reason.startswith("cache_ok=false, expected true: ")


@pytest.mark.spec("PRF-2")
def test_every_bit_of_the_header_counts(tmp_path: Path) -> None:
    sound = cache_bytes(healthy_day().entries.values())
    path = tmp_path / "cache.jsonl"
    for at in range(sound.index(b"\n") + 1):
        for bit in range(8):
            path.write_bytes(sound[:at] + bytes([sound[at] ^ 1 << bit]) + sound[at + 1 :])
            assert read_cache(path).complaint, (at, bit)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda _: b"", "does not begin with a header"),
        (lambda sound: sound[:-1], "checksum"),
        (lambda sound: sound[: len(sound) // 2], "checksum"),
        (lambda sound: sound + b"\n", "checksum"),
        (lambda sound: sound[: sound.index(b"\n") + 1], "checksum"),
        (lambda sound: b" " + sound, "a header that no writer makes"),
        (lambda sound: sound.replace(b"OrderIdCache/1", b"OrderIdCache/2"), "does not begin with a header"),
        (lambda sound: sound.replace(b'"entries":4', b'"entries":5'), "holds 4 entries, its header says 5"),
        (lambda sound: b"\x1f\x8b" + sound, "does not begin with a header"),
    ],
)
def test_a_damaged_cache_is_a_result_and_no_error(change: Callable[[bytes], bytes], told: str, tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    path.write_bytes(change(cache_bytes(healthy_day().entries.values())))
    cache = read_cache(path)
    assert told in cache.complaint
    assert len(cache) == 0 or "entries" in told


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    ("change", "line", "told"),
    [
        (lambda entries: [*entries, entries[0]], 6, "key broker_client_order_id: stands here a second time"),
        (lambda entries: [entries[0].replace(b'"100000"', b'"-1"')], 2, "key size: is not above zero"),
        (lambda entries: [entries[0].replace(b'"closed"', b'"open"')], 2, "key status: Invalid enum value 'open'"),
        (lambda entries: [entries[0].replace(b'"buy"', b'"buy","decision_id":"buy"')], 2, "is given twice"),
        (lambda entries: [entries[0], b"{}\n"], 3, "missing required field"),
        (lambda entries: [entries[0], b"\n"], 3, "the line is blank"),
    ],
)
def test_a_sound_cache_with_an_entry_that_is_none_is_bad_input(
    change: Callable[[list[bytes]], list[bytes]], line: int, told: str, tmp_path: Path
) -> None:
    a_proof(tmp_path)
    path = signed(tmp_path, change)
    answer = by_options(tmp_path, tmp_path / "out")
    assert (answer.code, answer.out, (tmp_path / "out").exists()) == (1, "", False)
    assert answer.complaint.startswith(f"{path}:{line}: ")
    assert told in answer.complaint


@pytest.mark.spec("PRF-2")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda entries: entries[:-1], "holds no entry for the open order"),
        (lambda entries: [*entries[:-1], entries[-1].replace(b'"100000"', b'"5"')], "with other content"),
    ],
)
def test_a_cache_that_would_let_an_open_order_be_sent_again_is_not_ok(
    change: Callable[[list[bytes]], list[bytes]], told: str, tmp_path: Path
) -> None:
    a_proof(tmp_path)
    signed(tmp_path, change)
    answer = by_options(tmp_path, tmp_path / "out")
    assert answer.code == 2
    assert told in answer.out.splitlines()[1]
    assert key_of("resting") in answer.out


def test_a_cache_that_is_expected_to_be_wrong_is_no_difference(tmp_path: Path) -> None:
    def damage(story: Story) -> None:
        story.entries["resting"] = replace(story.entries["resting"], size="7")

    outcome = proved(tmp_path / "p", damage, "  cache_ok: false")
    assert outcome.as_expected
    assert report_of(outcome)["cache"]["ok"] is False


def test_the_cache_of_one_proof_is_no_cache_of_another(tmp_path: Path) -> None:
    a_proof(tmp_path)
    edited(tmp_path / "healthy" / "cache.jsonl", 2, lambda line: line.replace(b'"closed"', b'"sent"'))
    assert "checksum" in by_options(tmp_path, tmp_path / "out").out
