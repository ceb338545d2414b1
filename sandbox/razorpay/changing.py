"""Changes to a running subscription: plan, quantity, count, start, way of paying, and what they cost at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import authenticating, invoicing, lifecycle, paying
from .account import Account
from .asked import Asked
from .cycles import days_between
from .invoice import Invoice
from .money import Instrument, Payment
from .refusals import Refused, wrong
from .subscription import Plan, Subscription

LEAST_DIFFERENCE = 50
FIELDS = (
    "plan_id",
    "offer_id",
    "quantity",
    "remaining_count",
    "start_at",
    "schedule_change_at",
    "customer_notify",
)


@dataclass(frozen=True, slots=True)
class Change:
    """What shall be different."""

    plan: Plan
    quantity: int
    remaining: int
    offer_id: str | None

    def differences(self, old: Subscription) -> dict[str, Any]:
        """Only what differs from the subscription."""
        wanted = {
            "plan": self.plan,
            "quantity": self.quantity,
            "remaining": self.remaining,
            "offer_id": self.offer_id,
        }
        return {name: value for name, value in wanted.items() if getattr(old, name) != value}


def _check(subscription: Subscription, asked: Asked) -> None:
    if subscription.status not in ("authenticated", "active"):
        raise Refused(
            "Can't update Subscription when Subscription is not in Authenticated or Active state", field="status"
        )
    kind = subscription.instrument.kind if subscription.instrument else ""
    if kind in ("upi", "emandate"):
        mode = "UPI" if kind == "upi" else "emandate"
        raise Refused(f"subscriptions cannot be updated when payment mode is {mode}")
    touched = [name for name in FIELDS if name in asked and name not in ("offer_id", "schedule_change_at")]
    if kind == "card_domestic" and touched:
        raise Refused("Only the offer of a subscription can be updated when it is paid by a domestic card")


def _change(account: Account, subscription: Subscription, asked: Asked) -> Change:
    plan = subscription.plan
    if "plan_id" in asked:
        plan = account.plans.get(asked.needed("plan_id"), "plan_id")
        if plan.currency != subscription.plan.currency:
            raise wrong("plan_id", "The currency of the new plan is not that of the subscription")
    return Change(
        plan,
        asked.integer("quantity", least=1, most=10_000) or subscription.quantity,
        asked.integer("remaining_count", least=1, most=1200) or subscription.remaining,
        asked.text("offer_id") or subscription.offer_id,
    )


def update(account: Account, subscription: Subscription, asked: Asked) -> None:
    """Changes a subscription now or at the end of its cycle. Raises Refused; then nothing has changed."""
    asked.only(*FIELDS)
    _check(subscription, asked)
    when = asked.text("schedule_change_at") or "now"
    if when not in ("now", "cycle_end"):
        raise wrong("schedule_change_at", "The selected schedule change at is invalid.")
    change = _change(account, subscription, asked)
    start = asked.integer("start_at", least=account.now() + 1)
    if start is not None and subscription.status != "authenticated":
        raise wrong("start_at", "The start date of a subscription that has begun can't be updated")
    differences = change.differences(subscription)
    if not differences and start is None and "customer_notify" not in asked:
        raise Refused("Nothing to update: the subscription is already as asked for")
    if when == "cycle_end" and subscription.status == "active":
        subscription.scheduled, subscription.change_scheduled_at = differences, subscription.current_end
        return
    if "offer_id" in differences and subscription.status == "active":
        raise wrong("offer_id", "An offer can be updated only at the end of the cycle")
    if subscription.status == "active":
        _settle_difference(account, subscription, change)
    subscription.customer_notify = asked.flag("customer_notify", subscription.customer_notify)
    _apply(account, subscription, change, start)


def proration(subscription: Subscription, plan: Plan, quantity: int, now: int) -> int:
    """What a change costs at once, by whole days; negative is money back. The smallest unit, rounded down.

    A plan of the same period costs its share of the days that are left. One of another period starts a new cycle and
    costs all of it. Either way the days left of the old plan are given back.
    """
    start, end = subscription.current_start or now, subscription.current_end or now
    days = max(1, days_between(start, end))
    left = min(days, max(0, days_between(now, end)))
    old = subscription.amount * left // days
    same = (plan.period, plan.interval) == (subscription.plan.period, subscription.plan.interval)
    new = plan.amount * quantity
    return (new * left // days if same else new) - old


def _settle_difference(account: Account, subscription: Subscription, change: Change) -> None:
    now = account.now()
    difference = proration(subscription, change.plan, change.quantity, now)
    if difference and abs(difference) < LEAST_DIFFERENCE:
        raise Refused(f"The prorated difference must be at least {LEAST_DIFFERENCE} currency subunits")
    if difference > 0:
        _charge_difference(account, subscription, difference, now)
    elif difference < 0:
        _credit(account, subscription, -difference)


def _charge_difference(account: Account, subscription: Subscription, difference: int, now: int) -> None:
    instrument = subscription.instrument
    if instrument is None:
        raise Refused("The subscription has no mandate to charge")
    ok = subscription.outcomes.popleft() if subscription.outcomes else instrument.works
    order = paying.new_order(account, difference, subscription.plan.currency, subscription=subscription)
    invoice = invoicing.issue(account, subscription, order, now, subscription.current_end or now, difference=difference)
    payment = paying.attempt(
        account,
        order,
        instrument,
        ok,
        email=subscription.email,
        contact=subscription.contact,
        description="Prorated charge of an update",
        token_id=subscription.token_id,
    )
    if not ok:
        invoice.status, invoice.cancelled_at = "cancelled", now
        raise Refused(
            "Subscription could not be updated: the charge of the prorated amount failed",
            metadata={"payment_id": payment.id, "order_id": order.id},
        )
    paying.paid_invoice(account, invoice, payment)


def _credit(account: Account, subscription: Subscription, amount: int) -> None:
    """A credit note: refunded over the subscription's payments, the newest first."""
    for invoice in reversed(subscription.invoices):
        payment = account.payments.find(invoice.payment_id)
        if not amount or payment is None or payment.status != "captured":
            continue
        part = min(amount, payment.amount - payment.amount_refunded)
        if part:
            paying.refund(account, payment, part, notes={"reason": "credit note"})
            amount -= part


