"""An order between being made and being paid: what it takes to pay it, and whether the payment has arrived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, cast
from uuid import UUID

import structlog
from django.conf import settings
from django.http import Http404
from django.urls import reverse

from accounts.models import User
from billing import checkout, dispatch, effects, gateway, payments, portal, price_list, topups
from billing.models import Payment, Purchase, Subscription, SubscriptionStatus
from billing.razorpay.errors import RazorpayError
from billing.standing import ENDED, LIVE
from billing.wording import bought, day, interval, rupees
from oneai.kit.clock import now

log = structlog.get_logger("billing")

Status = SubscriptionStatus
Order = Subscription | Purchase

WAITING, PAID, FAILED, OVER = "waiting", "paid", "failed", "over"
EVERY: Final = timedelta(seconds=2)
"""How often Razorpay is asked at most for one order, however many pages wait for it."""


@dataclass(frozen=True, slots=True)
class Window:
    """What Razorpay's window is opened with, and its own page for the same, where it has one."""

    script: str
    key: str
    subscription_id: str
    order_id: str
    amount: int
    currency: str
    what: str
    email: str
    name: str
    returns: str
    page: str = ""
    embedded: str = ""
    changes_method: bool = False


def of(order_id: UUID, user_id: UUID | None = None) -> Order:
    """The subscription or the purchase; with ``user_id`` only that person's. Http404 when there is none."""
    whose = {} if user_id is None else {"user_id": user_id}
    rows = Subscription.objects.select_related("plan", "price", "user", "coupon_use__coupon")
    found = rows.filter(pk=order_id, **whose).first()
    if found is not None:
        return cast(Order, found)
    bought_once = (
        Purchase.objects.select_related("pack", "user", "coupon_use__coupon").filter(pk=order_id, **whose).first()
    )
    if bought_once is None:
        raise Http404
    return cast(Order, bought_once)


def prepare(order: Order) -> None:
    """Ask Razorpay for it, when an earlier try had no answer. Refusals of the gateway."""
    if isinstance(order, Subscription):
        checkout.ask_razorpay(gateway.razorpay(), order)
    else:
        topups.ask_razorpay(gateway.razorpay(), order)


# Paying ---------------------------------------------------------------------------------------------
def window(order: Order) -> Window | None:
    """What it is paid with; None while Razorpay does not know it."""
    if isinstance(order, Subscription):
        found = checkout.checkout_of(order)
        if found is None:
            return None
        what = bought(order.plan, order.price, order.quantity)
        return _window(order, what, subscription_id=found.subscription_id, page=found.url)
    if order.razorpay_order_id is None:
        return None
    return _window(order, order.pack.name, order_id=order.razorpay_order_id)


def window_of_method(row: Subscription) -> Window:
    """What another way of paying is given with."""
    what = f"{row.plan.name}: another way to pay"
    return _window(
        row, what, subscription_id=row.razorpay_subscription_id or "", page=row.short_url, changes_method=True
    )


def _window(
    order: Order,
    what: str,
    *,
    subscription_id: str = "",
    order_id: str = "",
    page: str = "",
    changes_method: bool = False,
) -> Window:
    user = order.user
    return Window(
        script=settings.RAZORPAY_CHECKOUT_URL,
        key=settings.RAZORPAY_KEY_ID,
        subscription_id=subscription_id,
        order_id=order_id,
        amount=order.amount_paise if isinstance(order, Purchase) else 0,
        currency=order.currency if isinstance(order, Purchase) else order.price.currency,
        what=what,
        email=user.email,
        name=user.name,
        returns=settings.SITE_URL + reverse("billing_return", args=[order.pk]),
        page=page,
        embedded="" if page else f"{settings.RAZORPAY_BASE_URL}/v1/checkout/embedded",
        changes_method=changes_method,
    )


def paying(order: Order) -> dict[str, object]:
    """What the page of paying says: its heading, the facts, and the button."""
    if isinstance(order, Purchase):
        facts = [("Tokens", f"{order.tokens:,}"), *_coupon(order), ("To pay, once", rupees(order.amount_paise))]
        return {"heading": order.pack.name, "facts": facts, "label": f"Pay {rupees(order.amount_paise)}"}
    whole = order.price.amount_paise * order.quantity
    facts = [("Plan", bought(order.plan, order.price, order.quantity)), *_coupon(order)]
    if order.starts_at is not None and order.starts_at > now():
        begins = day(order.starts_at, order.user)
        facts += [("To pay today", rupees(0)), ("First charge", f"{rupees(whole)} on {begins}")]
        heading = f"Try {order.plan.name}" if order.trial else f"{order.plan.name} from {begins} on"
        return {"heading": heading, "facts": facts, "label": "Set up the payment"}
    first = whole - (order.coupon_use.discount_paise if order.coupon_use else 0)
    facts += [("To pay today", rupees(first)), ("Then", f"{rupees(whole)} {interval(order.price)}")]
    return {"heading": f"Pay for {order.plan.name}", "facts": facts, "label": f"Pay {rupees(first)}"}


