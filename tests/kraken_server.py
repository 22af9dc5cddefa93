"""An exchange inside a test, on this machine alone: the part of Kraken's published REST format that a reader needs.

Private questions are form posts, signed with HMAC-SHA512 over the path and the SHA-256 of nonce and body, with a nonce
that rises; every answer is ``{"error": [...], "result": ...}``; times are JSON numbers in seconds, amounts are text;
histories come newest first, fifty at a time, from an exclusive start to an inclusive end.

Every request is noted. ``faults`` has, by endpoint, what to say instead: bytes, ``RESET``, or None for nothing at all.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import struct
from collections import deque
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from tests.local_server import LocalServer

__all__ = ["KEY", "PRIVATE_READS", "RESET", "SECRET", "Asked", "KrakenServer", "a_trade", "an_order", "answered"]

KEY: Final = "Kq7vLm2Xz9Tb4Nc8Rw1Yp5Ds3Fg6Hj0AeUi"
SECRET: Final = base64.b64encode(b"a secret of sixty-four bytes, for nothing but these few tests...").decode()
RESET: Final = b"RESET"
PAGE: Final = 50
PRIVATE_READS: Final = {"OpenOrders", "ClosedOrders", "QueryOrders", "TradesHistory", "BalanceEx", "OpenPositions"}
PUBLIC_READS: Final = {"Assets", "AssetPairs", "Time"}

ASSETS: Final = {
    "XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10, "display_decimals": 5, "status": "enabled"},
    "XETH": {"aclass": "currency", "altname": "ETH", "decimals": 10, "display_decimals": 5, "status": "enabled"},
    "ZEUR": {"aclass": "currency", "altname": "EUR", "decimals": 4, "display_decimals": 2, "status": "enabled"},
    "ZUSD": {"aclass": "currency", "altname": "USD", "decimals": 4, "display_decimals": 2, "status": "enabled"},
}


def _pair(altname: str, base: str, quote: str) -> dict[str, Any]:
    return {
        "altname": altname,
        "wsname": altname,
        "aclass_base": "currency",
        "base": base,
        "aclass_quote": "currency",
        "quote": quote,
        "pair_decimals": 1,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": [2, 3],
        "leverage_sell": [2, 3],
        "fees": [[0, 0.26]],
        "fees_maker": [[0, 0.16]],
        "fee_volume_currency": "ZUSD",
        "ordermin": "0.0001",
        "status": "online",
    }


PAIRS: Final = {
    "XXBTZEUR": _pair("XBTEUR", "XXBT", "ZEUR"),
    "XETHZEUR": _pair("ETHEUR", "XETH", "ZEUR"),
}


class Asked(NamedTuple):
    """One request: what was asked, and the fields of its form."""

    method: str
    path: str
    fields: dict[str, str]

    @property
    def endpoint(self) -> str:
        """Return the last part of the path."""
        return self.path.rpartition("/")[2]


def answered(status: int, body: bytes, *headers: str, kind: str = "application/json") -> bytes:
    """Return a whole HTTP answer."""
    lines = (
        f"HTTP/1.1 {status} Said",
        f"content-type: {kind}",
        *headers,
        f"content-length: {len(body)}",
        "connection: close",
        "",
        "",
    )
    return "\r\n".join(lines).encode() + body


def an_order(key: str | None = "host-1", **changed: Any) -> dict[str, Any]:
    """Return an order as the exchange tells it: buy 2 BTC at 90 EUR, open, nothing filled."""
    descr = {
        "pair": changed.pop("pair", "XBTEUR"),
        "type": changed.pop("side", "buy"),
        "ordertype": changed.pop("ordertype", "limit"),
        "price": changed.pop("limit", "90.0"),
        "price2": "0",
        "leverage": "none",
        "order": "",
        "close": "",
    }
    return {
        "refid": None,
        "userref": None,
        "cl_ord_id": key,
        "status": "open",
        "opentm": 1_700_000_000.1234,
        "starttm": 0,
        "expiretm": 0,
        "descr": descr,
        "vol": "2.00000000",
        "vol_exec": "0.00000000",
        "cost": "0.00000",
        "fee": "0.00000",
        "price": "0.00000",
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": "fciq",
        **changed,
    }


def a_trade(order: str = "OAAAAA-AAAAA-AAAAAA", **changed: Any) -> dict[str, Any]:
    """Return an execution as the exchange tells it: one BTC bought at 90 EUR."""
    return {
        "ordertxid": order,
        "postxid": "TKH2SE-M7IF5-CFI7LT",
        "pair": "XXBTZEUR",
        "time": 1_700_000_010.5001,
        "type": "buy",
        "ordertype": "limit",
        "price": "90.00000",
        "cost": "90.00000",
        "fee": "0.14400",
        "vol": "1.00000000",
        "margin": "0.00000",
        "leverage": "0",
        "misc": "",
        "trade_id": 40_274_859,
        "maker": True,
        **changed,
    }


class KrakenServer(LocalServer):
    """One account."""

    def __init__(self) -> None:
        super().__init__()
        self.open: dict[str, Any] = {}
        self.closed: dict[str, Any] = {}
        self.trades: dict[str, Any] = {}
        self.balances: dict[str, str] = {"ZEUR": "100000.0000", "XXBT": "20.0000000000"}
        self.positions: list[dict[str, Any]] = []
        self.time_s = 1_700_000_100
        self.tick_s = 0
        """How much time passes with every question."""
        self.asked: list[Asked] = []
        self.faults: dict[str, deque[bytes | None]] = {}
        self._nonce = 0
        self._some = asyncio.Event()

    @property
    def url(self) -> str:
        """Return the address of the interface."""
        return f"http://127.0.0.1:{self.port}"

    def endpoints(self) -> set[str]:
        """Return what was asked for."""
        return {asked.endpoint for asked in self.asked}

    async def heard(self, endpoint: str) -> None:
        """Wait until there was a question."""
        while endpoint not in self.endpoints():
            self._some = asyncio.Event()
            await self._some.wait()

    def fail(self, endpoint: str, *said: bytes | None) -> None:
        """Say this to the next questions."""
        self.faults[endpoint] = deque(said)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        method, target, _ = head[0].split(" ")
        path, _, query = target.partition("?")
        asked = Asked(method, path, dict(parse_qsl(body.decode() or query)))
        self.asked.append(asked)
        self.time_s += self.tick_s
        self._some.set()
        faults = self.faults.get(asked.endpoint)
        said = faults.popleft() if faults else self._say(asked, headers, body)
        if said is None:
            return
        if said == RESET:
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            writer.write(said)
        writer.close()

    def _say(self, asked: Asked, headers: dict[str, str], body: bytes) -> bytes:
        known = PRIVATE_READS if asked.path.startswith("/0/private/") else PUBLIC_READS
        fault = None if asked.endpoint in known else "EGeneral:Unknown method"
        if known is PRIVATE_READS:
            fault = fault or self._unsigned(asked, headers, body)
        result = {"error": [fault]} if fault else {"error": [], "result": self._result(asked)}
        return answered(200, json.dumps(result).encode())

    def _unsigned(self, asked: Asked, headers: dict[str, str], body: bytes) -> str | None:
        nonce = asked.fields.get("nonce", "0")
        digest = hashlib.sha256(nonce.encode() + body).digest()
        signature = hmac.new(base64.b64decode(SECRET), asked.path.encode() + digest, hashlib.sha512).digest()
        if headers.get("api-key") != KEY:
            return "EAPI:Invalid key"
        if headers.get("api-sign") != base64.b64encode(signature).decode():
            return "EAPI:Invalid signature"
        if int(nonce) <= self._nonce:
            return "EAPI:Invalid nonce"
        self._nonce = int(nonce)
        return None

    def _result(self, asked: Asked) -> Any:
        fields, everything = asked.fields, {**self.open, **self.closed}
        ended = _of_client(self.closed, fields)
        said: dict[str, Any] = {
            "Assets": ASSETS,
            "AssetPairs": PAIRS,
            "Time": {"unixtime": self.time_s, "rfc1123": ""},
            "BalanceEx": {code: {"balance": held, "hold_trade": "0.0000"} for code, held in self.balances.items()},
            "OpenOrders": {"open": _of_client(self.open, fields)},
            # Whatever is given as the end of closed orders is taken for a number of seconds.
            "ClosedOrders": {"closed": _page(ended, "opentm", fields), "count": len(ended)},
            "QueryOrders": {key: everything[key] for key in fields.get("txid", "").split(",") if key in everything},
            "TradesHistory": {"trades": _page(self.trades, "time", fields), "count": len(self.trades)},
            "OpenPositions": self.positions,
        }
        return said[asked.endpoint]


def _of_client(orders: dict[str, Any], fields: dict[str, str]) -> dict[str, Any]:
    wanted = fields.get("cl_ord_id")
    return {order_id: order for order_id, order in orders.items() if wanted in (None, order["cl_ord_id"])}


def _page(entries: dict[str, Any], time: str, fields: dict[str, str]) -> dict[str, Any]:
    start, end = float(fields.get("start") or 0), float(fields.get("end") or 10**12)
    within = [
        (entry.get(time, end), entry_id) for entry_id, entry in entries.items() if start < entry.get(time, end) <= end
    ]
    newest = sorted(within, reverse=True)[int(fields.get("ofs", "0")) :][:PAGE]
    return {entry_id: entries[entry_id] for _, entry_id in newest}
