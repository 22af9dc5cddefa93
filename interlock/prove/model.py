"""The config of a proof: what goes in, within what both sides agree, and what is expected to come out.

It is YAML, read as text and typed here like every settings file. ``expect`` is part of the input (PRF-2): a proof that
shows a failure says so in it, and passes when exactly that failure is found.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from interlock.config.model import PresetConfig, SessionWindows
from interlock.config.yaml_file import read_yaml
from interlock.domain.door_types import Flag, Seconds, Whole
from interlock.domain.errors import BadInput, UnknownSchema
from interlock.domain.findings import FindingKind, Tolerances
from interlock.domain.intents import Identifier, Symbol
from interlock.domain.money import Amount, Price, SignedQuantity
from interlock.domain.slippage import DEFAULT_SESSIONS, SlippagePreset, SlippagePresets
from interlock.prove.figures import OWN_KINDS

__all__ = [
    "CONFIG_SCHEMA",
    "Expectation",
    "ExpectedDrift",
    "InputFiles",
    "ProofConfig",
    "load_proof",
]

CONFIG_SCHEMA: Final = "ProofConfig/1"

_SHOWN_MAX: Final = 80
_COUNT_MAX: Final = 2**53

NotNegative = Annotated[Amount, Field(ge=0)]
Count = Annotated[Whole, Field(ge=0, le=_COUNT_MAX)]
OneLine = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]{1,200}$")]
Token = Annotated[str, Field(pattern=r"^[!-~]{1,80}$")]


def _beside(name: str) -> str:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or not name or "\0" in name:
        message = "must be a file beside the config or below it, such as healthy/events.jsonl"
        raise ValueError(message)
    return name


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputFiles(_Section):
    """The three logs, as paths from the folder of the config."""

    events: Annotated[str, AfterValidator(_beside)]
    journal: Annotated[str, AfterValidator(_beside)]
    cache: Annotated[str, AfterValidator(_beside)]


class Instrument(_Section):
    """One instrument. With a pip size, average prices are compared where the broker tells them."""

    symbol: Symbol
    pip_size: Price | None = None


class Opening(_Section):
    """What both sides held when the logs begin. Cash is compared where it is given here and told by the broker."""

    cash: Amount | None = None
    positions: dict[Symbol, SignedQuantity] = {}


class ProofTolerances(_Section):
    """Within what both sides agree; a difference below all of these is none (RST-3)."""

    quantity_pct: NotNegative = Decimal("0.1")
    price_pips: NotNegative = Decimal("0.5")
    cash_delta: NotNegative = Decimal(1)
    cash_pct: NotNegative = Decimal("0.5")
    stuck_after_s: Annotated[Seconds, Field(ge=0)] = 120.0


class ExpectedDrift(_Section):
    """One position that is expected to drift, by exactly so much: units where quantities differ, else pips."""

    symbol: Symbol
    drift: NotNegative


class Expectation(_Section):
    """What the proof is expected to find. What is not named is expected not to be found."""

    stale: Count = 0
    orphan: Count = 0
    drift: tuple[ExpectedDrift, ...] = ()
    duplicates: Count = 0
    """Executions that the broker repeats, word for word."""
    caught: Count = 0
    """Executions that only the broker told, taken in by the reconcile."""
    slippage: Count = 0
    """Fills worse than their preset, or without one."""
    cache_ok: Flag = True
    findings: dict[FindingKind, Count] = {}
    """All other kinds of findings, by count."""
    summary_tokens: tuple[Token, ...] = ()
    """Texts that the summary has to hold, beside those that it always has to."""

    @model_validator(mode="after")
    def _kinds_have_one_place(self) -> Self:
        for kind in OWN_KINDS:
            if kind in self.findings:
                message = f"{kind} has a key of its own: stale, orphan or drift"
                raise ValueError(message)
        symbols = [line.symbol for line in self.drift]
        if len(set(symbols)) < len(symbols):
            message = "drift names a symbol twice"
            raise ValueError(message)
        return self


class ProofConfig(_Section):
    """One proof. ``name`` is that of the file unless given; ``inputs`` may be given by options instead."""

    format: Literal["ProofConfig/1"] = Field(alias="schema")
    name: Identifier | None = None
    shows: OneLine
    inputs: InputFiles | None = None
    instruments: tuple[Instrument, ...] = ()
    opening: Opening = Opening()
    tolerances: ProofTolerances = ProofTolerances()
    slippage_sessions: Annotated[dict[Identifier, SessionWindows], Field(max_length=24)] = DEFAULT_SESSIONS
    slippage_presets: Annotated[tuple[PresetConfig, ...], Field(max_length=10_000)] = ()
    expect: Expectation

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        symbols = [instrument.symbol for instrument in self.instruments]
        if len(set(symbols)) < len(symbols):
            message = "instruments name a symbol twice"
            raise ValueError(message)
        try:
            self.slippage()
        except BadInput as error:
            message = f"slippage_{error}"
            raise ValueError(message) from error
        return self

    def slippage(self) -> SlippagePresets:
        """Return the presets as the rails use them.

        Raises:
            BadInput: sessions or presets contradict each other, which no config that was read does.
        """
        presets = (SlippagePreset(**preset.model_dump()) for preset in self.slippage_presets)
        return SlippagePresets(self.slippage_sessions, presets)

    @property
    def pip_sizes(self) -> dict[str, Decimal]:
        """Return the pip sizes by symbol, where there are any."""
        return {line.symbol: line.pip_size for line in self.instruments if line.pip_size is not None}

    @property
    def limits(self) -> Tolerances:
        """Return the tolerances in the words of the reconciler: what it calls INFO is within them."""
        own = self.tolerances
        return Tolerances(
            drift_warn_pct=own.quantity_pct,
            drift_fail_pct=max(own.quantity_pct, Tolerances().drift_fail_pct),
            cash_fail_delta=own.cash_delta,
            cash_fail_pct=own.cash_pct,
            price_fail_pips=own.price_pips,
            pip_sizes=self.pip_sizes,
            stuck_after_s=own.stuck_after_s,
        )


def load_proof(path: Path) -> ProofConfig:
    """Return the config of the proof at ``path``.

    Raises:
        BadInput: the file cannot be read, or a key is missing, unknown or wrong.
    """
    tree = read_yaml(path)
    if "schema" in tree and tree["schema"] != CONFIG_SCHEMA:
        raise UnknownSchema(f"{path}: schema", f"is {str(tree['schema'])[:_SHOWN_MAX]!r}", CONFIG_SCHEMA)
    try:
        config = ProofConfig.model_validate(tree)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in fault["loc"])[:_SHOWN_MAX] or "settings"
        what = "is not a known key" if fault["type"] == "extra_forbidden" else fault["msg"]
        raise BadInput(f"{path}: {place}", what.removeprefix("Value error, "), "see docs/proofs.md") from error
    if config.name is None:
        name = path.name.removesuffix(".yaml")
        try:
            return ProofConfig.model_validate(tree | {"name": name})
        except ValidationError as error:
            raise BadInput(str(path), "its name cannot name a proof", "a key name, or a plain file name") from error
    return config