def _coupon(order: Order) -> list[tuple[str, str]]:
    use = order.coupon_use
    if use is None:
        return []
    bonus = use.coupon.bonus_tokens
    said = [f"{rupees(use.discount_paise)} less"] if use.discount_paise else []
    return [
        (f"Coupon {use.coupon.code}", ", ".join([*said, *([f"{bonus:,} tokens more"] if bonus else [])]) or "taken")
    ]


# Arriving -------------------------------------------------------------------------------------------
def verify(order: Order, payment_id: str, signature: str) -> None:
    """A browser brings a signed payment: with a right signature Razorpay is asked. Refusal ``invalid_signature``."""
    if isinstance(order, Subscription):
        checkout.verify_subscription(order.user_id, order.razorpay_subscription_id or "", payment_id, signature)
    else:
        checkout.verify_order(order.user_id, order.razorpay_order_id or "", payment_id, signature)


def look(order: Order) -> Order:
    """The order as it is now: Razorpay is asked while it waits, unless somebody has just asked."""
    if state(order) != WAITING or not gateway.configured():
        return order
    try:
        if isinstance(order, Subscription):
            recent = order.fetched_at is not None and order.fetched_at > now() - EVERY
            if order.razorpay_subscription_id is None or recent:
                return order
            effects.apply_subscription(order.razorpay_subscription_id)
        elif order.razorpay_order_id is not None and order.updated_at <= now() - EVERY:
            effects.apply_order(order.razorpay_order_id)
    except (RazorpayError, effects.Contended, dispatch.NotOurs) as error:
        # The event and the reconciler bring it, too.
        log.warning("look_waits", order=str(order.pk), error=str(error))
    return of(order.pk)


def state(order: Order) -> str:
    """``paid`` once what was ordered is given, ``failed`` after a payment that did not go through, ``over`` when it
    ended without one, else ``waiting``."""
    if isinstance(order, Purchase):
        if order.credited_at is not None:
            return PAID
    elif order.status == Status.AUTHENTICATED or (order.status in LIVE and payments.running(order) is not None):
        return PAID
    elif order.status in ENDED:
        return PAID if order.paid_count else OVER
    elif order.status in LIVE:
        return WAITING
    return FAILED if last_failure(order) is not None else WAITING


def is_over(order: Order) -> bool:
    """Whether it can't be paid any more, or has been."""
    return isinstance(order, Subscription) and (order.status in ENDED or order.status in LIVE)


def last_failure(order: Order) -> Payment | None:
    """The newest payment of it, if that one failed."""
    newest = order.payments.order_by("-created_at", "-id").first()
    return newest if newest is not None and newest.status == portal.FAILED else None


def thanks(order: Order, user: User) -> tuple[str, str]:
    """A heading and a sentence for what has been paid."""
    if isinstance(order, Purchase):
        return "Your tokens are there", "They are used once those of your plan are. The receipt comes by mail."
    name = order.plan.name
    if order.status == Status.AUTHENTICATED:
        begins = day(order.starts_at, user)
        if order.trial and order.metadata.get("tried"):
            return f"Your trial of {name} runs", f"It ends on {begins}. Cancel before, and nothing is ever charged."
        return f"{name} begins on {begins}", "It is set up, and nothing was charged today."
    return f"{name} is yours", "What it holds can be used from now on. The receipt comes by mail."


# What was bought ------------------------------------------------------------------------------------
def given(order: Order, user: User) -> Sequence[tuple[str, str]]:
    """What the order gives, as names and values."""
    if isinstance(order, Purchase):
        ends = order.credited_at + timedelta(days=order.days) if order.credited_at and order.days else None
        return [
            ("Tokens", f"{order.tokens:,}"),
            ("To be used until", day(ends, user) if ends else "no end"),
            ("Price", rupees(order.amount_paise)),
        ]
    tokens = price_list.tokens_of(order.terms.get("limits", ()))
    facts = [("Plan", bought(order.plan, order.price, order.quantity))]
    if tokens is not None:
        facts.append(("Tokens", f"{tokens * order.quantity:,} a month"))
    facts.append(("Price", f"{rupees(portal.amount(order))} {interval(order.price)}"))
    next_charge = portal.next_charge(order)
    if next_charge is not None:
        facts.append(
            ("First charge" if order.status == Status.AUTHENTICATED else "Next charge", day(next_charge, user))
        )
    return facts
