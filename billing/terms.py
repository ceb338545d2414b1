"""What a subscription costs and allows: now, after a change that was asked for, and before changes that were made.

``metadata["change"]`` is a change that Razorpay has been asked for and not yet shown; ``metadata["changed"]`` the last
one made at once, whose charge may still come; ``metadata["earlier"]`` the terms that were valid before.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from billing import allowing, payments, subscriptions
from billing.models import Price, Subscription
from billing.proration import Change, change, remaining
from billing.razorpay import wire
from billing.razorpay.papers import Invoice
from oneai.kit.clock import now, utc_text
from quotas.policy import PLAN_WIDE, TOKENS

NOW = "now"
CYCLE_END = "cycle_end"
FORGOTTEN = timedelta(minutes=15)
"""When a change that Razorpay does not show has not been made."""
CLOCKS = timedelta(minutes=5)
"""How far Razorpay's clock may be from ours."""


def amount(price: Price, quantity: int) -> int:
    """What a cycle costs, in paise."""
    return price.amount_paise * quantity


def paid_for(row: Subscription, paise: int) -> tuple[Price, int] | None:
    """The terms that a cycle at this amount was paid for: those of now, those to come, or earlier ones."""
    candidates = [(row.price, row.quantity)]
    if row.next_price is not None:
        candidates.append((row.next_price, row.next_quantity or row.quantity))
    for price, quantity in candidates:
        if paise == amount(price, quantity):
            return price, quantity
    discount = row.coupon_use.discount_paise if row.coupon_use and row.coupon_use.used_at is None else 0
    if discount and paise == amount(row.price, row.quantity) - discount:
        return row.price, row.quantity
    for earlier in reversed(row.metadata.get("earlier", [])):
        if earlier["amount_paise"] == paise:
            return Price.objects.select_related("plan").get(pk=earlier["price"]), earlier["quantity"]
    return None


def ask(row: Subscription, price: Price, quantity: int, when: str, key: str) -> None:
    """Note that Razorpay is about to be asked for other terms; the caller saves ``row``."""
    row.next_price, row.next_quantity = price, quantity
    row.metadata = row.metadata | {
        "change": {"when": when, "key": key, "at": utc_text(now()), "expected": proration(row, price, quantity).pay}
    }


def forget(row: Subscription) -> None:
    """Drop a change that was asked for; the caller saves ``row``."""
    row.next_price = row.next_quantity = None
    row.metadata = {name: value for name, value in row.metadata.items() if name != "change"}


def is_changing(row: Subscription) -> bool:
    """Whether a change at once has been asked for and not been seen yet."""
    asked: dict[str, Any] = row.metadata.get("change") or {}
    return asked.get("when") == NOW


def follow(row: Subscription, seen: wire.Subscription) -> None:
    """Take over the terms that Razorpay shows, when they are those that were asked for."""
    price, quantity = row.next_price, row.next_quantity or row.quantity
    if price is None or (price.pk == row.price_id and quantity == row.quantity):
        return
    asked = row.metadata.get("change") or {}
    if seen.plan_id != price.razorpay_plan_id or seen.quantity != quantity:
        waits = asked.get("when") == CYCLE_END and seen.has_scheduled_changes
        if not waits and (not asked or datetime.fromisoformat(asked["at"]) < now() - FORGOTTEN):
            forget(row)
            subscriptions.note(row, "change_failed", reason="Razorpay shows no such change")
        return
    key, before = asked.get("key") or "change", (row.terms, row.quantity)
    earlier = {"price": str(row.price_id), "quantity": row.quantity, "amount_paise": amount(row.price, row.quantity)}
    cycle = payments.running(row)
    if asked.get("when") == NOW and cycle is not None:
        allowing.raise_now(row, cycle, before, (price.terms, quantity), key)
    subscriptions.note(
        row, "changed", before=row.plan.code, after=price.plan.code, when=asked.get("when", ""), quantity=quantity
    )
    row.price, row.plan, row.terms, row.quantity = price, price.plan, price.terms, quantity
    row.metadata = row.metadata | {"earlier": [*row.metadata.get("earlier", []), earlier][-12:]}
    if asked.get("when") == NOW:
        row.metadata["changed"] = asked | {"from_paise": earlier["amount_paise"]}
    forget(row)


def is_charge_of_change(row: Subscription, invoice: Invoice) -> bool:
    """Whether an invoice is for a change that was made at once, and not for a cycle; a change has one."""
    made = row.metadata.get("changed")
    if not made or (paid_for(row, invoice.amount) is not None and invoice.amount != made["expected"]):
        return False
    cycle = payments.running(row)
    if cycle is not None and invoice.billing_start == cycle.period_end:
        return False
    issued = invoice.issued_at or invoice.created_at or invoice.paid_at
    asked_at = datetime.fromisoformat(made["at"])
    return issued is not None and issued >= asked_at - CLOCKS


def charged(row: Subscription) -> None:
    """The charge of the last change has come; the caller saves ``row``."""
    row.metadata = {name: value for name, value in row.metadata.items() if name != "changed"}


def expected_charge(row: Subscription) -> int:
    """What the last change made at once should have cost, in paise."""
    return int((row.metadata.get("changed") or {}).get("expected", 0))


def tolerance(row: Subscription) -> int:
    """How far Razorpay's proration may be from ours, in paise: it may count days where we count seconds."""
    cycle, made = payments.running(row), row.metadata.get("changed") or {}
    if cycle is None or cycle.period_start is None or cycle.period_end is None:
        return 0
    days = max(1, (cycle.period_end - cycle.period_start).days)
    return abs(amount(row.price, row.quantity) - int(made.get("from_paise", 0))) // days + 1


def proration(row: Subscription, price: Price, quantity: int) -> Change:
    """What it costs to go over to other terms now, for the rest of the paid cycle; nothing while none runs."""
    cycle = payments.running(row)
    if cycle is None or cycle.period_start is None or cycle.period_end is None:
        return Change(0, 0, 0)
    return change(
        remaining(cycle.period_start, cycle.period_end, now()),
        paid=amount(row.price, row.quantity),
        price=amount(price, quantity),
        had=_tokens(row.terms, row.quantity),
        gives=_tokens(price.terms, quantity),
    )


def _tokens(terms: Any, quantity: int) -> int:
    for row in terms["limits"]:
        if row["scope"] == PLAN_WIDE and row["unit"] == TOKENS:
            return (row["limit"] or 0) * quantity
    return 0
