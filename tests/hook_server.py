"""A small HTTP server inside a test, on this machine alone: it notes what it is sent and answers as it is told.

Each answer is the bytes to write before the connection is closed, or None to say nothing at all.
"""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

__all__ = ["GARBAGE", "OK", "HookServer", "Request", "answer"]

GARBAGE: Final = b"\x00\xff this is no HTTP \r\n\r\n"


class Request(NamedTuple):
    """What was sent: the first line, the headers by lower-case name, the body."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body, decoded."""
        return json.loads(self.body)


def answer(status: int, *headers: str, body: bytes = b"") -> bytes:
    """Return an answer with this status."""
    lines = (f"HTTP/1.1 {status} Said", *headers, f"content-length: {len(body)}", "connection: close", "", "")
    return "\r\n".join(lines).encode() + body


OK: Final = answer(200)


class HookServer:
    """Serves one answer after the other, the last one for ever."""

    def __init__(self, *answers: bytes | None) -> None:
        self.requests: list[Request] = []
        self._answers = list(answers) or [OK]
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()

    @property
    def port(self) -> int:
        """Return where it listens."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        assert isinstance(port, int)
        return port

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append(Request(head[0], headers, body))
        said = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if said is not None:
            writer.write(said)
            writer.close()
