"""What every test stands on: no network, repeatable examples, and the way to the shared recordings.

The network is closed by an audit hook of the interpreter, so that no alias of `socket` and no library can get
around it; pipes and the socket pair inside an event loop stay open. It cannot be taken off again, hence the switch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from interlock.runtime import store_place

_NAME_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname"})
_AF_UNIX = 1
_LOOPBACK = ("127.0.0.1", "::1")
_hook = {"installed": False, "closed": False, "loopback": False}

# The same examples on every run and every machine; a slow machine is no failure.
settings.register_profile("interlock", derandomize=True, deadline=None, database=None)
settings.load_profile("interlock")


class NetworkTouchedError(AssertionError):
    """A test, or the code under it, reached for the network."""


def _refuse_network(event: str, args: tuple[object, ...]) -> None:
    if not _hook["closed"]:
        return
    # An address that is one already is no look-up.
    refused = event in _NAME_LOOKUPS and not (_hook["loopback"] and args[0] in _LOOPBACK)
    if event == "socket.__new__":
        refused = args[1] not in (_AF_UNIX, -1) and not _hook["loopback"]
    elif event in ("socket.connect", "socket.bind", "socket.sendto"):
        refused = isinstance(args[1], tuple) and args[1][0] not in _LOOPBACK
    if refused:
        message = f"{event}{args[1:]!r}: nothing opens a socket in a dry run (NFR-2)"
        raise NetworkTouchedError(message)


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """Close the network for the length of every test."""
    if not _hook["installed"]:
        sys.addaudithook(_refuse_network)
        _hook["installed"] = True
    _hook["closed"] = True
    yield
    _hook["closed"] = False


@pytest.fixture
def loopback(no_network: None) -> Iterator[None]:
    """Open the way to this machine itself, for a server inside a test; names are still not looked up."""
    _hook["loopback"] = True
    yield
    _hook["loopback"] = False


@pytest.fixture(scope="session")
def shared_samples() -> Path:
    """Return the folder of the recordings kept beside the repository; skip the test where it is not there."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "samples"
    if not folder.is_dir():
        pytest.skip("the recordings are not beside this clone (../shared/samples)")
    return folder


@pytest.fixture
def plain_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let a store lie where pytest puts it, which may be memory."""
    monkeypatch.setattr(store_place, "MOUNTS", tmp_path / "none")
