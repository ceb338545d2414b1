"""Calls about payment links."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.loopback import leads_here

from . import paying
from .account import Account
from .asked import MAX_PAGE, Asked
from .cycles import DAY
from .link import PaymentLink
from .refusals import Refused, wrong

LIFE = 183 * DAY
Headers = Mapping[str, str]


def create(account: Account, asked: Asked, _: Headers) -> dict[str, Any]:
    """A new link."""
    asked.only(
        "amount",
        "currency",
        "description",
        "reference_id",
        "customer",
        "notify",
        "reminder_enable",
        "callback_url",
        "callback_method",
        "expire_by",
        "notes",
    )
    now = account.now()
    expires = asked.integer("expire_by", least=0) or 0
    if expires and expires < now + 15 * 60:
        raise wrong("expire_by", "expire_by should be at least 15 minutes after current time.")
    callback = asked.text("callback_url") or ""
    if callback and not leads_here(callback):
        raise wrong("callback_url", "The sandbox leads back only to a site on this machine.")
    currency = asked.text("currency") or "INR"
    customer = asked.raw("customer")
    order = paying.new_order(account, asked.amount(currency=currency), currency)
    key = account.new_id("plink")
    link = PaymentLink(
        key,
        order,
        asked.text("description"),
        asked.text("reference_id", most=40) or "",
        customer if isinstance(customer, dict) else {},
        callback,
        expires,
        account.link(key),
        now,
        notes=asked.notes(),
    )
    account.links.add(key, link)
    order.link_id = key
    account.clock.at(expires or now + LIFE, lambda: _expire(account, link))
    return link.as_json()


def _expire(account: Account, link: PaymentLink) -> None:
    if link.status == "created":
        link.status, link.expired_at = "expired", account.now()
        account.emit("payment_link.expired", payment_link=link)


def list_all(account: Account, asked: Asked, _: Headers) -> dict[str, Any]:
    """Links, newest first, under a name of their own."""
    reference = asked.text("reference_id")
    rows = [one for one in account.links.newest_first() if reference is None or one.reference == reference]
    return {"payment_links": [one.as_json() for one in rows[:MAX_PAGE]]}


def fetch(account: Account, _: Asked, __: Headers, key: str) -> dict[str, Any]:
    """One link."""
    return account.links.get(key).as_json()


def cancel(account: Account, _: Asked, __: Headers, key: str) -> dict[str, Any]:
    """Ends a link that was not paid."""
    link = account.links.get(key)
    if link.status != "created":
        raise Refused(f"Payment link cannot be cancelled: it is {link.status}")
    link.status, link.cancelled_at = "cancelled", account.now()
    account.emit("payment_link.cancelled", payment_link=link)
    return link.as_json()


ROUTES: dict[str, Callable[..., Any]] = {
    "POST /payment_links": create,
    "GET /payment_links": list_all,
    "GET /payment_links/{key}": fetch,
    "POST /payment_links/{key}/cancel": cancel,
}
