"""The life of a subscription once it is authenticated: cycles, charges and retries, pause, cancellation, the end."""

from __future__ import annotations

from . import invoicing, paying
from .account import Account
from .cycles import DAY
from .invoice import Invoice
from .money import Instrument, Payment
from .refusals import Refused
from .subscription import MAX_ATTEMPTS, Subscription

UNAIDED_LIMIT = 15_000_00  # INR, automatic debit without the customer, by domestic card or UPI


def emit(account: Account, subscription: Subscription, name: str) -> None:
    """An event about a subscription, with the payment that was tried last."""
    payment = account.payments.find(subscription.last_payment)
    account.emit(f"subscription.{name}", subscription=subscription, payment=payment)


# Cycles ------------------------------------------------------------------------------------------
def begin(subscription: Subscription) -> None:
    """The next cycle begins, paid or not."""
    subscription.current_start = subscription.begins(subscription.since)
    subscription.current_end = subscription.begins(subscription.since + 1)
    subscription.since += 1
    subscription.remaining -= 1


def plan_next(account: Account, subscription: Subscription) -> None:
    """Plans the next moment at which something happens by itself."""
    moments = [subscription.charge_at]
    if subscription.status == "created":
        moments = [subscription.start_at, subscription.expire_by]
    elif subscription.cancels_at_end or subscription.status == "halted":
        moments.append(subscription.current_end)
    known = [moment for moment in moments if moment is not None]
    if known and not subscription.over:
        account.clock.at(min(known), lambda: due(account, subscription))


def due(account: Account, subscription: Subscription) -> None:
    """Does what has fallen due by now, if it still has to be done."""
    now = account.now()
    if subscription.status == "created":
        ends = [at for at in (subscription.start_at, subscription.expire_by) if at is not None]
        if ends and min(ends) <= now:
            expire(account, subscription)
        return
    ended = subscription.current_end is not None and subscription.current_end <= now
    if subscription.over:
        return
    if subscription.cancels_at_end and ended:
        cancel(account, subscription, by="self")
    elif subscription.status == "paused":
        return
    elif subscription.status == "halted" and not subscription.remaining:
        if ended:
            _complete(account, subscription)
    elif subscription.charge_at is not None and subscription.charge_at <= now:
        charge_next(account, subscription)


def charge_next(account: Account, subscription: Subscription, ok: bool | None = None) -> None:
    """Charges what is open, or begins the next cycle and charges it. `ok` overrules what the bank would say."""
    if ok is not None:
        subscription.outcomes.appendleft(ok)
    if subscription.open_invoice is not None:
        _charge(account, subscription)
        return
    if not subscription.remaining:
        raise Refused("The subscription has no cycle left to charge")
    if subscription.scheduled:
        invoicing.apply_scheduled(account, subscription)
    first = subscription.status == "authenticated"
    begin(subscription)
    start, end = subscription.current_start or 0, subscription.current_end or 0
    order = paying.new_order(
        account, invoicing.total(subscription), subscription.plan.currency, subscription=subscription
    )
    invoice = invoicing.issue(account, subscription, order, start, end)
    invoicing.take_addons(subscription, invoice)
    if subscription.status == "halted" and ok is None:
        subscription.charge_at = end if subscription.remaining else None
        plan_next(account, subscription)
        return
    if first:
        subscription.status = "active"
        subscription.last_payment = None
        emit(account, subscription, "activated")
    subscription.open_invoice = invoice.id
    delay = account.habits.debit_delay_seconds
    if delay and ok is None and subscription.instrument and subscription.instrument.kind != "card_international":
        subscription.charge_at = account.now() + delay
        plan_next(account, subscription)
        return
    _charge(account, subscription)


def _bank_says(subscription: Subscription, instrument: Instrument, amount: int) -> bool:
    if subscription.outcomes:
        return subscription.outcomes.popleft()
    unaided = instrument.kind in ("card_domestic", "upi") and subscription.plan.currency == "INR"
    return instrument.works and not (unaided and amount > UNAIDED_LIMIT)


def _charge(account: Account, subscription: Subscription) -> None:
    invoice = account.invoices.get(subscription.open_invoice)
    order = account.orders.get(invoice.order_id)
    instrument = subscription.instrument
    if instrument is None:
        raise Refused("The subscription has no mandate to charge")
    ok = _bank_says(subscription, instrument, order.amount)
    payment = paying.attempt(
        account,
        order,
        instrument,
        ok,
        email=subscription.email,
        contact=subscription.contact,
        description="Recurring Payment via Subscription",
        token_id=subscription.token_id,
    )
    if ok:
        invoice_paid(account, subscription, invoice, payment)
    else:
        _charge_failed(account, subscription, payment)


