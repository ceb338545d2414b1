"""The life of a subscription: authentication, cycles, charges and retries, pause, cancellation, the end."""

from __future__ import annotations

from dataclasses import replace

from . import invoicing, paying
from .account import Account
from .cycles import DAY
from .invoice import Customer, Invoice
from .money import Instrument, Order, Payment
from .refusals import Refused
from .subscription import MAX_ATTEMPTS, Subscription

UNAIDED_LIMIT = 15_000_00  # INR, automatic debit without the customer, by domestic card or UPI
MANDATE_LIMITS = {"upi": 1_00_000_00, "emandate": 1_00_00_000_00}
TOKENS = {"card": 500, "upi": 100, "emandate": 100, "netbanking": 100}


# Authentication ----------------------------------------------------------------------------------
def due_at_authentication(subscription: Subscription, instrument: Instrument) -> int:
    """What the authentication takes: the first cycle, add-ons, or a token amount that goes back."""
    upfront = sum(addon.total for addon in subscription.addons)
    if subscription.start_at is None:
        return subscription.amount + upfront
    return upfront or TOKENS[instrument.method]


def check_instrument(subscription: Subscription, instrument: Instrument) -> None:
    """Refuses a way of paying that the subscription's currency or amount does not allow."""
    if subscription.plan.currency != "INR" and instrument.method != "card":
        raise Refused("Payment method is not available for this currency", field="method")
    limit = MANDATE_LIMITS.get(instrument.method)
    if limit is not None and subscription.amount > limit:
        raise Refused(f"Amount exceeds the limit of a {instrument.method} mandate", field="amount")


def authenticate(
    account: Account,
    subscription: Subscription,
    instrument: Instrument,
    ok: bool,
    *,
    email: str = "",
    contact: str = "",
    error: dict[str, str] | None = None,
) -> Payment:
    """The customer's first payment. One that fails leaves the subscription as it was. Raises Refused."""
    if subscription.status != "created":
        raise Refused(f"Subscription is not in created state: it is {subscription.status}", field="status")
    check_instrument(subscription, instrument)
    subscription.email, subscription.contact = email, contact
    payment = paying.attempt(
        account,
        _first_order(account, subscription, instrument),
        instrument,
        ok,
        email=email,
        contact=contact,
        description="Authorization payment for the subscription",
        error=error,
    )
    if ok:
        authenticated(account, subscription, payment)
    return payment


def _first_order(account: Account, subscription: Subscription, instrument: Instrument) -> Order:
    open_invoice = account.invoices.find(subscription.open_invoice)
    if open_invoice is not None:  # a first payment failed: the same invoice is tried again
        return account.orders.get(open_invoice.order_id)
    amount, now = due_at_authentication(subscription, instrument), account.now()
    order = paying.new_order(account, amount, subscription.plan.currency, subscription=subscription)
    if subscription.start_at is None:
        invoice = invoicing.issue(account, subscription, order, now, replace(subscription, anchor=now).begins(1))
        subscription.open_invoice = invoice.id
    elif subscription.addons:
        invoice = invoicing.issue(account, subscription, order, now, subscription.start_at, plan_too=False)
        subscription.open_invoice = invoice.id
    return order


def _customer(account: Account, subscription: Subscription, payment: Payment) -> Customer:
    known = account.customers.find(subscription.customer_id)
    if known is None:
        known = next((one for one in account.customers if one.email and one.email == subscription.email), None)
    if known is None:
        key = account.new_id("cust")
        known = Customer(key, None, payment.email, payment.contact, None, {}, account.now())
        account.customers.add(key, known)
    return known


def authenticated(account: Account, subscription: Subscription, payment: Payment) -> None:
    """The first payment came through: the mandate stands, and an immediate start is a first cycle."""
    customer = _customer(account, subscription, payment)
    subscription.customer_id, subscription.token_id = customer.id, account.new_id("token")
    subscription.instrument, subscription.status = payment.instrument, "authenticated"
    subscription.last_payment, subscription.open_invoice = payment.id, None
    payment.customer_id, payment.token_id = customer.id, subscription.token_id
    invoice = account.invoices.find(payment.invoice_id)
    if invoice is not None:
        invoice.customer = customer
        invoicing.take_addons(subscription, invoice)
        paying.paid_invoice(account, invoice, payment)
    _emit(account, subscription, "authenticated")
    if subscription.start_at is not None:
        if invoice is None and payment.captured:
            paying.refund(account, payment, None, notes={"reason": "token amount"})
        plan_next(account, subscription)
        return
    subscription.start_at = subscription.anchor = account.now()
    _begin(subscription)
    subscription.set_end()
    subscription.status = "active"
    subscription.paid_count = 1
    subscription.charge_at = subscription.current_end
    _emit(account, subscription, "activated")
    _emit(account, subscription, "charged")
    _after_charge(account, subscription)


def _emit(account: Account, subscription: Subscription, name: str) -> None:
    payment = account.payments.find(subscription.last_payment)
    account.emit(f"subscription.{name}", subscription=subscription, payment=payment)


# Cycles ------------------------------------------------------------------------------------------
def _begin(subscription: Subscription) -> None:
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
    _begin(subscription)
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
        _emit(account, subscription, "activated")
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
        _emit(account, subscription, "charged")
        return
    again = subscription.status in ("pending", "halted")
    subscription.status, subscription.auth_attempts = "active", 0
    subscription.charge_at = subscription.current_end
    if again:
        _emit(account, subscription, "activated")
    _emit(account, subscription, "charged")
    _after_charge(account, subscription)


def _after_charge(account: Account, subscription: Subscription) -> None:
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
        _emit(account, subscription, "pending")
    else:
        halt(account, subscription)
    plan_next(account, subscription)


def halt(account: Account, subscription: Subscription) -> None:
    """Gives up: invoices are issued but not charged any more."""
    subscription.status = "halted"
    subscription.open_invoice = None
    subscription.charge_at = subscription.current_end if subscription.remaining else None
    _emit(account, subscription, "halted")


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
    _emit(account, subscription, "paused")


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
    _emit(account, subscription, "resumed")
    plan_next(account, subscription)


def cancel(account: Account, subscription: Subscription, by: str) -> None:
    """Ends it now. Raises Refused when it has ended already."""
    if subscription.over:
        raise Refused(f"Subscription is not cancellable in {subscription.status} status.", field="status")
    subscription.status, subscription.ended_at = "cancelled", account.now()
    subscription.charge_at, subscription.cancel_initiated_by = None, by
    subscription.cancels_at_end = False
    subscription.scheduled, subscription.change_scheduled_at = {}, None
    _emit(account, subscription, "cancelled")


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
    _emit(account, subscription, "completed")
