"""The first payment of a subscription: what it takes, what it may be made with, what it begins."""

from __future__ import annotations

from dataclasses import replace

from . import invoicing, lifecycle, paying
from .account import Account
from .invoice import Customer
from .money import Instrument, Order, Payment
from .refusals import Refused
from .subscription import Subscription

MANDATE_LIMITS = {"upi": 1_00_000_00, "emandate": 1_00_00_000_00}
TOKENS = {"card": 500, "upi": 100, "emandate": 100, "netbanking": 100}


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
    lifecycle.emit(account, subscription, "authenticated")
    if subscription.start_at is not None:
        if invoice is None and payment.captured:
            paying.refund(account, payment, None, notes={"reason": "token amount"})
        lifecycle.plan_next(account, subscription)
        return
    subscription.start_at = subscription.anchor = account.now()
    lifecycle.begin(subscription)
    subscription.set_end()
    subscription.status = "active"
    subscription.paid_count = 1
    subscription.charge_at = subscription.current_end
    lifecycle.emit(account, subscription, "activated")
    lifecycle.emit(account, subscription, "charged")
    lifecycle.after_charge(account, subscription)