def invoice_paid(account: Account, subscription: Subscription, invoice: Invoice, payment: Payment) -> None:
    """A cycle was paid, by itself or by hand, at once or late. A subscription that had stopped runs again."""
    paying.paid_invoice(account, invoice, payment)
    subscription.last_payment = payment.id
    subscription.paid_count += 1
    if invoice.id == subscription.open_invoice:
        subscription.open_invoice = None
    if subscription.over or subscription.status == "paused":
        emit(account, subscription, "charged")
        return
    again = subscription.status in ("pending", "halted")
    subscription.status, subscription.auth_attempts = "active", 0
    subscription.charge_at = subscription.current_end
    if again:
        emit(account, subscription, "activated")
    emit(account, subscription, "charged")
    after_charge(account, subscription)


def after_charge(account: Account, subscription: Subscription) -> None:
    """What a paid cycle leads to: the next one, or the end."""
    if subscription.remaining:
        plan_next(account, subscription)
    else:
        _complete(account, subscription)


def _charge_failed(account: Account, subscription: Subscription, payment: Payment) -> None:
    subscription.auth_attempts += 1
    subscription.last_payment = payment.id
    if subscription.auth_attempts < MAX_ATTEMPTS:
        subscription.status = "pending"
        subscription.charge_at = account.now() + DAY
        emit(account, subscription, "pending")
    else:
        halt(account, subscription)
    plan_next(account, subscription)


def halt(account: Account, subscription: Subscription) -> None:
    """Gives up: invoices are issued but not charged any more."""
    subscription.status = "halted"
    subscription.open_invoice = None
    subscription.charge_at = subscription.current_end if subscription.remaining else None
    emit(account, subscription, "halted")


# Stops and ends ----------------------------------------------------------------------------------
def pause(account: Account, subscription: Subscription, by: str) -> None:
    """Stops charging. One that has not begun yet is cancelled by that. Raises Refused."""
    if subscription.status == "authenticated":
        cancel(account, subscription, by=by)
        return
    if subscription.status != "active":
        raise Refused(f"Subscription can't be paused in {subscription.status} state", field="status")
    subscription.status, subscription.charge_at = "paused", None
    subscription.paused_at, subscription.pause_initiated_by = account.now(), by
    emit(account, subscription, "paused")


def resume(account: Account, subscription: Subscription, by: str) -> None:
    """Charges again, from the next cycle on; cycles missed meanwhile come later. Raises Refused."""
    if subscription.status != "paused":
        raise Refused(f"Subscription can't be resumed in {subscription.status} state", field="status")
    if subscription.pause_initiated_by == "customer" and by != "customer":
        raise Refused("Subscription paused by the customer can be resumed only by the customer", field="status")
    while subscription.begins(subscription.since) < account.now():
        subscription.since += 1
    subscription.set_end()
    subscription.status, subscription.pause_initiated_by = "active", None
    subscription.charge_at = subscription.begins(subscription.since) if subscription.remaining else None
    emit(account, subscription, "resumed")
    plan_next(account, subscription)


def cancel(account: Account, subscription: Subscription, by: str) -> None:
    """Ends it now. Raises Refused when it has ended already."""
    if subscription.over:
        raise Refused(f"Subscription is not cancellable in {subscription.status} status.", field="status")
    subscription.status, subscription.ended_at = "cancelled", account.now()
    subscription.charge_at, subscription.cancel_initiated_by = None, by
    subscription.cancels_at_end = False
    subscription.scheduled, subscription.change_scheduled_at = {}, None
    emit(account, subscription, "cancelled")


def cancel_at_end(account: Account, subscription: Subscription) -> None:
    """Has it end with the cycle. Nothing shows it, and nothing takes it back. Raises Refused."""
    if subscription.over:
        raise Refused(f"Subscription is not cancellable in {subscription.status} status.", field="status")
    if subscription.current_end is None:
        raise Refused(
            "Subscription cannot be cancelled since no billing cycle is going on", field="cancel_at_cycle_end"
        )
    if account.habits.cancel_at_end == "immediate":
        cancel(account, subscription, by="self")
        return
    subscription.cancels_at_end = True
    plan_next(account, subscription)


def expire(account: Account, subscription: Subscription) -> None:
    """Nobody authenticated it in time. There is no event for that."""
    if subscription.status != "created":
        raise Refused(f"Subscription can't expire in {subscription.status} state", field="status")
    subscription.status, subscription.charge_at = "expired", None


def complete(account: Account, subscription: Subscription) -> None:
    """Ends it as if every cycle had been billed. Raises Refused."""
    if subscription.over or subscription.status == "created":
        raise Refused(f"Subscription can't be completed in {subscription.status} state", field="status")
    subscription.remaining = 0
    _complete(account, subscription)


def _complete(account: Account, subscription: Subscription) -> None:
    subscription.status, subscription.ended_at, subscription.charge_at = "completed", account.now(), None
    subscription.cancels_at_end = False
    emit(account, subscription, "completed")
