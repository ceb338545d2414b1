"""Changing what is subscribed: plan, interval, seats; now or from the next cycle on.

The mandate of an international card is changed in place. Every other one can't be, so a new subscription is made
that takes over once it is paid (``takeover``): the old one goes on untouched until then, and if the new one is never
paid, for ever. docs/decisions/0068-changing-a-mandate.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from django.db import transaction

from accounts.models import User
from billing import (
    allowing,
    dispatch,
    effects,
    ending,
    gateway,
    holders,
    payments,
    prices,
    standing,
    subscriptions,
    terms,
)
from billing import checkout as checkouts
from billing.models import Price, Subscription, SubscriptionStatus
from billing.models.plans import Interval
from billing.razorpay.client import Razorpay
from billing.razorpay.errors import BadRequest, RazorpayError
from billing.standing import ENDED, LIVE, OPEN, Holder
from billing.terms import CYCLE_END, NOW
from oneai.kit.clock import now, uuid7
from oneai.kit.errors import Refusal

log = structlog.get_logger("billing")

Status = SubscriptionStatus

MONTHS: Final[dict[str, int]] = {Interval.MONTH: 1, Interval.YEAR: 12}
IN_PLACE: Final = "in_place"
REPLACED: Final = "replaced"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be subscribed from ``when`` on, at a price that is on sale."""

    price: Price
    seats: int
    when: str


@dataclass(frozen=True, slots=True)
class Changed:
    """``way``: ``in_place``, or ``replaced`` by ``replacement``, which has to be paid (``None`` otherwise)."""

    row: Subscription
    way: str
    when: str
    replacement: Subscription | None = None


def current(holder: Holder) -> Subscription:
    """The subscription that the holder has. Refusal ``no_subscription``."""
    rows = standing.live(holder)
    if not rows:
        raise Refusal("no_subscription")
    waiting = {row.pk for row in rows if row.replaces_id is not None and not row.paid_count}
    mine = [row for row in rows if row.pk not in waiting and "ended" not in row.metadata]
    return (mine or rows)[-1]


def wish(user: User, row: Subscription, code: str, interval: str, seats: int | None, when: str) -> Wish:
    """What a request asks for, with what it leaves out taken from ``row``.

    Refusals: those of ``checkout.sold_to`` and ``check_seats``, ``nothing_to_change``, ``only_at_cycle_end`` for
    something smaller asked for at once.
    """
    plan = checkouts.sold_to(user, code or row.plan.code)
    interval = interval or row.price.interval
    # The terms that somebody has are theirs: more seats of the same plan come at the same price.
    same = plan.pk == row.plan_id and interval == row.price.interval
    price = row.price if same else prices.for_sale(plan, interval)
    seats = seats if seats is not None else (row.quantity if plan.per_seat else 1)
    checkouts.check_seats(plan, seats)
    holders.check_seats_of(row.team_id, seats)
    if price.pk == row.price_id and seats == row.quantity:
        if row.user_id == user.pk:
            raise Refusal("nothing_to_change")
        when = when or CYCLE_END  # whoever owns the team now takes the payment over
    smaller = is_smaller(row, price, seats)
    if when == NOW and smaller:
        raise Refusal("only_at_cycle_end", param="when")
    return Wish(price, seats, when or (CYCLE_END if smaller else NOW))


def is_smaller(row: Subscription, price: Price, seats: int) -> bool:
    """Whether other terms cost less a month than those of ``row``, as far as the interval does not get longer."""
    old, new = terms.amount(row.price, row.quantity), terms.amount(price, seats)
    months, more = MONTHS[row.price.interval], MONTHS[price.interval]
    return more < months or (new * months < old * more and more == months)


def change(user: User, holder: Holder, code: str, interval: str, seats: int | None, when: str) -> Changed:
    """Change what the holder has subscribed to, or prepare the subscription that will replace it.

    Refusals: ``no_subscription``, ``change_pending`` while another change waits, ``subscription_state``, those of
    ``wish`` and of the gateway.
    """
    razorpay = gateway.razorpay()
    row = current(holder)
    wanted = wish(user, row, code, interval, seats, when)
    if has_mandate_that_changes(row, holder) and wanted.price.interval == row.price.interval:
        found = _in_place(razorpay, row, wanted)
        if found is not None:
            return found
    return _replace(razorpay, holder, row, wanted)


def has_mandate_that_changes(row: Subscription, holder: Holder) -> bool:
    """Whether Razorpay may change it: an international card's, for a cycle whose money is there.

    Whose card it is decides what it is charged: who has a team now does not raise what its owner before pays.
    """
    return (
        row.user_id == holder.user_id
        and row.status == Status.ACTIVE
        and row.payment_method == "card"
        and row.international
        and payments.running(row) is not None
    )


