"""Everything of the imitated Razorpay."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from sandbox.world import WORLD

from . import api, checkout, control, dashboard, embedded, walks


async def _running(app: web.Application) -> AsyncIterator[None]:
    async for _ in app[WORLD].razorpay.running():
        yield


def add(app: web.Application) -> None:
    """Adds every path, and what runs beside them."""
    for part in (embedded, api, checkout, dashboard, control, walks):
        part.add(app)
    app.cleanup_ctx.append(_running)
