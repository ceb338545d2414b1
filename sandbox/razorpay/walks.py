"""Control calls that let something happen: to a subscription, an order, a payment, an invoice, a refund."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields as fields_of
from dataclasses import replace
from typing import Any

from aiohttp import web

from sandbox.control import answer, fields

from . import authenticating, changing, lifecycle, paying
from .account import Account, paged
from .asked import Asked
from .control import BASE, account_of, one_of, refusing
from .for_subscriptions import new_subscription
from .money import INSTRUMENTS, Instrument, Payment
from .refusals import Refused
from .subscription import MAX_ATTEMPTS, Subscription

DISPUTE_STATES = ("under_review", "action_required", "won", "lost", "closed")
WHO = ("customer", "self")


def instrument_of(asked: Asked) -> Instrument:
    """What is paid with: `method`; `works` false lets later automatic charges fail."""
    chosen = INSTRUMENTS[one_of(asked, "method", INSTRUMENTS, "card_international")]
    return replace(chosen, works=asked.flag("works", True))


# Subscriptions -----------------------------------------------------------------------------------
def authenticate(account: Account, subscription: Subscription, asked: Asked) -> Payment:
    """The first payment: `method`, `ok`, `works`, `email`, `contact`."""
    return authenticating.authenticate(
        account,
        subscription,
        instrument_of(asked),
        asked.flag("ok", True),
        email=asked.text("email") or "",
        contact=asked.text("contact") or "",
    )


def charge(account: Account, subscription: Subscription, asked: Asked) -> None:
    """The next charge now, as "Charge this now" in the dashboard: `ok`."""
    if subscription.status not in ("authenticated", "active", "pending", "halted"):
        raise Refused(f"Subscription can't be charged in {subscription.status} state")
    lifecycle.charge_next(account, subscription, asked.flag("ok", True))


def outcomes(_: Account, subscription: Subscription, asked: Asked) -> None:
    """What the bank will say to the next charges: `next`, a list of true and false."""
    said = asked.raw("next")
    if not isinstance(said, list) or not all(isinstance(one, bool) for one in said):
        raise Refused("next: a list of true and false")
    subscription.outcomes.clear()
    subscription.outcomes.extend(said)


def works(_: Account, subscription: Subscription, asked: Asked) -> None:
    """Whether the bank says yes from now on: `works`."""
    if subscription.instrument is None:
        raise Refused("The subscription is not authenticated")
    subscription.instrument = replace(subscription.instrument, works=asked.flag("works", True))


def halt(account: Account, subscription: Subscription, _: Asked) -> None:
    """All its charges fail at once, until it is halted."""
    if subscription.status not in ("authenticated", "active", "pending"):
        raise Refused(f"Subscription can't be halted in {subscription.status} state")
    for _attempt in range(MAX_ATTEMPTS):
        if subscription.status != "halted":
            lifecycle.charge_next(account, subscription, False)


def change_method(account: Account, subscription: Subscription, asked: Asked) -> Payment:
    """Another way of paying: `method`, `ok`, `works`."""
    return changing.change_method(account, subscription, instrument_of(asked), asked.flag("ok", True))


SUBSCRIPTION_WALKS: dict[str, Callable[[Account, Subscription, Asked], Any]] = {
    "authenticate": authenticate,
    "charge": charge,
    "outcomes": outcomes,
    "works": works,
    "halt": halt,
    "change-method": change_method,
    "pause": lambda account, one, asked: lifecycle.pause(account, one, one_of(asked, "by", WHO, "customer")),
    "resume": lambda account, one, asked: lifecycle.resume(account, one, one_of(asked, "by", WHO, "customer")),
    "cancel": lambda account, one, asked: lifecycle.cancel(account, one, one_of(asked, "by", WHO, "customer")),
    "complete": lambda account, one, _: lifecycle.complete(account, one),
    "expire": lambda account, one, _: lifecycle.expire(account, one),
}


async def walk(request: web.Request) -> web.Response:
    """One walk of one subscription; answers it, with the payment if there was one."""
    account = account_of(request)
    subscription = account.subscriptions.get(request.match_info["key"])
    doing = SUBSCRIPTION_WALKS.get(request.match_info["walk"])
    if doing is None:
        raise Refused(f"walk: one of {', '.join(SUBSCRIPTION_WALKS)}")
    made = doing(account, subscription, Asked(await fields(request)))
    payment = made.as_json() if isinstance(made, Payment) else None
    return answer({"subscription": subscription.as_json(), "payment": payment})


async def dashboard_subscription(request: web.Request) -> web.Response:
    """A subscription made in the dashboard: fields as of the API."""
    return answer(new_subscription(account_of(request), Asked(await fields(request)), "dashboard").as_json())


# Orders, invoices, payments ----------------------------------------------------------------------
async def pay_order(request: web.Request) -> web.Response:
    """Pays an order, even one that is paid: `method`, `ok`, `amount`, `times`, `email`, `contact`."""
    account = account_of(request)
    order = account.orders.get(request.match_info["key"])
    asked = Asked(await fields(request))
    paid = [
        paying.attempt(
            account,
            order,
            instrument_of(asked),
            asked.flag("ok", True),
            amount=asked.integer("amount", least=1),
            email=asked.text("email") or "",
            contact=asked.text("contact") or "",
        )
        for _ in range(asked.integer("times", least=1, most=20) or 1)
    ]
    return answer({"order": order.as_json(), "payments": [payment.as_json() for payment in paid]})


async def pay_invoice(request: web.Request) -> web.Response:
    """The customer pays an open invoice by hand: `method`, `ok`."""
    account = account_of(request)
    invoice = account.invoices.get(request.match_info["key"])
    asked = Asked(await fields(request))
    payment = changing.pay_invoice(account, invoice, instrument_of(asked), asked.flag("ok", True))
    return answer({"invoice": invoice.as_json(), "payment": payment.as_json()})


async def authorise_late(request: web.Request) -> web.Response:
    """A failed payment comes through after all."""
    account = account_of(request)
    payment = account.payments.get(request.match_info["key"])
    changing.authorised_late(account, payment)
    return answer(payment.as_json())


async def refund(request: web.Request) -> web.Response:
    """A refund made in the dashboard: `amount`, or all of it."""
    account = account_of(request)
    payment = account.payments.get(request.match_info["key"])
    amount = Asked(await fields(request)).integer("amount", least=1)
    return answer(paying.refund(account, payment, amount).as_json())


async def finish_refund(request: web.Request) -> web.Response:
    """A pending refund becomes `status` processed or failed."""
    account = account_of(request)
    made = account.refunds.get(request.match_info["key"])
    status = one_of(Asked(await fields(request)), "status", ("processed", "failed"), "processed")
    paying.finish_refund(account, made, status)
    return answer(made.as_json())


async def dispute(request: web.Request) -> web.Response:
    """A dispute of a payment: `amount`, `phase`, `reason`."""
    account = account_of(request)
    payment = account.payments.get(request.match_info["key"])
    asked = Asked(await fields(request))
    phase = one_of(asked, "phase", ("fraud", "retrieval", "chargeback", "pre_arbitration", "arbitration"), "chargeback")
    reason = asked.text("reason") or "goods_or_services_not_received_or_partially_received"
    return answer(paying.dispute(account, payment, asked.integer("amount", least=1), phase, reason).as_json())


async def move_dispute(request: web.Request) -> web.Response:
    """A dispute goes on to `status`."""
    account = account_of(request)
    made = account.disputes.get(request.match_info["key"])
    paying.move_dispute(account, made, one_of(Asked(await fields(request)), "status", DISPUTE_STATES, "lost"))
    return answer(made.as_json())


# Objects -----------------------------------------------------------------------------------------
async def objects(request: web.Request) -> web.Response:
    """How many objects there are of each kind; with `?kind=sub` (the prefix of its ids) all of that kind."""
    account = account_of(request)
    kind = request.query.get("kind")
    if kind is None:
        return answer({name: len(shelf) for name, shelf in account.shelves().items()})
    shelf = account.shelves().get(kind)
    if shelf is None:
        raise Refused(f"kind: one of {', '.join(account.shelves())}")
    rows = paged(shelf, 100_000, 0, None, None, made=lambda row: row.created_at)
    return answer({"count": len(rows), "items": [row.as_json() for row in rows]})


async def falsify(request: web.Request) -> web.Response:
    """Sets plain fields of any object behind everybody's back, such as the amount or notes of an order."""
    account = account_of(request)
    one = account.any_object(request.match_info["key"])
    given = await fields(request)
    names = {field.name for field in fields_of(one) if field.name != "id"}
    for name, value in given.items():
        plain = isinstance(getattr(one, name, None), str | int | dict | None)
        if name not in names or not plain or not isinstance(value, str | int | dict | None):
            raise Refused(f"{name}: not a plain field of this object")
    for name, value in given.items():
        setattr(one, name, value)
    return answer(one.as_json())


def add(app: web.Application) -> None:
    """Adds the paths."""
    router = app.router
    for path, call in (
        ("subscription", dashboard_subscription),
        ("subscription/{key}/{walk}", walk),
        ("order/{key}/pay", pay_order),
        ("invoice/{key}/pay", pay_invoice),
        ("payment/{key}/authorise-late", authorise_late),
        ("payment/{key}/refund", refund),
        ("payment/{key}/dispute", dispute),
        ("refund/{key}", finish_refund),
        ("dispute/{key}", move_dispute),
        ("object/{key}", falsify),
    ):
        router.add_post(f"{BASE}/{path}", refusing(call))
    router.add_get(f"{BASE}/objects", refusing(objects))
