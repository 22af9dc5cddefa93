"""A FastAPI service around a session, with Interlock's read-only pages mounted below ``/interlock``.

    pip install fastapi uvicorn 'interlock[web]'
    uvicorn examples.readonly_service:app

then look at ``/interlock/status``, ``/interlock/health``, ``/interlock/metrics``. The service is the host: the session
opens with it and ends with it, in the same event loop. Nothing below ``/interlock`` changes anything; orders come in
by the service's own door, which is its business to guard.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI, Request

from interlock import HostSession, OrderIntent, open_session
from interlock.web import create_app

CONFIG: Final = {
    "session": {"session_id": "example-service", "strategy_id": "strat_demo", "drain_every_s": "0.05"},
    "instruments": [
        {"symbol": "BTC/EUR", "price": "100", "max_order_quantity": "2", "max_order_notional": "250"},
    ],
    "opening": {"cash": "10000"},
}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open a session with the mock broker for as long as the service runs."""
    async with open_session(CONFIG) as session:
        app.state.session = session
        app.mount("/interlock", create_app(session.inner))
        yield


app = FastAPI(title="A host with a session", lifespan=lifespan)


@app.post("/intents")
async def submit(intent: OrderIntent, request: Request) -> dict[str, str]:
    """Hand an intent on; the same decision twice is one order."""
    session: HostSession = request.app.state.session
    outcome = await session.submit(intent)
    return {"status": outcome.status, "code": outcome.code, "client_order_id": outcome.client_order_id}
