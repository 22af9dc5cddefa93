"""``interlock serve``: one server in a process of its own, asked once, and everything that keeps one from starting."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from interlock.dryrun import run_dryrun_config
from tests.run_builders import ROOT, a_loaded, interlock
from tests.web_builders import TOKEN

pytestmark = pytest.mark.spec("OBS-6")

BOUND_S = 60


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run."""
    return run_dryrun_config(a_loaded(), out=tmp_path_factory.mktemp("out")).folder


@pytest.fixture
def never_serving(monkeypatch: pytest.MonkeyPatch) -> list[uvicorn.Config]:
    """Keep servers from running and return what they would have run."""
    configs: list[uvicorn.Config] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, sockets: configs.append(server.config))
    return configs


def a_token_file(folder: Path, text: str = TOKEN, mode: int = 0o600) -> Path:
    """Write a token where only its owner may read it."""
    path = folder / "look.key"
    path.write_text(text + "\n", encoding="utf-8")
    path.chmod(mode)
    return path


@contextmanager
def serving(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Serve in a process of its own for the length of the block."""
    command = [sys.executable, "-m", "interlock", "serve", *map(str, arguments)]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.defpath}
    with subprocess.Popen(  # noqa: S603 - the command is the test's own
        command, env=environment, stdin=subprocess.DEVNULL, stdout=-1, stderr=-1, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def answer_of(port: int, request: str) -> str:
    """Send one request over a socket and return all that comes back."""
    with socket.socket() as client:
        client.settimeout(BOUND_S)
        client.connect(("127.0.0.1", port))
        client.sendall(f"{request}\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n".encode())
        parts = list(iter(lambda: client.recv(65_536), b""))
    return b"".join(parts).decode()


@pytest.mark.usefixtures("loopback")
def test_a_server_answers_says_its_address_once_and_leaves_in_good_order_when_interrupted(
    run_folder: Path, tmp_path: Path
) -> None:
    with serving(run_folder, "--port", 0, "--token-file", a_token_file(tmp_path)) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        port = int(url.rpartition(":")[2])
        without = answer_of(port, f"GET /health?token={TOKEN} HTTP/1.1")
        within = answer_of(port, f"GET /health HTTP/1.1\r\nauthorization: Bearer {TOKEN}")
        write = answer_of(port, "DELETE /health HTTP/1.1")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=BOUND_S)
    assert (process.returncode, out, err) == (130, "", "interlock: interrupted\n")
    assert without.startswith("HTTP/1.1 401 ")
    assert within.startswith("HTTP/1.1 200 ")
    assert '"schema":"Health/1"' in within
    assert write.startswith("HTTP/1.1 405 ")
    assert "\r\nallow: GET, HEAD\r\n" in write
    assert not [answer for answer in (without, within, write) if "\r\nserver:" in answer.lower() or TOKEN in answer]


# -- what is served, where, and to whom ---------------------------------------------------------------------


@pytest.mark.usefixtures("loopback")
def test_without_a_token_only_requests_for_this_machine_are_answered(
    run_folder: Path, never_serving: list[uvicorn.Config]
) -> None:
    answer = interlock("serve", run_folder, "--port", 0)
    [config] = never_serving
    port = int(answer.out.strip().rpartition(":")[2])
    guard: Any = config.app
    assert answer.code == 0
    assert guard.user_middleware[0].kwargs["hosts"] == (f"127.0.0.1:{port}", f"localhost:{port}")
    assert (config.access_log, config.server_header, config.proxy_headers) == (False, False, False)


@pytest.mark.usefixtures("loopback")
def test_a_token_may_come_from_the_environment(
    run_folder: Path, never_serving: list[uvicorn.Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOK_TOKEN", TOKEN)
    answer = interlock("serve", run_folder, "--port", 0, "--address", "::1", "--token-env", "LOOK_TOKEN")
    [config] = never_serving
    served: Any = config.app
    assert answer.out.startswith("http://[::1]:")
    assert served.user_middleware[0].kwargs["token"].get_secret_value() == TOKEN
    assert TOKEN not in answer.out + answer.err


# -- what keeps it from starting ----------------------------------------------------------------------------


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1", "::", "::1", "127.0.0.2"])  # noqa: S104 - it is refused
def test_another_address_needs_a_token(run_folder: Path, never_serving: list[uvicorn.Config], address: str) -> None:
    answer = interlock("serve", run_folder, "--address", address)
    assert (answer.code, never_serving) == (1, [])
    assert answer.complaint == (
        f"address {address}: others can reach it, and there is no token (allowed: 127.0.0.1, or a token)"
    )


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--address", "localhost"], "address: is no IP address (allowed: one such as 127.0.0.1; names are not"),
        (["--port", "70000"], "Invalid value for '--port'"),
        (["--token-env", "NOT_SET_ANYWHERE"], "serve: the variable NOT_SET_ANYWHERE: is not set, or holds no line"),
        (["--token-env", TOKEN], "serve: what is given as a variable is no name of one"),
        (["--token-env", "INTERLOCK_TOKEN"], "serve: what is given as a variable is no name of one"),
        (["--token-file", "nowhere"], "serve: nowhere: cannot be read"),
        (["--token-file", "nowhere", "--token-env", "X"], "serve: the token has two places"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    run_folder: Path, never_serving: list[uvicorn.Config], arguments: list[str], complaint: str
) -> None:
    answer = interlock("serve", run_folder, *arguments)
    assert (answer.code, never_serving) == (1, [])
    assert answer.complaint.startswith(complaint)
    assert TOKEN not in answer.err


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    ("text", "mode", "complaint"),
    [(TOKEN, 0o644, "is open to others (mode 0644)"), ("short", 0o600, "holds no token"), ("", 0o600, "is not set")],
)
def test_a_token_that_others_can_read_or_guess_is_refused(
    run_folder: Path, tmp_path: Path, text: str, mode: int, complaint: str
) -> None:
    answer = interlock("serve", run_folder, "--token-file", a_token_file(tmp_path, text, mode))
    assert answer.code == 1
    assert complaint in answer.complaint


@pytest.mark.spec("NFR-1")
@pytest.mark.usefixtures("loopback")
def test_a_folder_that_holds_no_run_and_a_port_that_is_taken_are_refused_in_one_line(
    run_folder: Path, tmp_path: Path, never_serving: list[uvicorn.Config]
) -> None:
    assert str(tmp_path / "no") in interlock("serve", tmp_path / "no", "--port", 0).complaint
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = interlock("serve", run_folder, "--port", port)
    assert answer.code == 1
    assert answer.complaint.startswith(f"address 127.0.0.1, port {port}: cannot be listened on: ")
    assert never_serving == []


@pytest.mark.spec("NFR-1")
def test_without_the_extra_it_says_what_to_install(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "interlock.web.serve", None)
    answer = interlock("serve", run_folder)
    assert answer.complaint == "serve: there is no web server (allowed: pip install 'interlock[web]')"
