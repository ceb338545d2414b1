"""Ending, taking back, pausing and going on, as the person who pays asks for it."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.db import transaction

from billing import changing, dispatch, effects, ending, gateway, payers, standing, subscriptions
from billing.models import Subscription, SubscriptionStatus
from billing.razorpay.client import Razorpay
from billing.razorpay.errors import BadRequest, RazorpayError
from billing.standing import ENDED, LIVE, Holder
from billing.terms import CYCLE_END, NOW
from oneai.kit.errors import Refusal

log = structlog.get_logger("billing")

Status = SubscriptionStatus


def cancel(holder: Holder, when: str, reason: str, actor: str) -> Subscription:
    """End the subscription now, with a refund of what is unused, or when its cycle ends.

    Refusals ``no_subscription`` and ``subscription_state``. Razorpay is told by the worker when it does not answer.
    """
    gateway.razorpay()
    row = changing.current(holder)
    with transaction.atomic():
        standing.lock_with_team(row)  # what waits to take over may be another person's
        row = subscriptions.again(row.pk)
        if row.status in ENDED or "ended" in row.metadata:
            raise Refusal("subscription_state")
        at_once = when == NOW or not ending.is_running(row)
        if at_once:
            ending.end_now(row, reason=reason, actor=actor)
        else:
            ending.end_with_cycle(row, reason=reason, actor=actor)
        waiting = changing.waiting_replacement(row)
        if waiting is not None:
            ending.end_now(waiting, reason=reason, actor=actor)
            waiting.save()
        row.save()
        standing.relabel(row.user_id)
    if at_once:
        tell_razorpay(row)
    return subscriptions.again(row.pk)


def tell_razorpay(row: Subscription) -> None:
    """Have Razorpay end ``row`` now and see what it says; what fails here the worker does."""
    try:
        ending.send(gateway.razorpay(), row)
        effects.apply_subscription(row.razorpay_subscription_id or "")
    except (RazorpayError, effects.Contended, dispatch.NotOurs) as error:
        log.warning("cancellation_waits", subscription=str(row.pk), error=str(error))


def undo(holder: Holder, actor: str) -> Subscription:
    """Take back what was to happen at the end of the cycle: the end, a change, or a replacement.

    Refusals: ``no_subscription``, ``nothing_to_undo``, ``too_late_to_undo`` once Razorpay has been told.
    """
    razorpay, row = gateway.razorpay(), changing.current(holder)
    asked = row.metadata.get("change") or {}
    if row.next_price_id is not None and asked.get("when") == CYCLE_END:
        payers.check_own(row, holder.user_id)
        _undo_change(razorpay, row, str(asked.get("key")))
        return changing.seen_again(row)
    done = False
    with transaction.atomic():
        standing.lock_with_team(row)  # what waits to take over may be another person's
        row = subscriptions.again(row.pk)
        if row.cancel_sent_at is not None and row.cancel_at_cycle_end:
            raise Refusal("too_late_to_undo")
        waiting = changing.waiting_replacement(row) or changing.open_replacement(row)
        if waiting is not None:
            if waiting.status in LIVE:
                ending.end_now(waiting, reason="The change was taken back", actor=actor)
            waiting.replaces = None
            waiting.save()
            done = True
        if row.user_id == holder.user_id:
            done = ending.keep_on(row, actor=actor) or done
        elif not done:
            payers.check_own(row, holder.user_id)
        row.save()
    if not done:
        raise Refusal("nothing_to_undo")
    if waiting is not None and "ended" in waiting.metadata:
        tell_razorpay(waiting)
    return subscriptions.again(row.pk)


def _undo_change(razorpay: Razorpay, row: Subscription, key: str) -> None:
    assert row.razorpay_subscription_id is not None
    try:
        razorpay.cancel_scheduled_changes(row.razorpay_subscription_id)
    except BadRequest as error:
        if razorpay.subscription(row.razorpay_subscription_id).has_scheduled_changes:
            raise gateway.as_refusal(error) from error
    except RazorpayError as error:
        raise gateway.as_refusal(error) from error
    changing.drop(row, key, "Taken back")


def pause(holder: Holder) -> Subscription:
    """Stop charging; what the cycle has left is kept. Refusals ``no_subscription``, ``subscription_state``."""
    razorpay, row = gateway.razorpay(), changing.current(holder)
    if row.status != Status.ACTIVE:
        raise Refusal("subscription_state")
    changing.check_free(row)
    return _told(row, lambda: razorpay.pause_subscription(row.razorpay_subscription_id or ""))


def resume(holder: Holder) -> Subscription:
    """Charge again. What a customer has paused in their UPI app only they can resume: Razorpay's words say so."""
    razorpay, row = gateway.razorpay(), changing.current(holder)
    payers.check_own(row, holder.user_id)
    if row.status != Status.PAUSED:
        raise Refusal("subscription_state")
    return _told(row, lambda: razorpay.resume_subscription(row.razorpay_subscription_id or ""))


def _told(row: Subscription, call: Callable[[], object]) -> Subscription:
    """The row after Razorpay has been asked for something; its no is the person's."""
    try:
        call()
    except RazorpayError as error:
        if not error.maybe_done:
            raise gateway.as_refusal(error) from error
    return changing.seen_again(row)
