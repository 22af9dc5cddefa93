"""From the config to alert sinks: which there are by default, and where webhooks get their addresses and keys from.

An address with a key in it is a secret, so the settings only name its place: a file that nobody else may read, or a
variable of the environment. Neither what it says nor a part of it gets into a complaint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import SecretStr

from interlock.config.model import AlertsConfig, SessionConfig, WebhookConfig
from interlock.config.secret_place import secret_line
from interlock.domain.errors import BadInput
from interlock.runtime.alert_sinks import AlertSink, FileSink, LogSink, TakesBytes, off_loop
from interlock.runtime.telemetry import session_logger

__all__ = ["local_sinks", "real_time_sinks", "refuse_sockets", "stepped_sinks"]


def local_sinks(config: SessionConfig, file: Callable[[], TakesBytes] | None = None) -> tuple[AlertSink, ...]:
    """Return the sinks that are on by default: the log, and a file where there is a place for one."""
    log = LogSink(session_logger(config.run_id, config.session.session_id))
    return (log,) if file is None else (log, FileSink(file))


def stepped_sinks(config: SessionConfig, given: tuple[AlertSink, ...] | None) -> tuple[AlertSink, ...]:
    """Return the sinks of a session on virtual time: those it was given, else the log; raises as below."""
    refuse_sockets(config.alerts, given or ())
    return local_sinks(config) if given is None else given


def real_time_sinks(config: SessionConfig, given: tuple[AlertSink, ...] | None) -> tuple[AlertSink, ...]:
    """Return the sinks of a session in a host's loop: those it was given, else the log, and the config's webhooks.

    Raises:
        BadInput: a webhook cannot be read or used, or the extra for HTTP is not installed.
    """
    blocking = local_sinks(config) if given is None else given
    return (*map(off_loop, blocking), *_webhooks(config.alerts))


def refuse_sockets(config: AlertsConfig, sinks: Sequence[AlertSink] = ()) -> None:
    """Refuse what would open a socket in a dry run (NFR-2).

    Raises:
        BadInput: there is a webhook.
    """
    if config.webhooks or any(sink.opens_sockets for sink in sinks):
        what = "there is a webhook, and nothing opens a socket in a dry run or another session on virtual time"
        raise BadInput("alerts.webhooks", what, "none; webhooks are for sessions in a host's event loop")


def _webhooks(config: AlertsConfig) -> tuple[AlertSink, ...]:
    if not config.webhooks:
        return ()
    try:
        # An extra: whoever has no webhooks needs no HTTP client.
        from interlock.runtime.webhooks import PAGERDUTY_URL, WebhookSink, WebhookTarget  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        raise BadInput("alerts.webhooks", "there is no HTTP client", "pip install 'interlock[webhooks]'") from error

    def sink(number: int, hook: WebhookConfig) -> AlertSink:
        where = f"alerts.webhooks.{number}"
        url = secret_line(where, hook.url_file, hook.url_env) or PAGERDUTY_URL
        key = secret_line(where, hook.key_file, hook.key_env)
        name = f"{hook.kind}-{number}"
        return WebhookSink(
            WebhookTarget(name, hook.kind, SecretStr(url), hook.hosts, SecretStr(key), hook.timeout_s), where
        )

    return tuple(sink(number, hook) for number, hook in enumerate(config.webhooks))
