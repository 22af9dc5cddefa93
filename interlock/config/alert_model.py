"""The settings of alerts: how often they are told, and where they go. Addresses and keys stand elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from interlock.config.section import DAY_S, RetryConfig, Section
from interlock.domain.door_types import Seconds, Whole
from interlock.runtime.retry import RetryPolicy

__all__ = ["AlertsConfig", "WebhookConfig"]


def _not_ours(name: str) -> str:
    if name.startswith("INTERLOCK_"):
        message = "must not begin with INTERLOCK_: those variables are settings, and settings hold no secrets"
        raise ValueError(message)
    return name


Host = Annotated[str, Field(max_length=253, pattern=r"^([0-9a-f:]+|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)$")]
FilePlace = Annotated[str, Field(min_length=1, max_length=1000)]
Variable = Annotated[str, Field(max_length=100, pattern=r"^[A-Z_][A-Z0-9_]*$"), AfterValidator(_not_ours)]


class WebhookConfig(Section):
    """One place that alerts are posted to. Its address and key stand in a file or the environment, never here."""

    kind: Literal["generic", "slack", "pagerduty"]
    hosts: Annotated[tuple[Host, ...], Field(min_length=1, max_length=20)]
    """The exact names of the hosts that may be posted to."""
    url_file: FilePlace | None = None
    url_env: Variable | None = None
    key_file: FilePlace | None = None
    """The bearer token of a generic hook, or PagerDuty's routing key."""
    key_env: Variable | None = None
    timeout_s: Annotated[Seconds, Field(gt=0, le=60)] = 5.0

    @model_validator(mode="after")
    def _says_where_from(self) -> Self:
        urls = (self.url_file is not None) + (self.url_env is not None)
        keys = (self.key_file is not None) + (self.key_env is not None)
        if urls > 1 or (urls == 0 and self.kind != "pagerduty"):
            message = "the address is named by either url_file or url_env"
            raise ValueError(message)
        if keys > 1 or (keys == 0 and self.kind == "pagerduty") or (keys and self.kind == "slack"):
            message = "the key is named by either key_file or key_env: for pagerduty always, for slack never"
            raise ValueError(message)
        return self


class AlertsConfig(Section):
    """Which alerts are told, how often they are tried, and where they go beside the log and the run's folder."""

    dedupe_window_s: Annotated[Seconds, Field(ge=0, le=DAY_S)] = 900.0
    """How long the same alert is held back after it was told."""
    rate_max: Annotated[Whole, Field(ge=1, le=10_000)] = 20
    """How many are told in any window; the last place is kept for a critical one."""
    rate_window_s: Annotated[Seconds, Field(gt=0, le=DAY_S)] = 300.0
    backlog_max: Annotated[Whole, Field(ge=1, le=10_000)] = 64
    """How many may wait for one slow sink."""
    flush_s: Annotated[Seconds, Field(ge=0, le=600)] = 10.0
    """How long the end of a session in a host's loop may wait for deliveries."""
    retry: RetryConfig = RetryConfig(attempts_max=3)
    webhooks: Annotated[tuple[WebhookConfig, ...], Field(max_length=10)] = ()

    @model_validator(mode="after")
    def _repeats_within_reason(self) -> Self:
        complaint = RetryPolicy(**self.retry.model_dump()).complaint()
        if complaint:
            raise ValueError(complaint)
        return self
