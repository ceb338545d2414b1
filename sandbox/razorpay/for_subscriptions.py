"""Calls about plans, subscriptions, add-ons and their invoices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import changing, lifecycle
from .account import Account, paged
from .asked import Asked, collection
from .cycles import PERIODS, years
from .refusals import Refused, required, wrong
from .subscription import Addon, Plan, Subscription

LONGEST_YEARS = 100
MAX_ADDONS = 5
Headers = Mapping[str, str]


# Plans -------------------------------------------------------------------------------------------
def create_plan(account: Account, asked: Asked, _: Headers) -> dict[str, Any]:
    """A new price; it never changes."""
    asked.only("period", "interval", "item", "notes")
    period, interval = asked.needed("period"), asked.number("interval", least=1, most=4000)
    if period not in PERIODS:
        raise wrong("period", "The selected period is invalid.")
    if period == "daily" and interval < 7:
        raise wrong("interval", "For daily plan interval should be greater than or equal to 7.")
    if not isinstance(asked.raw("item"), dict):
        raise required("item")
    item = Asked(asked.raw("item")).only("name", "amount", "currency", "description", "unit_amount")
    currency = item.needed("currency", least=3, most=3)
    plan = Plan(
        account.new_id("plan"),
        account.new_id("item"),
        period,
        interval,
        item.needed("name", most=256),
        item.amount(currency=currency),
        currency,
        item.text("description"),
        asked.notes(),
        account.now(),
    )
    return account.plans.add(plan.id, plan).as_json()


def list_plans(account: Account, asked: Asked, _: Headers) -> dict[str, Any]:
    """Plans, newest first."""
    rows = paged(account.plans.newest_first(), *asked.page(), made=lambda row: row.created_at)
    return collection(row.as_json() for row in rows)


def fetch_plan(account: Account, _: Asked, __: Headers, key: str) -> dict[str, Any]:
    """One plan."""
    return account.plans.get(key).as_json()


# Subscriptions -----------------------------------------------------------------------------------
def _addon(account: Account, subscription: Subscription, asked: Asked) -> Addon:
    asked.only("item", "quantity")
    if not isinstance(asked.raw("item"), dict):
        raise required("item")
    item = Asked(asked.raw("item")).only("name", "amount", "currency", "description")
    addon = Addon(
        account.new_id("ao"),
        account.new_id("item"),
        item.needed("name"),
        item.amount(),
        item.text("currency") or "INR",
        asked.integer("quantity", least=1) or 1,
        subscription.id,
        account.now(),
    )
    account.addons.add(addon.id, addon)
    return addon


def new_subscription(account: Account, asked: Asked, source: str = "api") -> Subscription:
    """A subscription that waits for its first payment. Raises Refused."""
    asked.only(
        "plan_id",
        "total_count",
        "quantity",
        "start_at",
        "expire_by",
        "customer_notify",
        "addons",
        "offer_id",
        "notes",
        "notify_info",
        "customer_id",
    )
    plan = account.plans.get(asked.needed("plan_id"), "plan_id")
    count = asked.number("total_count", least=1, most=5300)
    if years(plan.period, plan.interval, count) > LONGEST_YEARS:
        raise wrong("total_count", f"Exceeds the maximum duration of {LONGEST_YEARS} years")
    now = account.now()
    start = asked.integer("start_at", least=0)
    if start is not None and start <= now:
        raise wrong("start_at", "The start_at must be a timestamp in the future.")
    expires = asked.integer("expire_by", least=0)
    if expires is not None and expires <= now:
        raise wrong("expire_by", "expire_by should be at least 15 minutes after current time.")
    addons = asked.raw("addons") or []
    if not isinstance(addons, list) or len(addons) > MAX_ADDONS or not all(isinstance(one, dict) for one in addons):
        raise wrong("addons", f"addons must be a list of at most {MAX_ADDONS}")
    key = account.new_id("sub")
    made = Subscription(
        key,
        plan,
        asked.integer("quantity", least=1, most=10_000) or 1,
        count,
        asked.notes(),
        start,
        expires,
        asked.flag("customer_notify", True),
        source,
        asked.text("offer_id"),
        now,
        account.link(key),
        remaining=count,
        customer_id=asked.text("customer_id"),
        charge_at=start,
        anchor=start or 0,
    )
    made.addons = [_addon(account, made, Asked(one)) for one in addons]
    if start is not None:
        made.set_end()
    account.subscriptions.add(key, made)
    lifecycle.plan_next(account, made)
    return made


def create(account: Account, asked: Asked, _: Headers) -> dict[str, Any]:
    """A new subscription."""
    return new_subscription(account, asked).as_json()


def list_all(account: Account, asked: Asked, _: Headers) -> dict[str, Any]:
    """Subscriptions, newest first; `plan_id` narrows."""
    asked.only("plan_id", "from", "to", "count", "skip")
    plan = asked.text("plan_id")
    rows = (row for row in account.subscriptions.newest_first() if plan is None or row.plan.id == plan)
    return collection(row.as_json() for row in paged(rows, *asked.page(), made=lambda row: row.created_at))


def fetch(account: Account, _: Asked, __: Headers, key: str) -> dict[str, Any]:
    """One subscription."""
    return account.subscriptions.get(key).as_json()


def cancel(account: Account, asked: Asked, _: Headers, key: str) -> dict[str, Any]:
    """Ends one, now or with its cycle; of the latter the answer shows nothing."""
    subscription = account.subscriptions.get(key)
    if asked.only("cancel_at_cycle_end").flag("cancel_at_cycle_end", False):
        lifecycle.cancel_at_end(account, subscription)
    else:
        lifecycle.cancel(account, subscription, by="self")
    return subscription.as_json()


def update(account: Account, asked: Asked, _: Headers, key: str) -> dict[str, Any]:
    """Changes one, now or at the end of its cycle."""
    subscription = account.subscriptions.get(key)
    changing.update(account, subscription, asked)
    return subscription.as_json()


def pending_update(account: Account, _: Asked, __: Headers, key: str) -> dict[str, Any]:
    """What one will be after the scheduled change."""
    subscription = account.subscriptions.get(key)
    if not subscription.scheduled:
        raise Refused("No scheduled changes found for this subscription")
    return subscription.with_scheduled().as_json()


def cancel_scheduled(account: Account, _: Asked, __: Headers, key: str) -> dict[str, Any]:
    """Takes back a scheduled change, not a scheduled end."""
    subscription = account.subscriptions.get(key)
    changing.drop_scheduled(subscription)
    return subscription.as_json()


def _now_only(asked: Asked, field: str) -> None:
    if (asked.only(field).text(field) or "now") != "now":
        raise wrong(field, f"The selected {field.replace('_', ' ')} is invalid.")


def pause(account: Account, asked: Asked, _: Headers, key: str) -> dict[str, Any]:
    """Stops charging one."""
    subscription = account.subscriptions.get(key)
    _now_only(asked, "pause_at")
    lifecycle.pause(account, subscription, by="self")
    return subscription.as_json()


def resume(account: Account, asked: Asked, _: Headers, key: str) -> dict[str, Any]:
    """Charges one again."""
    subscription = account.subscriptions.get(key)
    _now_only(asked, "resume_at")
    lifecycle.resume(account, subscription, by="self")
    return subscription.as_json()


def drop_offer(account: Account, _: Asked, __: Headers, key: str, offer: str) -> dict[str, Any]:
    """Takes an offer off."""
    subscription = account.subscriptions.get(key)
    if subscription.offer_id != offer:
        raise Refused("Offer Not Found")
    subscription.offer_id = None
    return subscription.as_json()


# Add-ons and invoices ----------------------------------------------------------------------------
def create_addon(account: Account, asked: Asked, _: Headers, key: str) -> dict[str, Any]:
    """Something more on the next invoice; not for UPI."""
    subscription = account.subscriptions.get(key)
    if subscription.method in ("upi", "emandate"):
        raise Refused(f"Add-ons can't be added for Subscriptions when payment mode is {subscription.method}")
    if subscription.over:
        raise Refused(f"Add-ons can't be added in {subscription.status} state", field="status")
    addon = _addon(account, subscription, asked)
    subscription.addons.append(addon)
    return addon.as_json()


def list_addons(account: Account, asked: Asked, _: Headers) -> dict[str, Any]:
    """Add-ons, newest first."""
    rows = paged(account.addons.newest_first(), *asked.page(), made=lambda row: row.created_at)
    return collection(row.as_json() for row in rows)


def fetch_addon(account: Account, _: Asked, __: Headers, key: str) -> dict[str, Any]:
    """One add-on."""
    return account.addons.get(key).as_json()


def delete_addon(account: Account, _: Asked, __: Headers, key: str) -> list[Any]:
    """Takes one back that is on no invoice yet; answers an empty list, as the service does."""
    addon = account.addons.get(key)
    if addon.invoice_id:
        raise Refused("The add-on is on an invoice already and cannot be deleted")
    subscription = account.subscriptions.get(addon.subscription_id)
    subscription.addons = [one for one in subscription.addons if one is not addon]
    account.addons.remove(key)
    return []


def list_invoices(account: Account, asked: Asked, _: Headers) -> dict[str, Any]:
    """Invoices, newest first; `subscription_id` or `payment_id` narrows."""
    asked.only("type", "payment_id", "customer_id", "receipt", "subscription_id", "from", "to", "count", "skip")
    rows = account.invoices.newest_first()
    if "subscription_id" in asked:
        rows = reversed(account.subscriptions.get(asked.text("subscription_id")).invoices)
    payment = asked.text("payment_id")
    fitting = (row for row in rows if payment is None or row.payment_id == payment)
    return collection(row.as_json() for row in paged(fitting, *asked.page(), made=lambda row: row.created_at))


def fetch_invoice(account: Account, _: Asked, __: Headers, key: str) -> dict[str, Any]:
    """One invoice."""
    return account.invoices.get(key).as_json()


ROUTES: dict[str, Callable[..., Any]] = {
    "POST /plans": create_plan,
    "GET /plans": list_plans,
    "GET /plans/{key}": fetch_plan,
    "POST /subscriptions": create,
    "GET /subscriptions": list_all,
    "GET /subscriptions/{key}": fetch,
    "PATCH /subscriptions/{key}": update,
    "POST /subscriptions/{key}/cancel": cancel,
    "GET /subscriptions/{key}/retrieve_scheduled_changes": pending_update,
    "POST /subscriptions/{key}/cancel_scheduled_changes": cancel_scheduled,
    "POST /subscriptions/{key}/pause": pause,
    "POST /subscriptions/{key}/resume": resume,
    "POST /subscriptions/{key}/addons": create_addon,
    "DELETE /subscriptions/{key}/{offer}": drop_offer,
    "GET /addons": list_addons,
    "GET /addons/{key}": fetch_addon,
    "DELETE /addons/{key}": delete_addon,
    "GET /invoices": list_invoices,
    "GET /invoices/{key}": fetch_invoice,
}