# In place ----------------------------------------------------------------------------------------
def _in_place(razorpay: Razorpay, row: Subscription, wanted: Wish) -> Changed | None:
    """Have Razorpay change the subscription; None when it can't change this mandate."""
    key = uuid7().hex
    with transaction.atomic():
        standing.lock(row.user_id)
        row = subscriptions.again(row.pk)
        check_free(row)
        terms.ask(row, wanted.price, wanted.seats, wanted.when, key)
        row.save()
        subscriptions.note(row, "change_asked", after=wanted.price.plan.code, when=wanted.when, seats=wanted.seats)
    assert row.razorpay_subscription_id is not None
    assert wanted.price.razorpay_plan_id is not None
    try:
        razorpay.update_subscription(
            row.razorpay_subscription_id,
            when="now" if wanted.when == NOW else "cycle_end",
            plan_id=wanted.price.razorpay_plan_id if wanted.price.pk != row.price_id else "",
            quantity=wanted.seats if wanted.seats != row.quantity else None,
        )
    except BadRequest as error:
        drop(row, key, str(error))
        if "cannot be updated" in str(error) or "Only the offer" in str(error):
            return None
        raise gateway.as_refusal(error) from error
    except RazorpayError as error:
        if not error.maybe_done:
            drop(row, key, str(error))
            raise gateway.as_refusal(error) from error
        log.warning("change_unsure", subscription=str(row.pk), error=str(error))
    return Changed(seen_again(row), IN_PLACE, wanted.when)


def check_free(row: Subscription, by: UUID | None = None) -> None:
    """Refusal ``change_pending`` while another change waits, ``subscription_state`` when it can't be changed.

    That its payer lets it end keeps nobody else (``by``) from taking over.
    """
    if row.next_price_id is not None or waiting_replacement(row) is not None:
        raise Refusal("change_pending")
    if row.status in ENDED or "ended" in row.metadata or allowing.stopped_for(row) == allowing.DISPUTE:
        raise Refusal("subscription_state")
    if row.cancel_at_cycle_end and by in (None, row.user_id):
        raise Refusal("change_pending", "It is to end with its cycle. Take that back first.")


def drop(row: Subscription, key: str, why: str) -> None:
    with transaction.atomic():
        standing.lock(row.user_id)
        kept = subscriptions.again(row.pk)
        if (kept.metadata.get("change") or {}).get("key") == key:
            terms.forget(kept)
            kept.save()
            subscriptions.note(kept, "change_failed", reason=why[:300])


def seen_again(row: Subscription) -> Subscription:
    """The row as Razorpay has it now, or as it stands here when that can't be had."""
    try:
        return effects.apply_subscription(row.razorpay_subscription_id or "")
    except (RazorpayError, effects.Contended, dispatch.NotOurs) as error:
        log.warning("fetch_waits", subscription=str(row.pk), error=str(error))
        return subscriptions.again(row.pk)


# By another subscription -------------------------------------------------------------------------
def _replace(razorpay: Razorpay, holder: Holder, row: Subscription, wanted: Wish) -> Changed:
    with transaction.atomic():
        standing.lock(row.user_id)
        row = subscriptions.again(row.pk)
        later = _begins_later(row, wanted)
        waiting = open_replacement(row)
        if waiting is not None and _is_for(waiting, wanted, later):
            new = waiting
        else:
            check_free(row, holder.user_id)
            if waiting is not None:  # it expires by itself; paid all the same, it takes over all the same
                Subscription.objects.filter(pk=waiting.pk).update(replaces=None)
            new = subscriptions.make(
                holder,
                wanted.price,
                wanted.seats,
                total_count=prices.cycles(wanted.price),
                expires_at=now() + checkouts.EXPIRES_AFTER,
                starts_at=ending.ends_at(row) if later else None,
                replaces=row,
            )
            subscriptions.note(
                row, "replacement_asked", after=wanted.price.plan.code, when=wanted.when, seats=wanted.seats
            )
    new = checkouts.ask_razorpay(razorpay, subscriptions.again(new.pk))
    return Changed(row, REPLACED, CYCLE_END if later else NOW, new)


def _begins_later(row: Subscription, wanted: Wish) -> bool:
    end = ending.ends_at(row)
    return wanted.when == CYCLE_END and ending.is_running(row) and end is not None and end > now() + checkouts.AHEAD


def open_replacement(row: Subscription) -> Subscription | None:
    """The subscription that was made to replace ``row`` and has not been paid or authorised."""
    return Subscription.objects.filter(replaces=row, status__in=OPEN).select_related("plan", "price").first()


def waiting_replacement(row: Subscription) -> Subscription | None:
    """The subscription that will replace ``row`` when its cycle ends."""
    found = Subscription.objects.filter(replaces=row, status__in=LIVE, paid_count=0).select_related("plan", "price")
    return found.first()


def _is_for(waiting: Subscription, wanted: Wish, later: bool) -> bool:
    return (
        waiting.price_id == wanted.price.pk
        and waiting.quantity == wanted.seats
        and (waiting.starts_at is not None) == later
        and waiting.expires_at is not None
        and waiting.expires_at > now() + checkouts.STILL_GIVEN_OUT
    )
