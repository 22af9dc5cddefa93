"""The command as a whole: help, versions, bad usage, and the environments that it has to live with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from interlock.cli import terminal
from interlock.cli.terminal import complain, progress_bar, say, show
from interlock.domain.errors import Deadlock
from interlock.runtime.run_folder import VERSION
from tests.run_builders import CONFIGS, ROOT, a_config, a_process, interlock, kept

pytestmark = pytest.mark.spec("DIF-10")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_bare_and_asked_for_help_are_the_same(arguments: list[str]) -> None:
    answer = interlock(*arguments)
    assert (answer.code, answer.err) == (0, "")
    assert "interlock dryrun configs/demo.yaml --seed 7" in answer.out
    assert answer.out.strip() == interlock("--help").out.strip()


@pytest.mark.parametrize("command", [["dryrun"], ["replay"], ["audit"], ["audit", "verify"]])
def test_every_command_has_help_that_fits_into_80_columns(command: list[str]) -> None:
    answer = interlock(*command, "--help")
    assert answer.code == 0
    assert max(map(len, answer.out.splitlines())) <= 80
    assert ("Example" in answer.out) == (command != ["audit"])
    assert "live" not in answer.out


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert interlock("--version").out == f"interlock {VERSION}\n"
    assert project["project"]["version"] == VERSION


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fly"], "No such command 'fly'"),
        (["dryrun"], "dryrun: needs one session to run (allowed: CONFIG or --scenario NAME)"),
        (["dryrun", "x.yaml", "--sede", "7"], "No such option: --sede"),
        (["dryrun", "x.yaml", "y.yaml"], "Got unexpected extra argument"),
        (["dryrun", "x.yaml", "--steps", "0"], "Invalid value for '--steps'"),
        (["dryrun", "x.yaml", "--steps", "-3"], "Invalid value for '--steps'"),
        (["dryrun", "x.yaml", "--seed", "1.5"], "Invalid value for '--seed'"),
        (["dryrun", "x.yaml", "--seed", str(2**63)], "Invalid value for '--seed'"),
        (["dryrun", "x.yaml", "--seed"], "requires an argument"),
        (["dryrun", "--", "--x.yaml"], "--x.yaml: is missing"),
        (["replay"], "Missing argument 'DIR|FILE'"),
        (["audit"], "Missing command"),
        (["audit", "verify"], "Missing argument 'FILE'"),
        (["--live"], "No such option: --live"),
    ],
)
def test_bad_usage_is_one_line_and_exits_with_1(arguments: list[str], told: str) -> None:
    answer = interlock(*arguments)
    assert (answer.code, answer.out) == (1, "")
    assert told in answer.complaint


@pytest.mark.spec("NFR-1")
def test_any_error_of_the_library_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Deadlock(("a waits\n", "\x1b[31mb waits"))

    monkeypatch.setattr("interlock.cli.runs.run_dryrun_config", fail)
    answer = interlock("dryrun", a_config(tmp_path))
    assert (answer.code, answer.complaint) == (1, "deadlock: a waits ;  [31mb waits")


def test_an_interrupt_before_anything_began_is_130(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("interlock.cli.runs.run_dryrun_config", interrupted)
    answer = interlock("dryrun", a_config(tmp_path))
    assert (answer.code, answer.complaint) == (130, "interrupted")


# -- environments -------------------------------------------------------------------------------------------


def test_a_bare_environment_will_do(tmp_path: Path) -> None:
    """No home, no terminal, an ASCII locale, a working folder that must stay empty: the same artifacts."""
    (tmp_path / "cwd").mkdir()
    (tmp_path / "cwd").chmod(0o555)
    environment = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    out = tmp_path / "öut"
    done = a_process(
        "-m", "interlock", "dryrun", CONFIGS / "trip.yaml", "--out", out,
        cwd=tmp_path / "cwd", environment=environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.isascii()
    assert "FAILED" in done.stdout
    assert list((tmp_path / "cwd").iterdir()) == []
    assert interlock("replay", kept(out)).code == 0


def test_a_reader_that_goes_away_ends_it_quietly_and_the_exit_code_stays(tmp_path: Path) -> None:
    for arguments, code in ((["dryrun", CONFIGS / "trip.yaml", "--out", tmp_path], 2), (["--help"], 0)):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(  # noqa: S603 - the command is the test's own
            [sys.executable, "-m", "interlock", *map(str, arguments)],
            cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60, check=False,
        )  # fmt: skip
        os.close(writer)
        assert (done.returncode, done.stderr) == (code, b"")
    assert kept(tmp_path).is_dir()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_behind_standard_output_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.stdout", full)
        with pytest.raises(OSError, match="No space left"):
            say("x")
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            # What could not be written stays in the buffer, and closing would fail over it again.
            os.dup2(nowhere.fileno(), full.fileno())


def test_without_outputs_nothing_is_said_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    say("x")
    show("x")
    complain("x")
    with progress_bar("x", wanted=True) as tell:
        assert tell is None


class Screen:
    """Standard error, if it were a terminal."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        """Nothing to flush."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_and_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_bar("dry run", wanted=True) as tell:
        assert tell is None
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with terminal.progress_bar("dry run", wanted=False) as tell:
        assert tell is None
    with terminal.progress_bar("dry run", wanted=True) as tell:
        assert tell is not None
        tell(0.25, 4000)
        tell(0.2501, 4001)
    assert re.search(r"dry run .* 25%.*4,000 steps", screen.text)
    assert "4,001" not in screen.text
    assert capsys.readouterr().out == ""
