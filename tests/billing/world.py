"""The product in the test's own process beside the imitated Razorpay over HTTP: one clock, events fed by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

from accounts.models import User
from billing import changing, checkout, gateway, handling, inbox, prices, reconciling, standing, topups
from billing.models import Subscription, WebhookEvent
from billing.once_keys import NOTHING
from billing.standing import Holder
from oneai.kit import clock
from quotas import reading
from quotas.models import Allowance, Grant
from tests.quotas.using import FREE, Purse
from tests.servers.sandbox import Sandbox


class World:
    """Razorpay's sandbox, reset, and the product's clock, which move together."""

    def __init__(self, sandbox: Sandbox, moves: ExitStack) -> None:
        self.sandbox = sandbox
        self._moves = moves
        self._fed: set[str] = set()
        self.control("reset", {})
        list(prices.sync(gateway.razorpay()))

    def control(self, path: str, body: object = None) -> Any:
        """A control call of the imitated Razorpay."""
        return self.sandbox.control(f"razorpay/{path}", body)

    def pass_time(self, **units: int) -> None:
        """Let time pass on both sides: days, hours, minutes, seconds."""
        self._moves.enter_context(clock.travel(timedelta(**units)))
        self.control("clock", units | {"settle": False})

    def pass_until(self, moment: datetime | None) -> None:
        """Let time pass on both sides until then."""
        assert moment is not None
        self.pass_time(seconds=int((moment - clock.now()).total_seconds()))

    def person(self) -> User:
        """Somebody with a verified account."""
        return User.objects.create_user(f"{clock.uuid7()}@example.com", name="Asha")

    # What a person does ----------------------------------------------------------------------------
    def subscribe(self, user: User, plan: str = "plus", interval: str = "month", **more: Any) -> Subscription:
        """Ask for a subscription; it is not paid yet."""
        return checkout.subscribe(user, Holder(user.pk), plan, interval, **{"asked": NOTHING} | more)

    def pay(self, row: Subscription, **how: Any) -> dict[str, Any]:
        """Pay for it at Razorpay; nothing is heard of that here. The payment."""
        found = self.control(f"subscription/{row.razorpay_subscription_id}/authenticate", how)
        payment: dict[str, Any] = found["payment"]
        return payment

    def walk(self, row: Subscription, walk: str, **fields: Any) -> Any:
        """Let something happen to a subscription at Razorpay."""
        return self.control(f"subscription/{row.razorpay_subscription_id}/{walk}", fields)

    def subscribed(self, user: User, plan: str = "plus", interval: str = "month", **how: Any) -> Subscription:
        """Subscribe and pay, and have the events of that handled."""
        row = self.subscribe(user, plan, interval)
        self.pay(row, **how)
        self.hear()
        row.refresh_from_db()
        return row

    def change(self, user: User, plan: str = "", interval: str = "", seats: int | None = None, when: str = "") -> Any:
        return changing.change(user, Holder(user.pk), plan, interval, seats, when)

    def order(self, user: User, pack: str = "small", **more: Any) -> Any:
        return topups.order(Holder(user.pk), pack, **{"asked": NOTHING} | more)

    # What is heard of it ---------------------------------------------------------------------------
    def events(self, **query: str) -> list[dict[str, Any]]:
        """Razorpay's events that have not been fed, oldest first."""
        found = self.sandbox.razorpay_events(**query)
        return [event for event in found if event["id"] not in self._fed]

    def hear(self, events: Iterable[dict[str, Any]] | None = None) -> int:
        """Put events (all that are new) into the inbox and handle them; how many needed no more."""
        events = self.events() if events is None else list(events)
        for event in events:
            self._fed.add(event["id"])
            body = event["body"]
            raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            inbox.store(inbox.incoming(raw, event["id"]))
        done = 0
        while step := handling.handle_due(500, 60):
            done += step
        return done

    def forget_events(self) -> None:
        """Lose every event so far."""
        self._fed.update(event["id"] for event in self.sandbox.razorpay_events())

    def reconcile(self, since: timedelta = timedelta(days=400)) -> reconciling.Report:
        """One pass of the reconciler, and what waits is sent."""
        report = reconciling.reconcile(clock.now() - since)
        reconciling.send_due()
        return report


def state(user: User) -> dict[str, Any]:
    """What all of it came to for a person, without ids of ours and times of writing."""
    user.refresh_from_db()
    rows = Subscription.objects.filter(user=user).order_by("created_at")
    return {
        "label": (user.current_subscription, user.subscription_status),
        "subscriptions": [
            (str(row.status), row.paid_count, row.quantity, row.plan.code, row.current_period_end, row.allowed_until)
            for row in rows
        ],
        "payments": [
            (pay.razorpay_payment_id, pay.status, pay.amount_paise, pay.refunded_paise, pay.effect_at is not None,
             pay.period_start, pay.period_end)
            for pay in user.payments.order_by("razorpay_payment_id")
        ],
        "allowances": sorted(
            (row.plan, json.dumps(row.limits), row.until is not None and row.until > clock.now())
            for row in Allowance.objects.filter(user=user)
        ),
        "grants": sorted(
            (row.unit, row.amount, row.refunded) for row in Grant.objects.filter(user=user).exclude(kind="plan")
        ),
    }  # fmt: skip


def tokens(user: User, at: datetime | None = None) -> int | None:
    """The plan-wide limit of tokens that the person has now."""
    limits = reading.standing(user.pk, at or clock.now()).limits
    return next(each.limit for each in limits if (each.scope, each.unit) == ("*", "tokens"))


def spend(user: User, amount: int) -> None:
    """Let the person use so many tokens."""
    purse = Purse(user)
    (admitted,) = purse.admit(purse.ask(bound=0, cap=amount, price=FREE))
    purse.settle(admitted, amount)


def dead() -> Sequence[WebhookEvent]:
    """The events that were put aside."""
    return list(WebhookEvent.objects.filter(state="dead"))


def live(user: User) -> list[Subscription]:
    """The person's subscriptions that have not ended."""
    return standing.live(Holder(user.pk))
