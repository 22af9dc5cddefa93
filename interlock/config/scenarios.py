"""Reads the packaged scenarios: small sessions that show one thing going wrong, and how each must end.

A scenario is the shared ``base.yaml`` with its own settings on top, so its run is a run like any other: seeds,
artifacts and replays work as they do for a config file.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from interlock.config.load import LoadedConfig, load_config
from interlock.config.yaml_file import read_yaml
from interlock.domain.door_types import Whole
from interlock.domain.errors import BadInput
from interlock.domain.intents import Identifier
from interlock.mocks.scenarios import BASE, FOLDER

__all__ = ["Expected", "LoadedScenario", "Scenario", "load_scenario", "scenario_names"]

Text = Annotated[str, Field(min_length=1, max_length=200)]


class Expected(BaseModel):
    """How a scenario must end; what is not named here is left open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Literal["COMPLETED", "FAILED"]
    fail_code: str = ""
    orders: dict[Identifier, Text] = {}
    """By decision: state and filled quantity, such as ``CANCELLED 0.5``."""
    codes: tuple[Text, ...] = ()
    """Codes that the audit log must hold."""
    counters: dict[Text, Whole] = {}


class Scenario(BaseModel):
    """What goes wrong elsewhere, what has to be seen here, and the settings that make it happen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Annotated[str, Field(min_length=1, max_length=80)]
    elsewhere: Text
    here: Text
    expect: Expected
    config: dict[str, Any]


class LoadedScenario(msgspec.Struct, frozen=True):
    """A scenario and the session that plays it."""

    name: str
    scenario: Scenario
    loaded: LoadedConfig


_NAMED_BY_FILE: Final = "session_id"


def scenario_names() -> tuple[str, ...]:
    """Return the names of all scenarios, in order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml") if path != BASE))


def load_scenario(name: str, session: dict[str, Any] | None = None, *, live_flag: bool = False) -> LoadedScenario:
    """Return one scenario; ``session`` overrides settings of that section, such as the seed.

    Raises:
        BadInput: there is no such scenario, or a setting is wrong.
    """
    if name not in scenario_names():
        raise BadInput("--scenario", f"there is no scenario {name!r}", ", ".join(scenario_names()))
    path = FOLDER / f"{name}.yaml"
    try:
        scenario = Scenario.model_validate(read_yaml(path))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        raise BadInput(f"{path.name}: {'.'.join(map(str, fault['loc']))}", fault["msg"]) from error
    overrides = {**scenario.config, "description": scenario.title}
    overrides["session"] = {_NAMED_BY_FILE: name, **scenario.config.get("session", {}), **(session or {})}
    return LoadedScenario(name, scenario, load_config(BASE, overrides, live_flag=live_flag))
