"""People with subscriptions, and what happens to them: each thing is one that people do, or that their bank does."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts import teams
from accounts.models import User
from billing import changing, checkout, refunds, standing, stopping, topups
from billing.models import Payment, Subscription
from billing.once_keys import NOTHING
from billing.standing import Holder
from oneai.kit.errors import Refusal
from tests.billing.world import World, spend

METHODS = ("upi", "upi", "card_domestic", "card_international", "card_international", "emandate")
PERSONAL = (("plus", "month"), ("plus", "month"), ("plus", "year"), ("pro", "month"), ("pro", "year"))
EXPECTED = frozenset(
    "already_subscribed no_subscription change_pending subscription_state nothing_to_change only_at_cycle_end "
    "nothing_to_undo too_late_to_undo payment_refused seats_taken quota_exceeded rate_limited".split()
)


class Life:
    """One person, or somebody who pays for a team."""

    def __init__(self, world: World, chance: random.Random, done: Counter[str], *, with_team: bool) -> None:
        self.world, self.chance, self.done = world, chance, done
        self.user: User = world.person()
        self.team: UUID | None = teams.create_team(self.user, "Peepal").pk if with_team else None
        self.holder = Holder(self.user.pk, self.team)
        self.method = chance.choice(METHODS)

    def live(self) -> Subscription | None:
        """What runs now."""
        try:
            return changing.current(self.holder)
        except Refusal:
            return None

    def happens(self) -> None:
        """One thing, most of the time nothing."""
        row = self.live()
        if row is None:
            self._try(self.subscribe, 0.6)
            return
        if row.status in ("pending", "halted"):
            self._try(self.bank_relents, 0.5)
        chosen = self.chance.choices(list(THINGS), [THINGS[each] for each in THINGS])[0]
        self._try(getattr(self, chosen), 1.0)

    def _try(self, thing: Callable[[], Any], probability: float) -> None:
        if self.chance.random() >= probability:
            return
        name = thing.__name__
        try:
            self.done[name if thing() is not False else f"{name}: nothing to do"] += 1
        except Refusal as refusal:
            if refusal.code not in EXPECTED:
                raise
            self.done[f"{name}: {refusal.code}"] += 1

    # Subscribing and paying --------------------------------------------------------------------------
    def nothing(self) -> bool:
        return False

    def subscribe(self) -> None:
        self.method = self.chance.choice(METHODS)
        plan, interval = ("team", "month") if self.team else self.chance.choice(PERSONAL)
        seats = self.chance.randint(1, 5) if plan == "team" else 1
        row = checkout.subscribe(self.user, self.holder, plan, interval, seats=seats)
        self.pay(row)

    def pay(self, row: Subscription) -> None:
        """Pay at the checkout: it fails at first, or the person leaves."""
        while self.chance.random() < 0.3:
            self.walk(row, "authenticate", method=self.method, ok=False)
        if self.chance.random() < 0.9:
            self.walk(row, "authenticate", method=self.method)

    def walk(self, row: Subscription, walk: str, **fields: Any) -> bool:
        """Let something happen at Razorpay; whether that could be."""
        try:
            self.world.walk(row, walk, **fields)
        except AssertionError as no:
            self.done[f"{walk} refused: {str(no)[-90:]}"] += 1
            return False
        return True

    # Charges -----------------------------------------------------------------------------------------
    def bank_refuses(self) -> bool:
        row = self.live()
        return row is not None and self.walk(row, "outcomes", next=[False] * self.chance.randint(1, 5))

    def bank_relents(self) -> bool:
        row = self.live()
        if row is None:
            return False
        self.walk(row, "works", works=True)
        method = "card_international" if self.method in ("upi", "emandate") else self.chance.choice(METHODS[2:5])
        return self.walk(row, "change-method", method=method)

    # Changing ----------------------------------------------------------------------------------------
    def change(self) -> None:
        """Another plan or interval, or other seats; a replacement is paid, or is not."""
        plan, interval = ("team", "month") if self.team else self.chance.choice(PERSONAL)
        seats = self.chance.randint(1, 6) if plan == "team" else None
        found = changing.change(self.user, self.holder, plan, interval, seats, "")
        self.done[f"change {found.way} {found.when}"] += 1
        if found.replacement is not None:
            self.pay(found.replacement)

    def undo(self) -> None:
        stopping.undo(self.holder, "themselves")

    # Ending ------------------------------------------------------------------------------------------
    def cancel_at_end(self) -> None:
        stopping.cancel(self.holder, "cycle_end", "", "themselves")

    def cancel_now(self) -> None:
        stopping.cancel(self.holder, "now", "", "themselves")

    def cancel_in_app(self) -> bool:
        row = self.live()
        return row is not None and row.status != "created" and self.walk(row, "cancel")

    def pause(self) -> None:
        stopping.pause(self.holder)

    def resume(self) -> None:
        stopping.resume(self.holder)

    def pause_in_app(self) -> bool:
        row = self.live()
        return row is not None and row.status == "active" and self.walk(row, "pause")

    def resume_in_app(self) -> bool:
        row = self.live()
        return row is not None and row.status == "paused" and self.walk(row, "resume")

    # Packs, tokens, money back -----------------------------------------------------------------------
    def top_up(self) -> None:
        row = topups.order(self.holder, self.chance.choice(topups.on_sale()).code, asked=NOTHING)
        while self.chance.random() < 0.3:
            self.world.control(f"order/{row.razorpay_order_id}/pay", {"ok": False})
        if self.chance.random() < 0.9:
            twice = 2 if self.chance.random() < 0.15 else 1
            self.world.control(f"order/{row.razorpay_order_id}/pay", {"times": twice})

    def use(self) -> None:
        spend(self.user, self.chance.randint(1_000, 20_000))

    def _payment(self) -> Payment | None:
        paid = list(self.user.payments.exclude(effect_at=None).order_by("-created_at")[:3])
        return self.chance.choice([each for each in paid if refunds.left_of(each) > 500] or [None])

    def refund_by_staff(self) -> bool:
        found = self._payment()
        if found is None:
            return False
        with transaction.atomic():
            standing.lock(found.user_id)
            part = self.chance.choice((refunds.left_of(found), refunds.left_of(found) // 3))
            refunds.ask(found, f"staff-{found.pk.hex}-{part}", part, reason="Asked for", actor="staff")
        return True

    def refund_by_hand(self) -> bool:
        found = self._payment()
        if found is None:
            return False
        part = self.chance.choice(({}, {"amount": refunds.left_of(found) // 4}))
        try:
            self.world.control(f"payment/{found.razorpay_payment_id}/refund", part)
        except AssertionError as no:
            if "more than 6 months old" not in str(no):
                raise
            return False
        return True


#: What happens to somebody who has a subscription, and how often of a thousand moments.
THINGS = {
    "nothing": 620, "use": 80, "change": 50, "top_up": 50, "bank_refuses": 50, "undo": 30, "resume": 30,
    "resume_in_app": 15, "cancel_at_end": 20, "cancel_now": 10, "cancel_in_app": 8, "pause": 12, "pause_in_app": 8,
    "refund_by_staff": 10, "refund_by_hand": 7,
}  # fmt: skip
