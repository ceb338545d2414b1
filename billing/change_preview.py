"""What a change or an end would come to, in money and quota, said before it is done. Whole numbers; nothing is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from accounts.models import User
from billing import changing, ending, gateway, payments, price_list, terms
from billing.changing import Wish
from billing.models import Price, Subscription, SubscriptionStatus
from billing.standing import Holder
from billing.terms import CYCLE_END
from billing.wording import bought, day, interval, rupees


@dataclass(frozen=True, slots=True)
class Choice:
    """A price that may be changed to. ``value`` is ``plan:interval``; ``smaller`` begins with the next period."""

    value: str
    label: str
    price: str
    tokens: int | None
    per_seat: bool
    smaller: bool
    current: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change comes to. ``pay`` is due now, in paise; ``back`` is paid back of what was paid before.

    ``credit`` of the old plan and ``charge`` of the new one make ``pay`` where the mandate is changed in place; else
    the new plan is paid for in full (``renewed``), and what is left of the old one goes back: ``by_hand`` of it not the
    way it was paid.
    """

    wish: Wish
    after: str
    price: str
    at: datetime | None
    pay: int
    credit: int
    charge: int
    back: int
    tokens: int
    tokens_a_month: int | None
    renewed: bool
    can_wait: bool
    by_hand: int

    @property
    def now(self) -> bool:
        return self.at is None


def offers(user: User, row: Subscription) -> list[Choice]:
    """What ``row`` may become: every price on sale to the person, and its own with another number of seats."""
    sold = Price.objects.filter(mode=gateway.mode(), current=True, plan__is_active=True).exclude(razorpay_plan_id=None)
    whose = Q(plan__only_for=None) | Q(plan__only_for=user)
    found = []
    for price in sold.filter(whose).select_related("plan").order_by("plan__position", "plan__code", "interval"):
        same = price.plan_id == row.plan_id and price.interval == row.price.interval
        # What a team has is by seats, what a person has is not: neither becomes the other.
        if price.plan.per_seat != row.plan.per_seat or (same and not row.plan.per_seat):
            continue
        shown = row.price if same else price
        found.append(
            Choice(
                value=f"{price.plan.code}:{price.interval}",
                label=f"{price.plan.name}, {'yearly' if price.interval == 'year' else 'monthly'}",
                price=f"{rupees(shown.amount_paise)} {interval(shown)}{' per seat' if price.plan.per_seat else ''}",
                tokens=price_list.tokens_of(shown.terms["limits"]),
                per_seat=price.plan.per_seat,
                smaller=not same and changing.is_smaller(row, shown, row.quantity),
                current=same,
            )
        )
    return found


def of(holder: Holder, row: Subscription, wanted: Wish) -> Preview:
    """What ``wanted`` comes to, at this moment."""
    later = wanted.when == CYCLE_END
    in_place = _is_in_place(holder, row, wanted.price)
    share = terms.proration(row, wanted.price, wanted.seats)
    tokens = price_list.tokens_of(wanted.price.terms["limits"])
    whole = terms.amount(wanted.price, wanted.seats)
    return Preview(
        wish=wanted,
        after=bought(wanted.price.plan, wanted.price, wanted.seats),
        price=f"{rupees(whole)} {interval(wanted.price)}",
        at=ending.ends_at(row) if later else None,
        pay=0 if later else share.pay if in_place else whole,
        credit=share.credit,
        charge=share.charge,
        back=0 if later or in_place else ending.unused(row)[0],
        tokens=share.tokens,
        tokens_a_month=None if tokens is None else tokens * wanted.seats,
        renewed=not in_place,
        by_hand=0 if later or in_place else ending.to_pay_by_hand(row),
        can_wait=not later and not changing.is_smaller(row, wanted.price, wanted.seats),
    )


def _is_in_place(holder: Holder, row: Subscription, price: Price) -> bool:
    """Whether ``changing.change`` changes the mandate itself. Razorpay may still refuse; then nothing was charged."""
    return changing.has_mandate_that_changes(row, holder) and price.interval == row.price.interval


@dataclass(frozen=True, slots=True)
class Ending:
    """The two ways to end: on which day, and what goes back of what was paid when it ends now, also by hand."""

    on: str
    back: int
    by_hand: int
    paid: int
    trial: bool
    facts: Sequence[tuple[str, str]]
    with_cycle: bool


def of_ending(row: Subscription, user: User) -> Ending:
    """What ending ``row`` comes to, at this moment."""
    back, paid = ending.unused(row)
    cycle = payments.running(row)
    facts = [("Plan", bought(row.plan, row.price, row.quantity))]
    if cycle is not None and cycle.period_end is not None:
        facts += [("Paid for this period", rupees(paid)), ("It runs until", day(cycle.period_end, user))]
    waits = row.status == SubscriptionStatus.AUTHENTICATED
    with_cycle = waits or cycle is not None
    return Ending(
        day(ending.ends_at(row), user), back, ending.to_pay_by_hand(row), paid, row.trial and waits, facts, with_cycle
    )
