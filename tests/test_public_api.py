"""What a host may import: typed, documented, and of the Pythons that are promised."""

from __future__ import annotations

import inspect
import tomllib
from typing import Any

import pytest

import interlock
from tests.run_builders import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.spec("NFR-3")
@pytest.mark.parametrize("name", interlock.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    thing = getattr(interlock, name)
    if inspect.isclass(thing) or inspect.isroutine(thing):
        assert (inspect.getdoc(thing) or "").strip(), f"{name} has no docstring"
        undocumented = [
            f"{name}.{part}"
            for part, member in vars(thing).items()
            if inspect.isclass(thing) and inspect.isfunction(member) and not part.startswith("_") and not member.__doc__
        ]
        assert undocumented == []


@pytest.mark.spec("NFR-3")
def test_public_routines_are_typed_to_the_last_argument() -> None:
    for name in interlock.__all__:
        thing = getattr(interlock, name)
        if inspect.isfunction(thing):
            signature = inspect.signature(thing)
            assert signature.return_annotation is not inspect.Signature.empty, name
            bare = [part.name for part in signature.parameters.values() if part.annotation is inspect.Parameter.empty]
            assert bare == [], name


@pytest.mark.spec("NFR-3")
def test_the_package_says_that_it_is_typed_and_for_which_pythons() -> None:
    assert (ROOT / "interlock" / "py.typed").exists()
    project, mypy = PROJECT["project"], PROJECT["tool"]["mypy"]
    assert project["requires-python"] == ">=3.11"
    assert {"3.11", "3.12", "3.13"} <= {line.rpartition(" ")[2] for line in project["classifiers"] if "3." in line}
    assert {"Operating System :: POSIX :: Linux", "Operating System :: MacOS"} <= {*project["classifiers"]}
    assert (mypy["strict"], mypy["python_version"], "interlock" in mypy["files"]) == (True, "3.11", True)
