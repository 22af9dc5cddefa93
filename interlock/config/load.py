"""Reads a session's settings from a file, the environment and command-line overrides, in rising priority.

Environment variables are named ``INTERLOCK_<SECTION>__<KEY>``, such as ``INTERLOCK_SESSION__SEED=7``. Two things are
looked for before anything is validated: ``live_enabled``, wherever it stands, which is reported with its source so
that preflight can reject it; and values that look like secrets, which have no place in a settings file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import msgspec
from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from interlock.config.model import SessionConfig
from interlock.config.yaml_file import read_yaml
from interlock.domain.errors import BadInput
from interlock.runtime.redaction import is_secret_key, looks_secret

__all__ = ["LoadedConfig", "config_from_tree", "environment_secret", "load_config"]

_PREFIX = "INTERLOCK_"
_LIVE = "live_enabled"
_OFF = ("", "0", "false", "no", "off")

Place = tuple[int | str, ...]
"""The way to a value: keys, and numbers inside lists."""


class LoadedConfig(msgspec.Struct, frozen=True):
    """A validated config, and where live trading was asked for, if anywhere."""

    config: SessionConfig
    live_enabled_by: tuple[str, ...] = ()


class _Environment(SessionConfig, BaseSettings):
    """The same tree, for finding its values in the environment."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_nested_delimiter="__", extra="ignore")
    live_enabled: str = ""


def load_config(path: Path, overrides: dict[str, Any] | None = None, *, live_flag: bool = False) -> LoadedConfig:
    """Return the settings of ``path`` with environment and ``overrides`` (a tree of the same shape) on top.

    Raises:
        BadInput: the file cannot be read, or a value is missing, unknown, wrong or looks like a secret.
    """
    tree = read_yaml(path)
    sources = ["file"] if _take_live(tree) else []
    _refuse_unknown_variables()
    try:
        environment = EnvSettingsSource(_Environment)()
    except ValueError as error:
        raise BadInput("environment", "an INTERLOCK_ variable cannot be read") from error
    if _take_live(environment):
        sources.append("environment")
    if live_flag:
        sources.append("flag")
    _refuse_secrets(tree, str(path))
    _refuse_secrets(environment, "environment")
    over = overrides or {}
    _refuse_secrets(over, "arguments")

    def source(place: Place) -> str:
        if _holds(over, place):
            return "arguments"
        return "environment" if _holds(environment, place) else str(path)

    return LoadedConfig(_validated(_merged(_merged(tree, environment), over), source), tuple(sources))


def _refuse_unknown_variables() -> None:
    """Refuse a misspelt variable: what is set there is meant to count."""
    for name in sorted(os.environ):
        section = name.removeprefix(_PREFIX).lower().partition("__")[0]
        if name.startswith(_PREFIX) and section not in _Environment.model_fields:
            allowed = ", ".join(f"{_PREFIX}{known.upper()}__…" for known in SessionConfig.model_fields)
            raise BadInput(f"environment: {_safe(name)}", "is not a known setting", allowed)


def config_from_tree(tree: dict[str, Any], where: str) -> SessionConfig:
    """Return the config that a tree describes; ``where`` goes into the error.

    Raises:
        BadInput: naming the first key that is wrong, what is wrong with it, and what is allowed.
    """
    return _validated(tree, lambda _: where)


def environment_secret(name: str) -> str:
    """Return what a variable that the settings name holds, or "": secrets have no place in the settings themselves."""
    return os.environ.get(name, "")


def _validated(tree: dict[str, Any], source: Callable[[Place], str]) -> SessionConfig:
    try:
        return SessionConfig.model_validate(tree)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = fault["loc"]
        where = f"{source(place)}: {_safe('.'.join(str(part) for part in place) or 'settings')}"
        if fault["type"] == "extra_forbidden":
            raise BadInput(where, "is not a known key", ", ".join(_section(place).model_fields)) from error
        raise BadInput(where, fault["msg"].removeprefix("Value error, ")) from error


def _holds(tree: Any, place: Place) -> bool:
    """Return whether ``tree`` has the value at ``place``, or something that stands in its way."""
    for part in place:
        if not isinstance(tree, dict):
            return True
        if part not in tree:
            return False
        tree = tree[part]
    return bool(place)


def _section(place: Place) -> type[BaseModel]:
    """Return the model whose key the last part of ``place`` is."""
    model: type[BaseModel] = SessionConfig
    for part in place[:-1]:
        if isinstance(part, str):
            model = _models_in(model.model_fields[part].annotation)[0]
    return model


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _safe(key: str) -> str:
    return "[redacted]" if looks_secret(key) else key


def _take_live(tree: Any) -> bool:
    """Take every ``live_enabled`` out of the tree; True when one of them is not off."""
    asked = False
    if isinstance(tree, dict):
        value = tree.pop(_LIVE, "")
        asked = value is not None and str(value).strip().lower() not in _OFF
        children = list(tree.values())
    else:
        children = tree if isinstance(tree, list) else []
    for child in children:
        asked = _take_live(child) or asked
    return asked


def _refuse_secrets(tree: Any, where: str, key: str = "") -> None:
    if isinstance(tree, dict):
        for name, child in tree.items():
            path = f"{key}.{_safe(name)}" if key else _safe(name)
            if is_secret_key(name) and not isinstance(child, dict | list):
                raise BadInput(f"{where}: {path}", "settings hold no secrets", "leave it out")
            if looks_secret(name):
                raise BadInput(f"{where}: {path}", "the key looks like a secret; settings hold none", "leave it out")
            _refuse_secrets(child, where, path)
    elif isinstance(tree, list):
        for at, child in enumerate(tree):
            _refuse_secrets(child, where, f"{key}.{at}")
    elif isinstance(tree, str) and looks_secret(tree):
        raise BadInput(f"{where}: {key}", "looks like a secret; settings hold none", "leave it out")


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result
