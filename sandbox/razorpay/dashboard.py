"""Pages for people: what the imitated Razorpay holds, with buttons that let things happen."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from html import escape
from typing import Any

from aiohttp import web

from sandbox.pages import page
from sandbox.world import WORLD

from .account import Account
from .checkout_page import money
from .dashboard_buttons import button, buttons_of, press
from .events import Event
from .refusals import Refused
from .service import Service

BASE = "/razorpay/dashboard"
SHOWN = 50
CLOCK_BUTTONS = {"1 hour": 3600, "1 day": 86_400, "4 days": 4 * 86_400, "31 days": 31 * 86_400}


def when(moment: int | None) -> str:
    """A moment for people, in Indian time."""
    if moment is None:
        return "–"
    return time.strftime("%d %b %Y %H:%M", time.gmtime(moment + 19_800))


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return "<p class='muted'>None yet.</p>"
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    cells = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div class='wide'><table><tr>{names}</tr>{cells}</table></div>"


def _link(key: str, mode: str) -> str:
    return f"<a href='{BASE}/{escape(key)}?mode={mode}'><code>{escape(key)}</code></a>"


def _account(request: web.Request) -> tuple[Service, Account, str]:
    service = request.app[WORLD].razorpay
    service.catch_up()
    mode = request.query.get("mode", "test")
    account = service.accounts.get(mode)
    if account is None:
        raise web.HTTPNotFound(text="mode is test or live\n")
    return service, account, mode


def _newest(rows: Any, made: Callable[[Any], tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [made(row) for row in itertools.islice(rows.newest_first(), SHOWN)]


# What there is -----------------------------------------------------------------------------------
async def overview(request: web.Request) -> web.Response:
    """Everything, newest first."""
    service, account, mode = _account(request)
    manner = account.webhooks.manner
    other = "live" if mode == "test" else "test"
    return page(
        "Razorpay",
        f"<h1>Razorpay, {mode} mode</h1><p><a href='/'>Sandbox</a> · <a href='{BASE}?mode={other}'>{other} mode</a></p>"
        f"<div class='card'><h2>Clock</h2><p>{when(service.clock.now())} in India"
        f"{', stopped' if service.clock.frozen else ''}</p><form method='post' class='buttons'>"
        f"{''.join(button(f'Forward {label}', 'advance', str(size)) for label, size in CLOCK_BUTTONS.items())}"
        f"</form></div><div class='card'><h2>Webhooks</h2><p>To <code>{escape(manner.url or 'nowhere')}</code>, "
        f"{escape(manner.mode)}{'' if manner.enabled else ', disabled after a day of failures'}.</p>"
        "<form method='post' class='buttons'>"
        f"{button('Deliver', 'webhooks', 'deliver')}{button('Hold back', 'webhooks', 'hold')}"
        f"{button('Drop', 'webhooks', 'drop')}{button('Send what was held', 'send', 'held')}"
        f"{button('Enable again', 'webhooks', 'enable')}</form></div>" + _lists(account, mode),
    )


def _lists(account: Account, mode: str) -> str:
    subscriptions = _newest(
        account.subscriptions,
        lambda row: (
            _link(row.id, mode),
            escape(row.plan.name),
            money(row.amount, row.plan.currency),
            row.status + (" (ends with the cycle)" if row.cancels_at_end else ""),
            escape(row.instrument.kind if row.instrument else "–"),
            f"{row.paid_count} of {row.total_count}",
            when(row.current_end),
        ),
    )
    payments = _newest(
        account.payments,
        lambda row: (
            _link(row.id, mode),
            money(row.amount, row.currency),
            row.status,
            row.instrument.kind,
            when(row.created_at),
        ),
    )
    refunds = _newest(
        account.refunds,
        lambda row: (_link(row.id, mode), money(row.amount, row.currency), row.status, _link(row.payment_id, mode)),
    )
    orders = _newest(
        account.orders,
        lambda row: (_link(row.id, mode), money(row.amount, row.currency), row.status, str(row.attempts)),
    )
    plans = _newest(
        account.plans,
        lambda row: (
            _link(row.id, mode),
            escape(row.name),
            money(row.amount, row.currency),
            f"{row.period}, {row.interval}",
        ),
    )
    return (
        "<h2>Subscriptions</h2>"
        + _table(("id", "plan", "a cycle", "state", "by", "paid", "until"), subscriptions)
        + "<h2>Payments</h2>"
        + _table(("id", "amount", "state", "by", "when"), payments)
        + "<h2>Refunds</h2>"
        + _table(("id", "amount", "state", "of"), refunds)
        + "<h2>Orders</h2>"
        + _table(("id", "amount", "state", "tries"), orders)
        + "<h2>Plans</h2>"
        + _table(("id", "name", "price", "period"), plans)
        + "<h2>Events</h2>"
        + _events(list(itertools.islice(account.events.newest_first(), SHOWN)), mode)
    )


def _events(events: list[Event], mode: str) -> str:
    rows: list[tuple[str, ...]] = [
        (
            f"<a href='{BASE}/event/{event.id}?mode={mode}'><code>{event.id}</code></a>",
            escape(event.name),
            event.state,
            escape(", ".join(str(one["status"] or one["error"]) for one in event.attempts[-4:])),
            when(event.created_at),
        )
        for event in events
    ]
    return _table(("id", "event", "delivery", "answers", "when"), rows)


# One object --------------------------------------------------------------------------------------
def _one(request: web.Request, account: Account) -> tuple[str, Any]:
    key = request.match_info["key"]
    try:
        return key, account.any_object(key)
    except Refused:
        raise web.HTTPNotFound(text="There is no such object in this mode.\n") from None


def _shown(key: str, one: Any, account: Account, mode: str, error: str = "") -> web.Response:
    events = [event for event in account.events.newest_first() if key.encode() in event.body][:SHOWN]
    said = f"<p role='alert'><b>{escape(error)}</b></p>" if error else ""
    body = escape(json.dumps(one.as_json(), indent=2, ensure_ascii=False))
    page_of = f"<p><a href='/razorpay/i/{key}'>Hosted page</a></p>" if key.startswith(("sub_", "inv_")) else ""
    return page(
        key,
        f"<p><a href='{BASE}?mode={mode}'>Razorpay</a></p><h1><code>{escape(key)}</code></h1>{said}"
        f"{page_of}{buttons_of(key, one)}<pre class='mail'>{body}</pre><h2>Events</h2>{_events(events, mode)}",
        status=400 if error else 200,
    )


async def show(request: web.Request) -> web.Response:
    """One object as it looks outside, with what can be done to it."""
    _, account, mode = _account(request)
    key, one = _one(request, account)
    return _shown(key, one, account, mode)


async def event(request: web.Request) -> web.Response:
    """One event: its body and how it was delivered."""
    _, account, mode = _account(request)
    found = account.events.find(request.match_info["key"])
    if found is None:
        raise web.HTTPNotFound(text="There is no such event in this mode.\n")
    body = escape(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    again = f"<form method='post' class='buttons'>{button('Send it again', 'send', found.id)}</form>"
    return page(
        found.name,
        f"<p><a href='{BASE}?mode={mode}'>Razorpay</a></p><h1>{escape(found.name)}</h1>{again}"
        f"<pre class='mail'>{body}</pre>",
    )


# What is done ------------------------------------------------------------------------------------
async def act(request: web.Request) -> web.Response:
    """A button of an object was pressed."""
    _, account, mode = _account(request)
    key, one = _one(request, account)
    form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    try:
        press(account, key, one, form)
    except (Refused, LookupError) as no:
        return _shown(key, one, account, mode, str(no))
    return _seen(f"{BASE}/{key}?mode={mode}")


async def act_on_all(request: web.Request) -> web.Response:
    """A button of the overview was pressed: clock or webhooks."""
    service, account, mode = _account(request)
    form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    webhooks = account.webhooks
    if form.get("advance", "").isdigit():
        await service.advance(service.clock.now() + min(int(form["advance"]), 31 * 86_400), settle=True)
    elif form.get("webhooks") in ("deliver", "hold", "drop"):
        webhooks.manner.mode = form["webhooks"]
    elif form.get("webhooks") == "enable":
        webhooks.manner.enabled = True
    elif form.get("send") == "held":
        webhooks.send([one for one in account.events if one.state == "held"])
    return _seen(f"{BASE}?mode={mode}")


async def send_again(request: web.Request) -> web.Response:
    """An event is sent again."""
    _, account, mode = _account(request)
    found = account.events.find(request.match_info["key"])
    if found is not None:
        account.webhooks.send([found])
        await account.webhooks.settle(10)
    return _seen(f"{BASE}/event/{request.match_info['key']}?mode={mode}")


def _seen(address: str) -> web.Response:
    return web.Response(status=303, headers={"Location": address})


def add(app: web.Application) -> None:
    """Adds the paths."""
    router = app.router
    router.add_get(BASE, overview)
    router.add_post(BASE, act_on_all)
    router.add_get(BASE + r"/event/{key:\w{1,40}}", event)
    router.add_post(BASE + r"/event/{key:\w{1,40}}", send_again)
    router.add_get(BASE + r"/{key:\w{1,40}}", show)
    router.add_post(BASE + r"/{key:\w{1,40}}", act)
