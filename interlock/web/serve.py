"""Serves the folder of a run to this machine, until it is interrupted.

The address is 127.0.0.1; any other has to be named and needs a token, for then others can reach it. The server speaks
plain HTTP with small limits, writes no access log, and says nothing about itself.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

import uvicorn
from pydantic import SecretStr

from interlock.domain.errors import BadInput
from interlock.web.app import create_app

__all__ = ["LOOPBACK", "serve"]

LOOPBACK: Final = "127.0.0.1"

_PORT_MAX: Final = 65_535
_USUAL_PORT: Final = 80
_WAITING_MAX: Final = 32
_AT_ONCE_MAX: Final = 32
_HEAD_BYTES_MAX: Final = 16_384
_IDLE_S: Final = 5
_STOP_S: Final = 3


def serve(folder: Path, *, address: str, port: int, token: SecretStr | None, tell: Callable[[str], None]) -> None:
    """Serve until interrupted; ``tell`` is given the URL once, when requests are taken. Port 0 is any free one.

    Raises:
        BadInput: no run is there, or the address cannot be used or needs a token.
        KeyboardInterrupt: it was interrupted, after what was being answered has been answered.
    """
    ip = _address(address)
    if address != LOOPBACK and token is None:
        raise BadInput(f"address {address}", "others can reach it, and there is no token", f"{LOOPBACK}, or a token")
    with _listening(ip, port) as listener:
        name = f"{f'[{ip}]' if ip.version == 6 else ip}:{listener.getsockname()[1]}"  # noqa: PLR2004 - its version
        # Without a token it is the name in the request that keeps strange web pages out; see the guard.
        hosts = _names(listener.getsockname()[1]) if token is None else ()
        app = create_app(folder, token=token, hosts=hosts)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                workers=1,  # said, or it would be looked for in the environment
                limit_concurrency=_AT_ONCE_MAX,
                h11_max_incomplete_event_size=_HEAD_BYTES_MAX,
                timeout_keep_alive=_IDLE_S,
                timeout_graceful_shutdown=_STOP_S,
            )
        )
        with _quiet():
            tell(f"http://{name}")
            server.run(sockets=[listener])


def _names(port: int) -> tuple[str, ...]:
    """Return how a request may call this machine; the usual port is left out."""
    names = (LOOPBACK, "localhost")
    return (*(f"{name}:{port}" for name in names), *(names if port == _USUAL_PORT else ()))


def _address(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        raise BadInput("address", "is no IP address", f"one such as {LOOPBACK}; names are not looked up") from None


@contextmanager
def _listening(ip: IPv4Address | IPv6Address, port: int) -> Iterator[socket.socket]:
    if not 0 <= port <= _PORT_MAX:
        raise BadInput("port", "is no port", f"0 to {_PORT_MAX}")
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6  # noqa: PLR2004 - its version
    with socket.socket(family) as listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((str(ip), port))
            listener.listen(_WAITING_MAX)
        except OSError as error:
            what = f"cannot be listened on: {error.strerror or 'no reason given'}"
            raise BadInput(f"address {ip}, port {port}", what, "another --port or --address") from error
        yield listener


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the server logs: it writes tracebacks and requests as they are. The app logs for itself."""
    theirs, nowhere = logging.getLogger("uvicorn"), logging.NullHandler()
    propagates, theirs.propagate = theirs.propagate, False
    theirs.addHandler(nowhere)
    try:
        yield
    finally:
        theirs.removeHandler(nowhere)
        theirs.propagate = propagates
