"""Calls about customers, orders, payments, refunds and disputes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from . import paying
from .account import Account, paged
from .asked import Asked, collection
from .invoice import Customer
from .refusals import Refused, wrong

IDEMPOTENCY = "X-Refund-Idempotency"
IDEMPOTENCY_KEY = re.compile(r"[A-Za-z0-9_-]{10,255}")
KEPT_KEYS = 10_000
Headers = Mapping[str, str]


# Customers ---------------------------------------------------------------------------------------
def _person(asked: Asked) -> tuple[str | None, str | None, str | None, str | None]:
    contact = asked.text("contact", most=15)
    if contact is not None and sum(letter.isdigit() for letter in contact) < 8:
        raise wrong("contact", "Contact number should be at least 8 digits, including country code.")
    return asked.text("name", least=3, most=50), asked.text("email", most=64), contact, asked.text("gstin", most=15)


def create_customer(account: Account, asked: Asked, _: Headers) -> dict[str, Any]:
    """A new customer; a known one is refused, or answered with `fail_existing` 0."""
    asked.only("name", "email", "contact", "fail_existing", "gstin", "notes")
    name, email, contact, gstin = _person(asked)
    known = next((one for one in account.customers if (one.email, one.contact) == (email, contact)), None)
    if known is not None and (email or contact):
        if asked.flag("fail_existing", True):
            raise Refused("Customer already exists for the merchant")
        return known.as_json()
    made = Customer(account.new_id("cust"), name, email, contact, gstin, asked.notes(), account.now())
    return account.customers.add(made.id, made).as_json()


def edit_customer(account: Account, asked: Asked, _: Headers, key: str) -> dict[str, Any]:
    """Other name, address or number."""
    customer = account.customers.get(key)
    asked.only("name", "email", "contact", "gstin", "notes")
    for field, value in zip(("name", "email", "contact", "gstin"), _person(asked), strict=True):
        if value is not None:
            setattr(customer, field, value)
    return customer.as_json()


def fetch_customer(account: Account, _: Asked, __: Headers, key: str) -> dict[str, Any]:
    """One customer."""
    return account.customers.get(key).as_json()


def list_customers(account: Account, asked: Asked, _: Headers) -> dict[str, Any]:
    """Customers, newest first."""
    rows = paged(account.customers.newest_first(), *asked.page(), made=lambda row: row.created_at)
    return collection(row.as_json() for row in rows)


# Orders ------------------------------------------------------------------------------------------
def create_order(account: Account, asked: Asked, _: Headers) -> dict[str, Any]:
    """A new order."""
    asked.only(
        "amount",
        "currency",
        "receipt",
        "notes",
        "partial_payment",
        "first_payment_min_amount",
        "payment_capture",
        "payment",
        "customer_id",
        "offer_id",
    )
    currency = asked.needed("currency", least=3, most=3)
    amount = asked.raw("amount")
    if isinstance(amount, int) and amount < 100:
        raise wrong("amount", "Order amount less than minimum amount allowed")
    payment = asked.raw("payment")
    captures = asked.flag("payment_capture", True)
    if isinstance(payment, dict):
        captures = payment.get("capture", "automatic") != "manual"
    order = paying.new_order(
        account,
        asked.amount(currency=currency),
        currency,
        receipt=asked.text("receipt", most=40),
        notes=asked.notes(),
        partial=asked.flag("partial_payment", False),
        captures=captures,
    )
    return order.as_json()


def list_orders(account: Account, asked: Asked, _: Headers) -> dict[str, Any]:
    """Orders, newest first; `receipt` narrows."""
    receipt = asked.text("receipt")
    rows = (row for row in account.orders.newest_first() if receipt is None or row.receipt == receipt)
    return collection(row.as_json() for row in paged(rows, *asked.page(), made=lambda row: row.created_at))


def fetch_order(account: Account, _: Asked, __: Headers, key: str) -> dict[str, Any]:
    """One order."""
    return account.orders.get(key).as_json()


def edit_order(account: Account, asked: Asked, _: Headers, key: str) -> dict[str, Any]:
    """Other notes."""
    order = account.orders.get(key)
    order.notes = asked.only("notes").notes()
    return order.as_json()


def payments_of_order(account: Account, asked: Asked, _: Headers, key: str) -> dict[str, Any]:
    """The attempts to pay an order, newest first."""
    rows = paged(reversed(account.orders.get(key).payments), *asked.page(), made=lambda row: row.created_at)
    return collection(row.as_json() for row in rows)


# Payments ----------------------------------------------------------------------------------------
def list_payments(account: Account, asked: Asked, _: Headers) -> dict[str, Any]:
    """Payments, newest first."""
    rows = paged(account.payments.newest_first(), *asked.page(), made=lambda row: row.created_at)
    return collection(row.as_json() for row in rows)


def fetch_payment(account: Account, _: Asked, __: Headers, key: str) -> dict[str, Any]:
    """One payment."""
    return account.payments.get(key).as_json()


def capture(account: Account, asked: Asked, _: Headers, key: str) -> dict[str, Any]:
    """Takes the money of an authorised payment."""
    payment = account.payments.get(key)
    asked.only("amount", "currency")
    amount = asked.amount(currency=payment.currency)
    if payment.captured:
        raise Refused("This payment has already been captured")
    if payment.status != "authorized":
        raise Refused(f"Only payments which have been authorized can be captured: this one is {payment.status}")
    if amount != payment.amount or (asked.text("currency") or payment.currency) != payment.currency:
        raise Refused("Capture amount must be equal to the amount authorized", field="amount")
    paying.capture(account, payment)
    return payment.as_json()


# Refunds -----------------------------------------------------------------------------------------
def _refund(account: Account, asked: Asked, headers: Headers, key: str) -> dict[str, Any]:
    payment = account.payments.get(key)
    idempotency = headers.get(IDEMPOTENCY)
    body = json.dumps([key, {name: asked.raw(name) for name in ("amount", "speed", "notes", "receipt")}]).encode()
    if idempotency is not None:
        if not IDEMPOTENCY_KEY.fullmatch(idempotency):
            raise Refused(f"The {IDEMPOTENCY} header must have at least 10 letters, digits, hyphens or underscores")
        known = account.refund_keys.get(idempotency)
        if known is not None and known[0] != body:
            raise Refused("Different request body sent for the same Idempotency Header", status=409)
        if known is not None:
            return known[1].as_json()
    speed = asked.text("speed") or "normal"
    if speed not in ("normal", "optimum"):
        raise wrong("speed", "The selected speed is invalid.")
    amount = asked.amount(currency=payment.currency) if "amount" in asked else None
    made = paying.refund(
        account, payment, amount, notes=asked.notes(), receipt=asked.text("receipt", most=40), speed=speed
    )
    if idempotency is not None:
        account.refund_keys[idempotency] = (body, made)
        if len(account.refund_keys) > KEPT_KEYS:
            del account.refund_keys[next(iter(account.refund_keys))]
    return made.as_json()


def refund_payment(account: Account, asked: Asked, headers: Headers, key: str) -> dict[str, Any]:
    """Gives a payment back, all of it or an amount."""
    return _refund(account, asked.only("amount", "speed", "notes", "receipt"), headers, key)


def create_refund(account: Account, asked: Asked, headers: Headers) -> dict[str, Any]:
    """The same, with the payment in the body."""
    asked.only("payment_id", "amount", "speed", "notes", "receipt")
    return _refund(account, asked, headers, asked.needed("payment_id"))


def refunds_of_payment(account: Account, asked: Asked, _: Headers, key: str) -> dict[str, Any]:
    """The refunds of one payment, newest first."""
    rows = paged(reversed(account.payments.get(key).refunds), *asked.page(), made=lambda row: row.created_at)
    return collection(row.as_json() for row in rows)


def refund_of_payment(account: Account, _: Asked, __: Headers, key: str, refund: str) -> dict[str, Any]:
    """One refund of one payment."""
    found = account.refunds.get(refund)
    if found.payment_id != account.payments.get(key).id:
        raise Refused("The refund is not one of this payment")
    return found.as_json()


def list_refunds(account: Account, asked: Asked, _: Headers) -> dict[str, Any]:
    """Refunds, newest first."""
    rows = paged(account.refunds.newest_first(), *asked.page(), made=lambda row: row.created_at)
    return collection(row.as_json() for row in rows)


def fetch_refund(account: Account, _: Asked, __: Headers, key: str) -> dict[str, Any]:
    """One refund."""
    return account.refunds.get(key).as_json()


# Disputes ----------------------------------------------------------------------------------------
def list_disputes(account: Account, asked: Asked, _: Headers) -> dict[str, Any]:
    """Disputes, newest first."""
    rows = paged(account.disputes.newest_first(), *asked.page(), made=lambda row: row.created_at)
    return collection(row.as_json() for row in rows)


def fetch_dispute(account: Account, _: Asked, __: Headers, key: str) -> dict[str, Any]:
    """One dispute."""
    return account.disputes.get(key).as_json()


ROUTES: dict[str, Callable[..., Any]] = {
    "POST /customers": create_customer,
    "GET /customers": list_customers,
    "GET /customers/{key}": fetch_customer,
    "PUT /customers/{key}": edit_customer,
    "POST /orders": create_order,
    "GET /orders": list_orders,
    "GET /orders/{key}": fetch_order,
    "PATCH /orders/{key}": edit_order,
    "GET /orders/{key}/payments": payments_of_order,
    "GET /payments": list_payments,
    "GET /payments/{key}": fetch_payment,
    "POST /payments/{key}/capture": capture,
    "POST /payments/{key}/refund": refund_payment,
    "GET /payments/{key}/refunds": refunds_of_payment,
    "GET /payments/{key}/refunds/{refund}": refund_of_payment,
    "POST /refunds": create_refund,
    "GET /refunds": list_refunds,
    "GET /refunds/{key}": fetch_refund,
    "GET /disputes": list_disputes,
    "GET /disputes/{key}": fetch_dispute,
}
