"""What we ask of Razorpay: plans, subscriptions and customers here, money in ``money``; each method is one call.

Every method raises a ``RazorpayError``. What is made carries our key in its notes (``once``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from billing.razorpay.calls import Calls, given, seconds, whole
from billing.razorpay.money import Money, time_range
from billing.razorpay.once import found, with_key
from billing.razorpay.papers import Customer
from billing.razorpay.wire import Plan, Subscription

Notes = Mapping[str, str]
Period = Literal["daily", "weekly", "monthly", "quarterly", "yearly"]
When = Literal["now", "cycle_end"]


@dataclass(frozen=True, slots=True, repr=False)
class Razorpay(Money):
    """Razorpay under one key."""

    # Plans ---------------------------------------------------------------------------------------
    def create_plan(
        self, key: str, *, period: Period, interval: int, name: str, amount: int, currency: str = "INR",
        description: str = "", notes: Notes | None = None,
    ) -> Plan:  # fmt: skip
        """A plan that costs ``amount`` for each cycle. It can never be changed or deleted."""
        item = given(name=name, amount=whole(amount), currency=currency, description=description)
        body = {"period": period, "interval": interval, "item": item, "notes": with_key(key, notes)}
        return self.calls.post(Plan.read, "plans", body=body)

    def plan(self, plan_id: str) -> Plan:
        return Plan.read(self.calls.get("plans/{}", plan_id))

    def plans(self, since: datetime | None = None) -> Iterator[Plan]:
        """Every plan of the account made since then."""
        return map(Plan.read, self.calls.pages("plans", **time_range(since)))

    def plan_by_key(self, key: str, since: datetime | None = None) -> Plan | None:
        """The plan that was made under ``key``."""
        return found(self.plans(since), key)

    # Subscriptions -------------------------------------------------------------------------------
    def create_subscription(
        self, key: str, *, plan_id: str, total_count: int, quantity: int = 1, start_at: datetime | None = None,
        expire_by: datetime | None = None, customer_notify: bool = False, offer_id: str = "",
        notes: Notes | None = None,
    ) -> Subscription:  # fmt: skip
        """A subscription to be paid by its customer; without ``start_at`` it begins with the first payment."""
        body = given(
            plan_id=plan_id,
            total_count=whole(total_count, "total_count"),
            quantity=whole(quantity, "quantity"),
            start_at=seconds(start_at) if start_at else None,
            expire_by=seconds(expire_by) if expire_by else None,
            customer_notify=customer_notify,
            offer_id=offer_id,
            notes=with_key(key, notes),
        )
        return self.calls.post(Subscription.read, "subscriptions", body=body)

    def subscription(self, subscription_id: str) -> Subscription:
        return Subscription.read(self.calls.get("subscriptions/{}", subscription_id))

    def subscriptions(
        self, since: datetime | None = None, until: datetime | None = None, plan_id: str = ""
    ) -> Iterator[Subscription]:
        """Every subscription made in that time, of one plan if ``plan_id`` is given."""
        return map(Subscription.read, self.calls.pages("subscriptions", plan_id=plan_id, **time_range(since, until)))

    def subscription_by_key(self, key: str, plan_id: str, since: datetime | None = None) -> Subscription | None:
        """The subscription that was made to a plan under ``key``."""
        return found(self.subscriptions(since, plan_id=plan_id), key)

    def cancel_subscription(self, subscription_id: str, *, at_cycle_end: bool) -> Subscription:
        """End it. At the end of the cycle: nothing in the answer, and no event, shows that, and nothing undoes it."""
        body = {"cancel_at_cycle_end": at_cycle_end}
        return self.calls.post(Subscription.read, "subscriptions/{}/cancel", subscription_id, body=body)

    def update_subscription(
        self, subscription_id: str, *, when: When, plan_id: str = "", quantity: int | None = None,
        remaining_count: int | None = None, customer_notify: bool = False,
    ) -> Subscription:  # fmt: skip
        """Another plan or quantity; BadRequest for UPI, eMandate and most domestic cards, which can't."""
        body = given(
            plan_id=plan_id,
            quantity=quantity if quantity is None else whole(quantity, "quantity"),
            remaining_count=remaining_count,
            schedule_change_at=when,
            customer_notify=customer_notify,
        )
        return self.calls.post(Subscription.read, "subscriptions/{}", subscription_id, body=body, method="PATCH")

    def scheduled_changes(self, subscription_id: str) -> Subscription:
        """The subscription as it will be after a change that was put off to the end of the cycle."""
        answer = self.calls.get("subscriptions/{}/retrieve_scheduled_changes", subscription_id)
        return Subscription.read(answer)

    def cancel_scheduled_changes(self, subscription_id: str) -> Subscription:
        """Drop a change that was put off; a cancellation at the end of the cycle stays."""
        return self.calls.post(Subscription.read, "subscriptions/{}/cancel_scheduled_changes", subscription_id)

    def pause_subscription(self, subscription_id: str) -> Subscription:
        """Stop charging from now on; only an active one can be paused."""
        return self.calls.post(Subscription.read, "subscriptions/{}/pause", subscription_id, body={"pause_at": "now"})

    def resume_subscription(self, subscription_id: str) -> Subscription:
        """Charge again; what a customer has paused by UPI only they can resume."""
        return self.calls.post(Subscription.read, "subscriptions/{}/resume", subscription_id, body={"resume_at": "now"})

    # Customers -----------------------------------------------------------------------------------
    def customer_for(
        self, *, name: str = "", email: str = "", contact: str = "", gstin: str = "", notes: Notes | None = None
    ) -> Customer:
        """The customer with that address and number, made if there is none; so it may be repeated."""
        body = given(name=name, email=email, contact=contact, gstin=gstin, notes=dict(notes or {}), fail_existing="0")
        return self.calls.post(Customer.read, "customers", body=body)


def client(*, base_url: str, key_id: str, key_secret: str) -> Razorpay:
    """Razorpay at ``base_url`` under a key."""
    return Razorpay(Calls(base_url.rstrip("/"), key_id, key_secret))
