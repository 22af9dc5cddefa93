"""Settings of alerts: bounds, webhooks that say where their secrets are, and secrets that are shown by nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from interlock.config.alert_sinks import local_sinks, real_time_sinks, refuse_sockets, stepped_sinks
from interlock.config.load import config_from_tree, load_config
from interlock.config.model import SessionConfig
from interlock.config.parts import Parts
from interlock.domain.errors import BadInput
from interlock.runtime.alert_sinks import AlertSink
from interlock.runtime.webhooks import PAGERDUTY_URL, WebhookSink
from tests.run_builders import a_tree

pytestmark = pytest.mark.spec("ALT-2", "NFR-1")

ADDRESS = "https://hooks.example/services/" + "Zk3wQ9xLr7Vb3TzK8mWc4NdP"
KEY = "Rr7" + "Qk3wQ9xLr7Vb3TzK8mWc4NdP"
GENERIC = {"kind": "generic", "hosts": ["hooks.example"], "url_env": "HOOK_ADDRESS"}


def a_config(**alerts: Any) -> SessionConfig:
    """Return a session with these settings of alerts."""
    return config_from_tree(a_tree(alerts=alerts), "test")


def hooks(*webhooks: dict[str, Any]) -> list[WebhookSink]:
    """Return the webhooks that a session in a host's loop would have."""
    made = real_time_sinks(a_config(webhooks=list(webhooks)), ())
    assert all(isinstance(sink, WebhookSink) for sink in made)
    return [sink for sink in made if isinstance(sink, WebhookSink)]


def complaint_of(*webhooks: dict[str, Any]) -> str:
    """Return why these webhooks are refused."""
    with pytest.raises(BadInput) as refused:
        hooks(*webhooks)
    assert len(str(refused.value).splitlines()) == 1
    assert not any(part in str(refused.value) for part in (ADDRESS, KEY, ADDRESS.rpartition("/")[2]))
    return str(refused.value)


def a_secret_file(folder: Path, text: str = ADDRESS, mode: int = 0o600) -> str:
    """Write a file that may hold a secret."""
    path = folder / "address"
    path.write_text(text + "\n", encoding="utf-8")
    path.chmod(mode)
    return str(path)


# -- what is on by default --------------------------------------------------------------------------------------


def test_log_and_file_are_on_by_default_and_webhooks_are_not(tmp_path: Path) -> None:
    config = a_config()
    assert config.alerts.webhooks == ()
    names = [sink.name for sink in local_sinks(config, lambda: (tmp_path / "alerts.jsonl").open("wb"))]
    assert names == ["log", "file"]
    for sinks_of in (stepped_sinks, real_time_sinks):
        assert [sink.name for sink in sinks_of(config, None)] == ["log"]


def test_the_settings_reach_the_actor() -> None:
    alerts = {"dedupe_window_s": 7, "rate_max": 8, "rate_window_s": 9, "backlog_max": 10, "retry": {"attempts_max": 5}}
    made = Parts(a_config(**alerts)).alerts
    assert (made.limits.dedupe_window_s, made.limits.rate_max, made.limits.rate_window_s) == (7, 8, 9)
    assert (made.backlog_max, made.policy.attempts_max, made.run_id) == (10, 5, "short-seed0")