def _apply(account: Account, subscription: Subscription, change: Change, start: int | None) -> None:
    old = subscription.plan
    subscription.total_count += change.remaining - subscription.remaining
    subscription.plan, subscription.quantity = change.plan, change.quantity
    subscription.remaining, subscription.offer_id = change.remaining, change.offer_id
    if start is not None:
        subscription.start_at = subscription.anchor = subscription.charge_at = start
    if subscription.status == "active" and (old.period, old.interval) != (change.plan.period, change.plan.interval):
        subscription.anchor, subscription.since = account.now(), 1
        subscription.current_start, subscription.current_end = account.now(), subscription.begins(1)
        subscription.charge_at = subscription.current_end
    subscription.set_end()
    account.emit("subscription.updated", subscription=subscription)
    lifecycle.plan_next(account, subscription)


def drop_scheduled(subscription: Subscription) -> None:
    """Takes back a change that waits. Raises Refused when none does."""
    if not subscription.scheduled:
        raise Refused("No scheduled changes found for this subscription")
    subscription.scheduled, subscription.change_scheduled_at = {}, None


# Way of paying -----------------------------------------------------------------------------------
def change_method(
    account: Account,
    subscription: Subscription,
    instrument: Instrument,
    ok: bool,
    *,
    email: str = "",
    contact: str = "",
    error: dict[str, str] | None = None,
) -> Payment:
    """The customer pays with something else from now on. What is pending is charged by that. Raises Refused."""
    if subscription.status not in ("authenticated", "active", "pending", "halted"):
        raise Refused(f"The payment method can't be changed in {subscription.status} state", field="status")
    if subscription.method in ("upi", "emandate") and instrument.method != "card":
        raise Refused("A subscription paid by UPI or eMandate can change to a card only", field="method")
    authenticating.check_instrument(subscription, instrument)
    subscription.email, subscription.contact = email or subscription.email, contact or subscription.contact
    invoice = account.invoices.find(subscription.open_invoice)
    if invoice is not None:
        order = account.orders.get(invoice.order_id)
    else:
        token = authenticating.TOKENS[instrument.method]
        order = paying.new_order(account, token, subscription.plan.currency, subscription=subscription)
    payment = paying.attempt(
        account,
        order,
        instrument,
        ok,
        email=subscription.email,
        contact=subscription.contact,
        description="Change of the payment method",
        error=error,
    )
    if not ok:
        return payment
    method_changed(account, subscription, payment, invoice)
    return payment


def method_changed(account: Account, subscription: Subscription, payment: Payment, invoice: Invoice | None) -> None:
    """A payment with the new method came through: the mandate is another one."""
    subscription.instrument, subscription.token_id = payment.instrument, account.new_id("token")
    payment.token_id = subscription.token_id
    if invoice is not None:
        lifecycle.invoice_paid(account, subscription, invoice, payment)
        return
    paying.refund(account, payment, None, notes={"reason": "token amount"})
    if subscription.status == "halted":
        subscription.status, subscription.auth_attempts = "active", 0
        subscription.last_payment = payment.id
        account.emit("subscription.activated", subscription=subscription, payment=payment)
        lifecycle.plan_next(account, subscription)


def pay_invoice(account: Account, invoice: Invoice, instrument: Instrument, ok: bool) -> Payment:
    """The customer pays an invoice by hand. Raises Refused unless it is open."""
    if invoice.status != "issued":
        raise Refused(f"The invoice is {invoice.status}", field="status")
    subscription = account.subscriptions.get(invoice.subscription_id)
    order = account.orders.get(invoice.order_id)
    payment = paying.attempt(account, order, instrument, ok, email=subscription.email, contact=subscription.contact)
    if ok:
        lifecycle.invoice_paid(account, subscription, invoice, payment)
    return payment


def authorised_late(account: Account, payment: Payment) -> None:
    """The bank changes its mind: a failed payment comes through, with all that follows. Raises Refused."""
    if payment.status != "failed":
        raise Refused(f"Only a failed payment can be authorised late: this one is {payment.status}")
    order = account.orders.get(payment.order_id)
    paying.authorise(account, payment, order)
    if order.subscription_id is None or not payment.captured:
        return
    subscription = account.subscriptions.get(order.subscription_id)
    invoice = account.invoices.find(payment.invoice_id)
    if subscription.status == "created":
        authenticating.authenticated(account, subscription, payment)
    elif invoice is not None and invoice.status == "issued":
        lifecycle.invoice_paid(account, subscription, invoice, payment)
    elif invoice is not None:  # paid by another attempt meanwhile: it stays captured, beside the other
        return
