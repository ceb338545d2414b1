"""Control calls about the sandbox Razorpay as a whole: clock, webhooks, events, faults, habits, reset."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import wraps
from typing import Any

from aiohttp import web

from sandbox.control import answer, fields, wrong
from sandbox.loopback import leads_here
from sandbox.world import WORLD

from .account import Account, Habits
from .asked import Asked
from .events import Event, written
from .faults import FAULTS, Fault
from .refusals import Refused
from .service import Service
from .webhooks import MODES, SIGNATURES

BASE = "/_control/razorpay"
UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}
Call = Callable[[web.Request], Awaitable[web.Response]]
ORDERS = ("made", "reversed", "shuffled")


def refusing(call: Call) -> Call:
    """Answers 400 with the reason where a call is refused."""

    @wraps(call)
    async def said(request: web.Request) -> web.Response:
        try:
            return await call(request)
        except Refused as no:
            return wrong(str(no))

    return said


def service_of(request: web.Request) -> Service:
    """The service, with everything done that has fallen due."""
    service = request.app[WORLD].razorpay
    service.catch_up()
    return service


def account_of(request: web.Request) -> Account:
    """The mode that a control call is about: test, or `?mode=live`."""
    account = service_of(request).accounts.get(request.query.get("mode", "test"))
    if account is None:
        raise Refused("mode: test or live")
    return account


def one_of(asked: Asked, name: str, choices: Iterable[str], default: str) -> str:
    """A word out of a list. Raises Refused."""
    value = asked.text(name) or default
    if value not in choices:
        raise Refused(f"{name}: one of {', '.join(choices)}")
    return value


def seconds_of(asked: Asked, name: str, default: float, most: float = 3600) -> float:
    """A number of seconds. Raises Refused."""
    value = asked.raw(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise Refused(f"{name}: a number from 0 to {most:g}")
    return float(value)


# Clock -------------------------------------------------------------------------------------------
async def clock(request: web.Request) -> web.Response:
    """Shows the clock; `frozen` stops it, `now` or `seconds`, `minutes`, `hours`, `days` move it forward.

    What falls due on the way happens, each thing at its time. With `settle` (as usual) the webhooks of each moment
    are delivered before the clock goes on; `settled` in the answer says whether they were in time.
    """
    service = service_of(request)
    asked = Asked(await fields(request) if request.method == "POST" else {})
    asked.only("now", "frozen", "settle", *UNITS)
    if "frozen" in asked:
        service.clock.freeze(asked.flag("frozen", False))
    start = service.clock.now()
    moment = asked.integer("now", least=0, most=32_503_680_000) or start
    moment += sum((asked.integer(unit, least=0, most=10**9) or 0) * size for unit, size in UNITS.items())
    if moment < start:
        raise Refused("now: the clock goes forward only; reset takes it back")
    settled = True
    if moment > start:
        settled = await service.advance(moment, settle=asked.flag("settle", True))
    return answer({"now": service.clock.now(), "frozen": service.clock.frozen, "settled": settled})


# Webhooks ----------------------------------------------------------------------------------------
async def webhooks(request: web.Request) -> web.Response:
    """Shows the webhook settings, or changes those given. A new `secret` makes the one before it `old_secret`."""
    account = account_of(request)
    old = account.webhooks.manner
    if request.method == "GET":
        return answer(old.as_json())
    asked = Asked(await fields(request)).only(*old.as_json())
    url = asked.raw("url") if asked.raw("url") is not None else old.url
    if url is not None and (not isinstance(url, str) or not leads_here(url)):
        raise Refused("url: an address on this machine")
    names = asked.raw("events") if asked.raw("events") is not None else old.events
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused("events: a list of event names; * stands for anything")
    secret = asked.text("secret") or old.secret
    before = old.secret if secret != old.secret else old.old_secret
    manner = replace(
        old,
        url=url,
        secret=secret,
        old_secret=asked.text("old_secret") or before,
        mode=one_of(asked, "mode", MODES, old.mode),
        signature=one_of(asked, "signature", SIGNATURES, old.signature),
        events=names,
        delay_seconds=seconds_of(asked, "delay_seconds", old.delay_seconds),
        timeout_seconds=seconds_of(asked, "timeout_seconds", old.timeout_seconds),
        shuffle=asked.flag("shuffle", old.shuffle),
        copies=asked.integer("copies", least=1, most=100) or old.copies,
        parallel=asked.integer("parallel", least=1, most=64) or old.parallel,
        retries=asked.flag("retries", old.retries),
        enabled=asked.flag("enabled", old.enabled),
    )
    account.webhooks.change(manner)
    return answer(manner.as_json())


def _chosen(account: Account, asked: Asked) -> list[Event]:
    ids, state = asked.raw("events"), asked.text("state")
    if ids is None:
        return [event for event in account.events if state is None or event.state == state]
    if not isinstance(ids, list):
        raise Refused("events: a list of event ids")
    return [account.events.get(str(one)) for one in ids]


async def events(request: web.Request) -> web.Response:
    """Every event, oldest first; `?event=`, `?state=`, `?about=` (an id in the body), `?skip=`, `?brief=1` narrow."""
    account = account_of(request)
    skip = request.query.get("skip", "0")
    if not skip.isdecimal():
        raise Refused("skip: how many of the oldest to leave out")
    name, state, about = (request.query.get(key) for key in ("event", "state", "about"))
    found = [
        event.as_json(with_body=request.query.get("brief") is None)
        for event in itertools.islice(account.events, int(skip), None)
        if (name is None or event.name == name)
        and (state is None or event.state == state)
        and (about is None or about.encode() in event.body)
    ]
    return answer({"count": len(found), "events": found})


async def deliver(request: web.Request) -> web.Response:
    """Sends events (`events`: ids, or all in a `state`), whatever became of them before.

    `order` is made, reversed or shuffled (with a `seed`), `copies` how often each, `signature` as for webhooks,
    `delay_seconds` real seconds before. Answers once they were tried, or at once when there is a delay.
    """
    account = account_of(request)
    asked = Asked(await fields(request))
    asked.only("events", "state", "order", "seed", "copies", "signature", "delay_seconds")
    chosen = _chosen(account, asked) * (asked.integer("copies", least=1, most=100) or 1)
    order = one_of(asked, "order", ORDERS, "made")
    if order == "reversed":
        chosen.reverse()
    elif order == "shuffled":
        random.Random(asked.integer("seed", least=0)).shuffle(chosen)
    delay = seconds_of(asked, "delay_seconds", 0)
    account.webhooks.send(chosen, one_of(asked, "signature", SIGNATURES, "own"), delay)
    settled = await account.webhooks.settle()
    states: dict[str, int] = {}
    for event in {id(event): event for event in chosen}.values():
        states[event.state] = states.get(event.state, 0) + 1
    return answer({"sent": len(chosen), "settled": settled, "states": states})


async def settle(request: web.Request) -> web.Response:
    """Waits until every delivery that may happen now has been tried."""
    account = account_of(request)
    return answer({"settled": await account.webhooks.settle()})


async def forge(request: web.Request) -> web.Response:
    """Sends any `body` as an event, signed with the secret: a new event id, another account, other amounts.

    `like` names an event whose body is taken, with `changes` to paths such as
    `payload.payment.entity.amount`; `event_id` takes a known id or a new one.
    """
    account = account_of(request)
    asked = Asked(await fields(request)).only("body", "like", "changes", "event_id", "signature")
    body = asked.raw("body")
    if "like" in asked:
        body = json.loads(account.events.get(asked.text("like")).body)
    if not isinstance(body, dict):
        raise Refused("body: a JSON object, or like: an event's id")
    for path, value in (asked.raw("changes") or {}).items():
        _put(body, path.split("."), value)
    event_id = asked.text("event_id") or account.new_id()
    event = Event(event_id, str(body.get("event", "")), written(body), account.now(), account.webhooks.manner.secret)
    if account.events.find(event_id) is None:
        account.events.add(event_id, event)
    account.webhooks.send([event], one_of(asked, "signature", SIGNATURES, "own"))
    await account.webhooks.settle()
    return answer(event.as_json())


def _put(body: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        inner = body.get(name)
        if not isinstance(inner, dict):
            raise Refused(f"changes: there is no {'.'.join(path)}")
        body = inner
    body[path[-1]] = value


# Faults, habits, reset ---------------------------------------------------------------------------
async def fault(request: web.Request) -> web.Response:
    """Orders a `fault` for the next `times` calls of a `method` and `path` below /v1, of which * is any part.

    `clear` forgets what was ordered before, and orders nothing.
    """
    service = service_of(request)
    if request.method == "GET":
        return answer({"meanings": FAULTS, "ordered": [one.as_json() for one in service.faults]})
    asked = Asked(await fields(request))
    asked.only("fault", "method", "path", "times", "every", "after", "seconds", "clear")
    if asked.flag("clear", False):
        service.faults.clear()
        return answer({"ordered": []})
    service.faults.append(
        Fault(
            one_of(asked, "fault", FAULTS, ""),
            one_of(asked, "method", ("*", "GET", "POST", "PATCH", "PUT", "DELETE"), "*"),
            asked.text("path") or "*",
            asked.integer("times", least=1) or 1,
            asked.integer("every", least=1) or 1,
            asked.integer("after", least=0) or 0,
            seconds_of(asked, "seconds", 30.0, 600),
        )
    )
    return answer({"ordered": [one.as_json() for one in service.faults]})


async def habits(request: web.Request) -> web.Response:
    """Shows how the account behaves where the service has more than one way, or changes what is given."""
    account = account_of(request)
    old = account.habits
    if request.method == "POST":
        asked = Asked(await fields(request)).only(*Habits.__dataclass_fields__)
        account.habits = Habits(
            one_of(asked, "refunds", ("processed", "pending", "failed"), old.refunds),
            one_of(asked, "cancel_at_end", ("scheduled", "immediate"), old.cancel_at_end),
            int(seconds_of(asked, "debit_delay_seconds", old.debit_delay_seconds, 7 * 86_400)),
            asked.flag("subscriptions_enabled", old.subscriptions_enabled),
            one_of(asked, "signature", ("good", "wrong", "swapped", "missing"), old.signature),
            (asked.integer("signatures", least=0) or (1 if "signature" in asked else old.signatures)),
            seconds_of(asked, "return_delay_seconds", old.return_delay_seconds, 60),
        )
    return answer({name: getattr(account.habits, name) for name in Habits.__dataclass_fields__})


async def reset(request: web.Request) -> web.Response:
    """Forgets everything of Razorpay's, in both modes."""
    request.app[WORLD].razorpay.reset()
    return answer({"ok": True})


def add(app: web.Application) -> None:
    """Adds the paths."""
    router = app.router
    for path, call in (("clock", clock), ("webhooks", webhooks), ("fault", fault), ("habits", habits)):
        router.add_get(f"{BASE}/{path}", refusing(call))
        router.add_post(f"{BASE}/{path}", refusing(call))
    router.add_get(f"{BASE}/events", refusing(events))
    for path, call in (("deliver", deliver), ("settle", settle), ("forge", forge), ("reset", reset)):
        router.add_post(f"{BASE}/{path}", refusing(call))
