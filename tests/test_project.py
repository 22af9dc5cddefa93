"""The lock and the project file agree, and the lock can be used anywhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
DIRECT = [
    *map(Requirement, PROJECT["project"]["dependencies"]),
    *map(Requirement, PROJECT["dependency-groups"]["dev"]),
    *map(Requirement, PROJECT["build-system"]["requires"]),
]
LOCKED = dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", LOCK, flags=re.MULTILINE))


def test_every_direct_dependency_is_locked_inside_its_bounds() -> None:
    wrong = [str(wanted) for wanted in DIRECT if not wanted.specifier.contains(LOCKED.get(wanted.name, "0"))]
    assert not wrong, "run make lock"


def test_every_direct_dependency_has_a_lower_and_an_upper_bound() -> None:
    for wanted in DIRECT:
        assert sorted(bound.operator for bound in wanted.specifier) == ["<", ">="], wanted


def test_every_locked_release_carries_its_hashes() -> None:
    releases = re.split(r"^(?=[a-z0-9-]+==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(releases) == len(LOCKED)
    assert all("--hash=sha256:" in release for release in releases)


def test_the_lock_names_no_index_no_path_and_not_the_project_itself() -> None:
    lines = [line for line in LOCK.splitlines() if not line.lstrip().startswith(("#", "--hash=sha256:"))]
    assert not [line for line in lines if re.search(r"://|^-|/|@|file:|^interlock\b", line)]
    assert "://" not in LOCK


def test_every_direct_dependency_stands_in_architecture_with_its_reason() -> None:
    reasons = ARCHITECTURE.partition("### Dependencies")[2].partition("\n## ")[0]
    named = set(re.findall(r"[a-z][a-z-]+", reasons))
    extras = [Requirement(line) for lines in PROJECT["project"]["optional-dependencies"].values() for line in lines]
    assert [wanted.name for wanted in (*DIRECT, *extras) if wanted.name not in named] == []


def test_every_part_of_the_package_has_its_place_in_the_house() -> None:
    house = ARCHITECTURE.partition("## The house")[2].split("```")[1]
    named = set(re.findall(r"^  ([a-z_]+)(?:/|\.py) ", house, flags=re.MULTILINE))
    named |= set(re.findall(r" ([a-z_]+)\.py ", house))
    parts = {path.stem for path in (ROOT / "interlock").iterdir() if path.is_dir() or path.suffix == ".py"}
    assert sorted(part for part in parts - named if not part.startswith("_")) == []


def test_every_room_of_a_part_stands_in_the_house() -> None:
    house = set(re.findall(r"[a-z_]+", ARCHITECTURE.partition("## The house")[2].split("```")[1]))
    told_by_kind = ("certify", "cli", "web")  # a file for each command, each page, each subject
    rooms = [path for path in (ROOT / "interlock").rglob("*.py") if not path.stem.startswith("__")]
    assert rooms
    assert sorted(str(room) for room in rooms if room.stem not in house and room.parent.name not in told_by_kind) == []
