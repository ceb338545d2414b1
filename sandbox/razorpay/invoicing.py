"""Invoices of cycles and changes, and changes that wait for the end of a cycle."""

from __future__ import annotations

from .account import Account
from .invoice import Invoice, line
from .money import Order
from .subscription import Subscription


def total(subscription: Subscription) -> int:
    """What the next invoice amounts to: the plan and the add-ons that wait."""
    return subscription.amount + sum(addon.total for addon in subscription.addons)


def issue(
    account: Account,
    subscription: Subscription,
    order: Order,
    start: int,
    end: int,
    *,
    plan_too: bool = True,
    difference: int | None = None,
) -> Invoice:
    """An invoice over the plan, or over the `difference` that a change costs, and the add-ons that wait."""
    plan, lines = subscription.plan, []
    if plan_too:
        lines.append(
            line(
                account.new_id("li"),
                plan.item_id,
                plan.name,
                plan.amount if difference is None else difference,
                plan.currency,
                subscription.quantity if difference is None else 1,
                "plan",
            )
        )
    for addon in subscription.addons if difference is None else ():
        lines.append(
            line(account.new_id("li"), addon.item_id, addon.name, addon.amount, addon.currency, addon.quantity, "addon")
        )
    key = account.new_id("inv")
    invoice = Invoice(
        key,
        subscription.id,
        order.id,
        account.customers.find(subscription.customer_id),
        order.amount,
        order.currency,
        lines,
        start,
        end,
        account.link(key),
        account.now(),
    )
    order.invoice_id = key
    account.invoices.add(key, invoice)
    subscription.invoices.append(invoice)
    return invoice


def take_addons(subscription: Subscription, invoice: Invoice) -> None:
    """The add-ons that waited stand on an invoice now."""
    for addon in subscription.addons:
        addon.invoice_id = invoice.id
    subscription.addons = []


def apply_scheduled(account: Account, subscription: Subscription) -> None:
    """The change that waited for the end of the cycle happens."""
    changed, old = subscription.with_scheduled(), subscription.plan
    subscription.plan, subscription.quantity, subscription.offer_id = changed.plan, changed.quantity, changed.offer_id
    subscription.remaining, subscription.total_count = changed.remaining, changed.total_count
    subscription.scheduled, subscription.change_scheduled_at = {}, None
    if (old.period, old.interval) != (changed.plan.period, changed.plan.interval) and subscription.current_end:
        subscription.anchor, subscription.since = subscription.current_end, 0
    subscription.set_end()
    account.emit("subscription.updated", subscription=subscription)
