"""The file of one finding: everything that it takes to see it again, small enough to be read and sent.

Versioned JSON, ``INTERLOCK_FINDING_V1``: the plan (settings that differ from the defaults of the release, how often it
crashes, how far it may go), who is served next, the choices that are not 0 as pairs of place and value under their
labels, what broke and at which step, the last words before it, and how small it has become. The same finding is the
same bytes. A file may be edited by hand; it is read strictly all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from interlock.config.load import config_from_tree
from interlock.domain.errors import BadInput, UnknownSchema
from interlock.domain.ids import canonical_json
from interlock.explore.failure import Failure
from interlock.explore.plan import RunPlan
from interlock.explore.size import Size, size_of
from interlock.runtime.jsonl import open_regular
from interlock.runtime.redaction import scrub
from interlock.runtime.run_folder import VERSION
from interlock.runtime.schedule import OrderPolicy, Tape, TapeSchedule

__all__ = ["FINDING_SCHEMA", "Finding", "finding_bytes", "finding_run", "read_finding"]

FINDING_SCHEMA: Final = "INTERLOCK_FINDING_V1"

_BYTES_MAX: Final = 1 << 26
_PLACES_MAX: Final = 10_000_000
_STEPS_MAX: Final = 100_000_000
_PLAN_MAX: Final = {"crash_permille": 1000, "crashes_max": 1000}
_SPREAD: Final = ("config", "last", "plan", "tape")
"""The keys whose content stands on lines of its own."""

_Whole = Annotated[int, msgspec.Meta(ge=0)]
_Place = Annotated[int, msgspec.Meta(ge=0, lt=_PLACES_MAX)]
_Value = Annotated[int, msgspec.Meta(ge=1)]


class Finding(msgspec.Struct, frozen=True):
    """A run that breaks an invariant, and where it came from; ``seed`` is None where no seed led to it."""

    plan: RunPlan
    order: OrderPolicy
    tape: Tape
    failure: Failure
    seed: int | None = None
    package_version: str = VERSION

    def schedule(self) -> TapeSchedule:
        """Return the schedule that makes the run again."""
        return TapeSchedule(self.tape, self.order)

    @property
    def size(self) -> Size:
        """Return how small it is."""
        return size_of(self.plan, self.tape)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file, field by field."""

    config: dict[str, Any]
    failure: Failure
    order: OrderPolicy
    package_version: str
    plan: dict[str, Any]
    schema: str
    seed: _Whole | None
    size: dict[str, _Whole]
    tape: dict[str, list[tuple[_Place, _Value]]]


class _SchemaOnly(msgspec.Struct):
    schema: str


# -- writing ------------------------------------------------------------------------------------------------


def finding_bytes(finding: Finding) -> bytes:
    """Return the file of a finding: a line for each key, and for each setting, label and word."""
    fields: dict[str, Any] = {
        "schema": FINDING_SCHEMA,
        "package_version": finding.package_version,
        "seed": finding.seed,
        "size": finding.size,
        "failure": finding.failure,
        "plan": {name: getattr(finding.plan, name) for name in _plan_names()},
        "order": finding.order,
        "config": finding.plan.config.model_dump(mode="json", exclude_defaults=True),
        "tape": {label: _sparse(values) for label, values in sorted(finding.tape.items()) if any(values)},
    }
    lines = ",\n".join(f'"{name}": {_laid_out(name, value)}' for name, value in fields.items())
    return f"{{\n{lines}\n}}\n".encode()


def _laid_out(name: str, value: Any) -> str:
    if name == "failure":
        last = ",\n  ".join(canonical_json(line).decode() for line in value.last)
        said = msgspec.to_builtins(msgspec.structs.replace(value, last=()))
        head = canonical_json({key: part for key, part in said.items() if key != "last"}).decode()[:-1]
        return f'{head},"last":[{last}]}}'
    if name in _SPREAD and value:
        inner = ",\n  ".join(f'"{key}": {canonical_json(part).decode()}' for key, part in sorted(value.items()))
        return f"{{\n  {inner}}}"
    return canonical_json(value).decode()


def _plan_names() -> Iterator[str]:
    return (field.name for field in msgspec.structs.fields(RunPlan) if field.name != "config")


def _sparse(values: list[int]) -> list[tuple[int, int]]:
    return [(place, value) for place, value in enumerate(values) if value]


# -- reading ------------------------------------------------------------------------------------------------


def read_finding(path: Path) -> Finding:
    """Return the finding of a file.

    Raises:
        BadInput: the file cannot be read, or is none of a finding; file and key are named.
        UnknownSchema: it is of a release that this one does not read.
    """
    try:
        with open_regular(path) as stream:
            raw = stream.read(_BYTES_MAX + 1)
    except OSError as error:
        raise BadInput(str(path), f"cannot be read: {error.strerror or error}") from error
    if len(raw) > _BYTES_MAX:
        raise BadInput(str(path), "is too large", f"{_BYTES_MAX} bytes")
    return _decode(raw, str(path))


def finding_run(path: Path) -> tuple[RunPlan, TapeSchedule]:
    """Return plan and schedule of a finding's file: what makes its run; raises as ``read_finding`` does."""
    finding = read_finding(path)
    return finding.plan, finding.schedule()


def _decode(raw: bytes, where: str) -> Finding:
    try:
        schema = msgspec.json.decode(raw, type=_SchemaOnly).schema
        if schema != FINDING_SCHEMA:
            raise UnknownSchema(where, f"has the schema {scrub(schema[:80])!r}", FINDING_SCHEMA)
        file = msgspec.json.decode(raw, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(where, scrub(str(error)), f"a finding as {FINDING_SCHEMA} describes it") from error
    return Finding(
        plan=_plan_of(file, where),
        order=file.order,
        tape={label: _dense(pairs, f"{where}: tape.{scrub(label)}") for label, pairs in sorted(file.tape.items())},
        failure=file.failure,
        seed=file.seed,
        package_version=file.package_version,
    )


def _plan_of(file: _File, where: str) -> RunPlan:
    known = {field.name: field.type for field in msgspec.structs.fields(RunPlan) if field.name != "config"}
    values: dict[str, Any] = {}
    for name, value in file.plan.items():
        key = f"{where}: plan.{scrub(name)}"
        if name not in known:
            raise BadInput(key, "is not a known key", ", ".join(known))
        try:
            values[name] = msgspec.convert(value, known[name])
        except msgspec.ValidationError as error:
            raise BadInput(key, scrub(str(error))) from error
        most = _PLAN_MAX.get(name, _STEPS_MAX)
        if not 0 <= values[name] <= most:
            raise BadInput(key, f"is {value}", f"0 to {most}")
    if "must_settle" not in values:
        raise BadInput(f"{where}: plan.must_settle", "is missing", "true or false")
    return RunPlan(config=config_from_tree(file.config, f"{where}: config"), **values)


def _dense(pairs: list[tuple[int, int]], where: str) -> list[int]:
    """Return the list of a label; places rise, so that nothing is said twice."""
    values: list[int] = []
    for place, value in pairs:
        if place < len(values):
            raise BadInput(where, f"place {place} does not come after the one before it", "rising places")
        values.extend([0] * (place - len(values)))
        values.append(value)
    return values
