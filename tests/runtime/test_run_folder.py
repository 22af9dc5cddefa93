"""A run folder has its final name only when it is whole, and what it holds can be compared and run again."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from interlock.domain.errors import BadInput, StorageError, UnknownSchema
from interlock.domain.ids import canonical_json, sha256_hex
from interlock.runtime.run_difference import Difference, first_difference
from interlock.runtime.run_folder import (
    ARTIFACTS,
    RUN_SCHEMA,
    VERSION,
    RecordingRef,
    RunFile,
    RunFolder,
    RunManifest,
    read_manifest,
)
from tests.run_builders import SmallDisk, SmallFile

CONFIG = {"session": {"session_id": "s", "duration_s": 0.5}}


def a_manifest(**fields: object) -> RunManifest:
    """Return the manifest of a run of nothing."""
    manifest = RunManifest(
        config=CONFIG,
        config_hash=sha256_hex(canonical_json(CONFIG)),
        interrupted_at_step=None,
        live_enabled_by=(),
        package_version=VERSION,
        recording=RecordingRef("fills.jsonl", "0" * 64),
        run_id="r1",
        scheduler="fifo",
        schema=RUN_SCHEMA,
        seed=2**63 - 1,
        steps_max=10,
        tape={"fault.reject": [0, 0, 1]},
    )
    return msgspec.structs.replace(manifest, **fields)


def write_run(
    root: Path, run_id: str = "r1", *, replace: bool = False, files: Mapping[str, bytes] | None = None
) -> Path:
    """Write a whole run folder; ``files`` by stem."""
    own = {"run": canonical_json(a_manifest()) + b"\n", **(files or {})}
    with RunFolder(root, run_id, replace=replace) as folder:
        for name in ARTIFACTS:
            folder.write(name, own.get(name.partition(".")[0], b"one\ntwo\n"))
        return folder.keep()


def names(root: Path) -> list[str]:
    """Return what is where run folders go."""
    return sorted(entry.name for entry in (root / "finish_c" / "c2").iterdir())


def refuse(code: int) -> Callable[..., None]:
    """Return a function that raises the OSError of this number, whatever it is called with."""

    def call(*args: object, **kwargs: object) -> None:
        raise OSError(code, os.strerror(code))

    return call


# -- writing ------------------------------------------------------------------------------------------------


@pytest.mark.spec("ART-1")
def test_a_run_gets_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    with RunFolder(tmp_path, "r1") as folder:
        folder.file("events.jsonl").write(b"one\n")
        assert names(tmp_path) == ["r1.partial"]
        folder.keep()
        assert names(tmp_path) == ["r1"]
    assert (tmp_path / "finish_c" / "c2" / "r1" / "events.jsonl").read_bytes() == b"one\n"


@pytest.mark.spec("NFR-1")
def test_a_run_that_ends_in_an_error_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with RunFolder(tmp_path, "r1") as folder:
            folder.write("events.jsonl", b"one\n")
            assert names(tmp_path) == ["r1.partial"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(tmp_path) == []


@pytest.mark.spec("ART-5")
def test_an_older_run_is_never_overwritten_silently(tmp_path: Path) -> None:
    before = write_run(tmp_path, files={"events": b"old\n"})
    with pytest.raises(BadInput, match=r"r1: this run exists already \(allowed: another --run-id or --out"):
        write_run(tmp_path, files={"events": b"new\n"})
    assert (before / "events.jsonl").read_bytes() == b"old\n"
    assert names(tmp_path) == ["r1"]


@pytest.mark.spec("ART-5")
def test_an_older_run_is_replaced_when_asked_for_and_only_at_the_end(tmp_path: Path) -> None:
    path = write_run(tmp_path, files={"events": b"old\n"})
    with RunFolder(tmp_path, "r1", replace=True) as folder:
        folder.write("events.jsonl", b"new\n")
        assert (path / "events.jsonl").read_bytes() == b"old\n"
        folder.keep()
    assert (path / "events.jsonl").read_bytes() == b"new\n"
    assert names(tmp_path) == ["r1"]


@pytest.mark.spec("ART-5")
def test_a_failed_replacement_keeps_the_older_run(tmp_path: Path) -> None:
    path = write_run(tmp_path, files={"events": b"old\n"})
    with RunFolder(tmp_path, "r1", replace=True) as folder:
        folder.write("events.jsonl", b"new\n")
        folder.partial.rename(tmp_path / "elsewhere")
        with pytest.raises(StorageError, match="r1: cannot be written: No such file"):
            folder.keep()
    assert (path / "events.jsonl").read_bytes() == b"old\n"
    assert names(tmp_path) == ["r1"]


@pytest.mark.spec("NFR-1")
def test_what_a_crash_left_is_refused_until_it_may_be_replaced(tmp_path: Path) -> None:
    left = tmp_path / "finish_c" / "c2" / "r1.partial"
    left.mkdir(parents=True)
    (left / "events.jsonl").write_text("half")
    with pytest.raises(BadInput, match=r"r1\.partial: left by a run that never ended"):
        write_run(tmp_path)
    assert write_run(tmp_path, replace=True).is_dir()
    assert names(tmp_path) == ["r1"]


def test_what_no_run_wrote_is_never_removed(tmp_path: Path) -> None:
    path = write_run(tmp_path)
    (path / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match=r"holds 'notes\.txt', which no run wrote"):
        write_run(tmp_path, replace=True)
    assert (path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("replace", [False, True])
def test_a_file_in_the_way_is_named_and_left_alone(tmp_path: Path, *, replace: bool) -> None:
    way = tmp_path / "finish_c" / "c2"
    way.mkdir(parents=True)
    (way / "r1").write_text("a file")
    with pytest.raises(BadInput, match="r1: something that is no run folder is in the way"):
        write_run(tmp_path, replace=replace)
    (way / "r1").unlink()
    (way / "r1").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(BadInput, match="in the way"):
        write_run(tmp_path, replace=replace)


@pytest.mark.spec("NFR-1")
def test_an_output_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(BadInput, match=r"out/finish_c.*: cannot be made: Not a directory"):
        write_run(tmp_path / "out")


@pytest.mark.spec("NFR-1")
def test_an_output_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "mkdir", refuse(errno.EACCES))
    with pytest.raises(BadInput, match=r"r1: cannot be made: Permission denied .*--out"):
        write_run(tmp_path)


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    "run_id",
    ["", "..", "a..b", "a/b", "/etc", "\\", ".hidden", "-rf", "r1.partial", "r1.old", "a\nb", "a\x00b", "a" * 201,
     "\u202eabc", "sk_" + "live_" + "51HzzqLkQ8vR2mXw"],
)  # fmt: skip
def test_a_run_id_that_is_no_file_name_is_refused_and_not_repeated(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(BadInput, match=r"^run id: cannot name a folder \(allowed: letters") as refused:
        RunFolder(tmp_path, run_id)
    assert len(run_id) < 3 or run_id not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


# -- the disk refuses ---------------------------------------------------------------------------------------


def test_a_write_that_was_refused_half_way_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.runtime.run_folder._open_raw", SmallDisk(10))
    file = RunFile(tmp_path / "f")
    file.write(b"sixsix")
    with pytest.raises(OSError, match="No space left"):
        file.write(b"seven..")
    file.write(b"four")
    file.finish()
    assert (tmp_path / "f").read_bytes() == b"sixsixfour"
    assert file.trouble is not None


def test_a_disk_that_takes_nothing_and_says_nothing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.runtime.run_folder._open_raw", SmallDisk(10))
    file = RunFile(tmp_path / "f")
    monkeypatch.setattr(SmallFile, "write", lambda *_: 0)
    with pytest.raises(OSError, match="Input/output error"):
        file.write(b"x")
    file.close()


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("interlock.runtime.run_folder._open_raw", errno.EIO),
        ("os.fsync", errno.EIO),
        ("os.fsync", errno.ENOSPC),
        ("pathlib.Path.rename", errno.EACCES),
    ],
)
def test_a_disk_that_refuses_is_told_in_one_line_and_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, what: int
) -> None:
    monkeypatch.setattr(where, refuse(what))
    with pytest.raises(StorageError) as refused:
        write_run(tmp_path)
    assert f"cannot be written: {os.strerror(what)}; the run was not kept" in str(refused.value)
    assert names(tmp_path) == []


def test_trouble_that_was_got_over_is_no_complaint_until_asked(tmp_path: Path) -> None:
    with RunFolder(tmp_path, "r1") as folder:
        folder.file("events.jsonl").trouble = OSError(errno.ENOSPC, "No space left on device")
        with pytest.raises(StorageError, match=r"events\.jsonl: cannot be written: No space left"):
            folder.complain()


# -- the manifest -------------------------------------------------------------------------------------------


@pytest.mark.spec("ART-6")
def test_a_manifest_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    assert read_manifest(write_run(tmp_path)) == a_manifest()


@pytest.mark.spec("ART-6", "NFR-1")
@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "is damaged"),
        (b"{}\n", "is damaged: Object missing required field"),
        (b"[]\n", "is damaged"),
        (b"\xff\xfe\n", "is damaged"),
        (b'{"schema":"INTERLOCK_RUN_V1"', "is damaged"),
        (canonical_json(a_manifest(schema="INTERLOCK_RUN_V9")) + b"\n", "has the schema 'INTERLOCK_RUN_V9' "),
        (canonical_json(a_manifest()), "was changed after the run: it is not the text"),
        (b" " + canonical_json(a_manifest()) + b"\n", "was changed after the run: it is not the text"),
        (canonical_json(a_manifest(config={})) + b"\n", "was changed after the run: the config"),
        (canonical_json(a_manifest(interrupted_at_step=0)) + b"\n", "is damaged: Expected `int` >= 1"),
        (canonical_json(a_manifest(scheduler="lifo")) + b"\n", "is damaged: Invalid enum value"),
        (canonical_json(a_manifest())[:-1] + b',"x":1}\n', "is damaged: Object contains unknown field"),
    ],
)
def test_a_manifest_that_is_not_as_written_is_refused(tmp_path: Path, raw: bytes, why: str) -> None:
    folder = write_run(tmp_path, files={"run": raw})
    with pytest.raises(BadInput, match=r"run\.json: ") as refused:
        read_manifest(folder)
    assert why in str(refused.value)
    assert isinstance(refused.value, UnknownSchema) == ("RUN_V9" in why)


@pytest.mark.spec("ART-6")
@pytest.mark.parametrize("name", ARTIFACTS)
def test_a_folder_without_one_of_its_files_is_no_whole_run(tmp_path: Path, name: str) -> None:
    folder = write_run(tmp_path)
    (folder / name).unlink()
    with pytest.raises(BadInput, match=rf"{name}: is missing"):
        read_manifest(folder)


def test_a_half_written_folder_and_no_folder_are_told_apart(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    partial = folder.rename(folder.with_name("r1.partial"))
    with pytest.raises(BadInput, match="is half-written"):
        read_manifest(partial)
    with pytest.raises(BadInput, match="is no folder"):
        read_manifest(folder)


@pytest.mark.parametrize(
    ("version", "newer"), [("0.0.9", False), (VERSION, False), ("0.10.0", True), ("1.0", True), ("x", False)]
)
def test_a_newer_release_is_known_by_its_number(version: str, *, newer: bool) -> None:
    assert a_manifest(package_version=version).newer is newer


# -- comparing ----------------------------------------------------------------------------------------------


@pytest.mark.spec("ART-6")
def test_equal_folders_do_not_differ(tmp_path: Path) -> None:
    assert first_difference(write_run(tmp_path, "a"), write_run(tmp_path, "b")) is None


@pytest.mark.spec("ART-6")
@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"events": b"one\ntwa\n"}, Difference("events.jsonl", 2, "two", "twa")),
        ({"events": b"one\n"}, Difference("events.jsonl", 2, "two", "nothing")),
        ({"audit": b"one\ntwo\nthree\n"}, Difference("audit.jsonl", 3, "nothing", "three")),
        ({"metrics": b"one\ntwo"}, Difference("metrics.json", 2, "two", "two")),
        ({"metrics": b"", "state_snapshots": b"x\n"}, Difference("state_snapshots.jsonl", 1, "one", "x")),
    ],
)
def test_the_first_line_that_differs_is_named(tmp_path: Path, other: dict[str, bytes], expected: Difference) -> None:
    assert first_difference(write_run(tmp_path, "a"), write_run(tmp_path, "b", files=other)) == expected


def test_a_difference_far_into_a_line_is_shown_with_what_surrounds_it(tmp_path: Path) -> None:
    long = b"x" * 1000
    found = first_difference(
        write_run(tmp_path, "a", files={"events": long + b"1\n"}), write_run(tmp_path, "b", files={"events": long})
    )
    assert found is not None
    assert str(found) == f"events.jsonl, line 1: ...{'x' * 40}1 here, ...{'x' * 40} there"
