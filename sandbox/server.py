"""Starts everything on loopback, and stops it."""

from __future__ import annotations

import asyncio
import signal
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from . import control, pages
from .google import routes as google
from .loopback import is_loopback
from .mail import routes as mail
from .mail.smtp import start_smtp
from .openrouter import routes as openrouter
from .razorpay import routes as razorpay
from .razorpay.service import Target
from .supabase import routes as supabase
from .world import WORLD, World

MAX_BODY = 32 * 1024 * 1024


@web.middleware
async def only_local(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses names that only point here, and other sites' pages: mails and sign-in codes are not theirs."""
    host = urlsplit(f"//{request.host}").hostname or ""
    origin = request.headers.get("Origin", "null")
    from_elsewhere = origin != "null" and not is_loopback(urlsplit(origin).hostname or "")
    if not is_loopback(host) or from_elsewhere:
        return web.Response(status=403, text="The sandbox answers only on this machine's own names.\n")
    return await handler(request)


def application(world: World) -> web.Application:
    """The HTTP application."""
    app = web.Application(client_max_size=MAX_BODY, middlewares=[only_local, control.plain_errors])
    app[WORLD] = world
    for part in (pages, openrouter, google, supabase, razorpay, mail, control):
        part.add(app)
    return app


async def serve(host: str, port: int, smtp_port: int, pace: str, webhooks: Target) -> None:
    """Serves until SIGINT or SIGTERM. Prints one line when ready. Raises OSError when a port is taken."""
    world = World(pace, webhooks)
    runner = web.AppRunner(application(world), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    smtp = await start_smtp(world.mailbox, host, smtp_port)
    shown = f"[{host}]" if ":" in host else host
    bound: int = runner.addresses[0][1]
    world.smtp_port = smtp.sockets[0].getsockname()[1]
    world.base_url = f"http://{shown}:{bound}"
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    print(f"Sandbox ready at {world.base_url}/ (mail at smtp://{shown}:{world.smtp_port})", flush=True)
    await stop.wait()
    smtp.close()
    await runner.cleanup()
