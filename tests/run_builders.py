"""What tests of whole runs share: small configs, the command line in this process, and a look into run folders."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from interlock.cli.main import run
from interlock.config import load_config
from interlock.config.load import LoadedConfig, config_from_tree

__all__ = [
    "CONFIGS",
    "ROOT",
    "Answer",
    "SmallDisk",
    "SmallFile",
    "a_config",
    "a_loaded",
    "a_process",
    "a_tree",
    "an_intent",
    "contents",
    "interlock",
    "kept",
    "loaded_file",
    "runs_in",
]

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "configs"


class Answer(NamedTuple):
    """What a command left behind: its exit code and what it wrote to both outputs."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """Return the one line on standard error; fails where it is not exactly one line of ours."""
        [line] = self.err.splitlines()
        assert line.startswith("interlock: ")
        assert "Traceback" not in self.out
        return line.removeprefix("interlock: ")


class SmallFile(io.FileIO):
    """A file on a disk with ``room`` bytes for it: then it is full."""

    room = 0

    def write(self, data: Any) -> int:
        """Take as much as there is room for."""
        left = self.room - self.tell()
        if left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data[:left])


class SmallDisk:
    """Opens files in place of the run folder: ``room`` bytes for those named like ``only``, plenty for others."""

    def __init__(self, room: int, only: str = "") -> None:
        self.room = room
        self.only = only

    def __call__(self, path: Path) -> SmallFile:
        """Make one file."""
        file = SmallFile(path, "x")
        file.room = self.room if self.only in path.name else 1 << 40
        return file


def interlock(*arguments: object) -> Answer:
    """Run one command in this process, without a terminal."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(argument) for argument in arguments])
    return Answer(code, _text(out), _text(err))


def a_process(
    *arguments: object, cwd: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run this Python in a process of its own, with the code but without anything else of this environment."""
    own = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.defpath, **(environment or {})}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(  # noqa: S603 - the command is the test's own
        command, cwd=cwd, env=own, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )


def a_tree(**sections: Any) -> dict[str, Any]:
    """Return the tree of a short session: one order that fills, one that rests; sections replace or extend its own."""
    tree: dict[str, Any] = {
        "session": {"session_id": "short", "strategy_id": "strat_demo", "duration_s": 60},
        "instruments": [
            {
                "symbol": "BTC/EUR",
                "price": "100",
                "points": ["100"],
                "max_order_quantity": "10",
                "max_order_notional": "1000",
            }
        ],
        "opening": {"cash": "10000", "positions": {"BTC/EUR": "1"}},
        "strategy": {
            "linger_s": 5,
            "script": [
                {"at_s": 1, "submit": an_intent("fills", limit_price="101")},
                {"at_s": 2, "submit": an_intent("rests", limit_price="90")},
            ],
        },
    }
    for name, section in sections.items():
        tree[name] = {**tree.get(name, {}), **section} if isinstance(section, dict) else section
    return tree


def an_intent(decision_id: str, **fields: str) -> dict[str, str]:
    """Return one buy intent, as a config holds it."""
    return {"decision_id": decision_id, "symbol": "BTC/EUR", "side": "BUY", "quantity": "1", **fields}


def a_config(folder: Path, **sections: Any) -> Path:
    """Write ``a_tree`` into a folder and return the file; JSON is YAML as well."""
    path = folder / "session.yaml"
    path.write_text(json.dumps(a_tree(**sections)), encoding="utf-8")
    return path


def a_loaded(**sections: Any) -> LoadedConfig:
    """Return ``a_tree`` as a config, past the file's own checks."""
    return LoadedConfig(config_from_tree(a_tree(**sections), "test"))


def loaded_file(name: str, **session: Any) -> LoadedConfig:
    """Return one of the packaged configs."""
    return load_config(CONFIGS / name, {"session": session})


def runs_in(out: Path) -> list[str]:
    """Return the names of everything where run folders go."""
    folder = out / "finish_c" / "c2"
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def kept(out: Path) -> Path:
    """Return the only run folder."""
    [name] = runs_in(out)
    return out / "finish_c" / "c2" / name


def contents(folder: Path) -> Mapping[str, bytes]:
    """Return every file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode()
