"""A small HTTP server inside a test, on this machine alone: it notes what it is sent and answers as it is told.

Each answer is the bytes to write before the connection is closed, or None to say nothing at all.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final, NamedTuple

from tests.local_server import LocalServer

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


class HookServer(LocalServer):
    """Serves one answer after the other, the last one for ever."""

    def __init__(self, *answers: bytes | None) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self._answers = list(answers) or [OK]

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
