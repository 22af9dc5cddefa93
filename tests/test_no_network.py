"""The switch of conftest.py works: the network is closed in every test, the event loop is not."""

from __future__ import annotations

import asyncio
import socket
import urllib.request

import pytest

pytestmark = pytest.mark.spec("NFR-2")


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_network_socket_cannot_be_made(family: socket.AddressFamily) -> None:
    with pytest.raises(AssertionError, match="nothing opens a socket"):
        socket.socket(family, socket.SOCK_STREAM)


def test_a_name_cannot_be_looked_up() -> None:
    with pytest.raises(AssertionError, match=r"socket\.getaddrinfo"):
        socket.getaddrinfo("localhost", 80)


def test_a_library_cannot_get_around_it() -> None:
    with pytest.raises(AssertionError, match="nothing opens a socket"):
        urllib.request.urlopen("http://127.0.0.1:9/")


@pytest.mark.usefixtures("loopback")
def test_a_test_may_be_let_through_to_this_machine_and_no_further() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
        with pytest.raises(AssertionError, match=r"socket\.connect"):
            client.connect(("192.0.2.1", 9))
        with pytest.raises(AssertionError, match=r"socket\.getaddrinfo"):
            socket.getaddrinfo("localhost", 80)


def test_an_event_loop_still_has_its_socket_pair() -> None:
    async def answer() -> int:
        return await asyncio.get_running_loop().run_in_executor(None, lambda: 42)

    assert asyncio.run(answer()) == 42