@pytest.mark.parametrize(
    ("section", "word"),
    [
        ({"rate_max": 0}, "alerts.rate_max"),
        ({"rate_window_s": 0}, "alerts.rate_window_s"),
        ({"dedupe_window_s": -1}, "alerts.dedupe_window_s"),
        ({"backlog_max": 0}, "alerts.backlog_max"),
        ({"retry": {"attempts_max": 0}}, "retry attempts_max must lie in 1..100"),
        ({"webhook": []}, "is not a known key (allowed: dedupe_window_s, rate_max"),
        ({"webhooks": [GENERIC] * 11}, "alerts.webhooks"),
        ({"webhooks": [GENERIC | {"kind": "pigeon"}]}, "alerts.webhooks.0.kind"),
        ({"webhooks": [GENERIC | {"hosts": []}]}, "alerts.webhooks.0.hosts"),
        ({"webhooks": [GENERIC | {"hosts": ["*.example"]}]}, "alerts.webhooks.0.hosts"),
        ({"webhooks": [GENERIC | {"hosts": ["Hooks.example"]}]}, "alerts.webhooks.0.hosts"),
        ({"webhooks": [GENERIC | {"timeout_s": 0}]}, "alerts.webhooks.0.timeout_s"),
        ({"webhooks": [GENERIC | {"url": "https://x"}]}, "alerts.webhooks.0.url: is not a known key"),
        ({"webhooks": [GENERIC | {"url_env": "INTERLOCK_ADDRESS"}]}, "must not begin with INTERLOCK_"),
        ({"webhooks": [GENERIC | {"url_env": "a b"}]}, "alerts.webhooks.0.url_env"),
        ({"webhooks": [GENERIC | {"url_file": "x"}]}, "either url_file or url_env"),
        ({"webhooks": [{"kind": "slack", "hosts": ["a"]}]}, "either url_file or url_env"),
        ({"webhooks": [GENERIC | {"kind": "slack", "key_env": "K"}]}, "for slack never"),
        ({"webhooks": [GENERIC | {"kind": "pagerduty"}]}, "for pagerduty always"),
        ({"webhooks": [GENERIC | {"key_env": "K", "key_file": "k"}]}, "either key_file or key_env"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(section: dict[str, Any], word: str) -> None:
    with pytest.raises(BadInput) as refused:
        a_config(**section)
    assert word in str(refused.value)


# -- secrets ----------------------------------------------------------------------------------------------------


def test_an_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_ADDRESS", ADDRESS)
    [hook] = hooks(GENERIC | {"timeout_s": "1.5"})
    assert (hook.name, hook.timeout_s) == ("generic-0", 1.5)
    assert str(vars(hook)["_url"]) == ADDRESS


def test_an_address_comes_from_a_file_that_only_its_owner_may_use(tmp_path: Path) -> None:
    place = {"kind": "slack", "hosts": ["hooks.example"], "url_file": a_secret_file(tmp_path)}
    [hook] = hooks(place)
    assert str(vars(hook)["_url"]) == ADDRESS


def test_pagerduty_has_an_address_of_its_own_and_its_host_has_to_be_allowed_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROUTING", KEY)
    page = {"kind": "pagerduty", "hosts": ["events.pagerduty.com"], "key_env": "ROUTING"}
    [hook] = hooks(page)
    assert str(vars(hook)["_url"]) == PAGERDUTY_URL
    assert "a host that hosts does not name" in complaint_of(page | {"hosts": ["hooks.example"]})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o601, 0o660])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    place = GENERIC | {"url_env": None, "url_file": a_secret_file(tmp_path, mode=mode)}
    assert f"is open to others (mode {mode:04o})" in complaint_of(place)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_its_owner_alone_is_taken(tmp_path: Path, mode: int) -> None:
    assert hooks(GENERIC | {"url_env": None, "url_file": a_secret_file(tmp_path, mode=mode)})


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is not set, or holds no line of plain text"),
        (f"{ADDRESS}\n{ADDRESS}", "holds no line of plain text"),
        ("https://hooks.example/ü", "holds no line of plain text"),
        ("x" * 9_000, "is too large"),
        ("http://hooks.example/", "is not encrypted"),
    ],
)
def test_a_file_that_holds_no_address_is_refused(tmp_path: Path, text: str, what: str) -> None:
    assert what in complaint_of(GENERIC | {"url_env": None, "url_file": a_secret_file(tmp_path, text)})


def test_what_cannot_be_read_as_a_file_is_refused_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for place, what in (
        (tmp_path / "missing", "cannot be read: No such file"),
        (tmp_path, "is a directory"),
        (pipe, "is no file"),
        ("nul\x00byte", "cannot be the name of a file"),
    ):
        complaint = complaint_of(GENERIC | {"url_env": None, "url_file": str(place)})
        assert complaint.startswith("alerts.webhooks.0: ")
        assert what.lower() in complaint.lower()


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK_ADDRESS", raising=False)
    assert complaint_of(GENERIC).startswith("alerts.webhooks.0: the variable HOOK_ADDRESS: is not set")


def test_the_settings_themselves_hold_no_address(tmp_path: Path) -> None:
    path = tmp_path / "session.yaml"
    path.write_text("session: {session_id: s}\nalerts: {webhooks: [{kind: slack, token: abc}]}\n", encoding="utf-8")
    with pytest.raises(BadInput, match="settings hold no secrets"):
        load_config(path)


def test_a_config_with_webhooks_can_be_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "session.yaml"
    path.write_text(
        "session: {session_id: s}\n"
        "instruments: [{symbol: A, price: 1, max_order_quantity: 1, max_order_notional: 1}]\n"
        "alerts:\n"
        "  rate_max: 5\n"
        "  webhooks:\n"
        "    - {kind: slack, hosts: [hooks.slack.com], url_file: /run/keys/slack}\n"
        "    - {kind: pagerduty, hosts: [events.pagerduty.com], key_env: PAGERDUTY_KEY, timeout_s: 3}\n",
        encoding="utf-8",
    )
    alerts = load_config(path).config.alerts
    assert [(hook.kind, hook.hosts) for hook in alerts.webhooks] == [
        ("slack", ("hooks.slack.com",)),
        ("pagerduty", ("events.pagerduty.com",)),
    ]


def test_without_the_extra_the_way_to_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "interlock.runtime.webhooks", None)
    monkeypatch.setenv("HOOK_ADDRESS", ADDRESS)
    assert "pip install 'interlock[webhooks]'" in complaint_of(GENERIC)
    assert [sink.name for sink in real_time_sinks(a_config(), None)] == ["log"], "who has no webhooks needs none"


# -- dry runs ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("NFR-2")
def test_a_webhook_is_refused_on_virtual_time_before_its_secret_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_ADDRESS", ADDRESS)
    [made] = hooks(GENERIC)
    given: tuple[AlertSink, ...] = (made,)
    for config, sinks in ((a_config(webhooks=[GENERIC]), None), (a_config(), given)):
        with pytest.raises(BadInput, match=r"alerts\.webhooks: there is a webhook, and nothing opens a socket"):
            stepped_sinks(config, sinks)
    refuse_sockets(a_config().alerts, local_sinks(a_config()))
