"""The price list as one person sees it: what each plan costs them, and where its button leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse

from accounts.models import User
from billing import gateway, plans, portal, prices, sellers, trials
from billing.models import Plan, Price, Subscription
from billing.models.plans import Interval
from billing.standing import Holder
from billing.wording import rupees


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan by the month or the year. ``paise`` is for each seat and cycle; without ``href`` there is no button."""

    interval: str
    paise: int
    label: str = ""
    href: str = ""
    current: bool = False

    @property
    def a_month(self) -> int:
        """Paise a month, rounded up to the rupee so that it never says too little."""
        return self.paise if self.interval == Interval.MONTH else -(-self.paise // 1200) * 100


@dataclass(frozen=True, slots=True)
class Card:
    """A plan on the price list; ``mine`` marks the person's own."""

    plan: Plan
    offers: Sequence[Offer]
    tokens: int | None
    mine: bool
    custom: bool


def cards(user: User | None) -> list[Card]:
    """The plans on sale, and those made for ``user`` alone; the free one first."""
    shown = Plan.objects.filter(Q(only_for=None) | Q(only_for=user), is_active=True) if user else plans.offered()
    mine = portal.current(Holder(user.pk)) if user else None
    may_try = user is None or trials.may_try(user)
    sold = _sold() if gateway.configured() else set()
    return [_card(plan, user, mine, sold, may_try=may_try) for plan in shown]


def _sold() -> set[tuple[Any, str]]:
    """What Razorpay knows and new subscriptions take: plan and interval."""
    rows = Price.objects.filter(mode=gateway.mode(), current=True).exclude(razorpay_plan_id=None)
    return set(rows.values_list("plan_id", "interval"))


def _card(
    plan: Plan, user: User | None, mine: Subscription | None, sold: set[tuple[Any, str]], *, may_try: bool
) -> Card:
    free = plan.code == plans.DEFAULT_PLAN
    own = bool(user and (mine.plan_id == plan.pk if mine else user.current_subscription == plan.code))
    offers = [Offer(Interval.MONTH, 0, *_free(user))] if free else []
    for interval in () if free else Interval.values:
        paise = prices.amount_of(plan, interval)
        if not paise:
            continue
        label, href = _button(plan, interval, mine, may_try=may_try) if (plan.pk, interval) in sold else ("", "")
        current = bool(own and mine and mine.price.interval == interval)
        offers.append(Offer(interval, paise, label, href, current))
    return Card(plan, offers, tokens_of(plan.limits), own, plan.only_for_id is not None)


def _free(user: User | None) -> tuple[str, str]:
    return ("Open chat", "/c") if user else ("Start free", reverse("account_signup"))


def _button(plan: Plan, interval: str, mine: Subscription | None, *, may_try: bool) -> tuple[str, str]:
    where = urlencode({"plan": plan.code, "interval": interval})
    if mine is not None and not plan.per_seat:
        return f"Change to {plan.name}", f"{reverse('billing_change')}?{where}"
    trying = plan.trial_days and may_try
    label = f"Try {plan.trial_days} days free" if trying else f"Choose {plan.name}"
    return label, f"{reverse('billing_checkout')}?{where}"


def tokens_of(limits: Sequence[Any]) -> int | None:
    """The plan-wide tokens of a month; None when unlimited or not said."""
    for limit in limits:
        if limit["scope"] == "*" and limit["unit"] == "tokens":
            return None if limit["limit"] is None else int(limit["limit"])
    return None


def tax_note() -> str:
    """What the prices hold of tax."""
    seller = sellers.current()
    if not seller.gstin:
        return "Prices are what you pay: no tax is added."
    whole, part = divmod(seller.gst_rate_basis_points, 100)
    rate = f"{whole}.{part:02d}".rstrip("0") if part else str(whole)
    return f"Prices include {rate} % GST; every payment has its tax invoice."


def saved(card: Card) -> str:
    """What a year costs less than twelve months; empty when nothing."""
    by = {offer.interval: offer.paise for offer in card.offers}
    month, year = by.get(Interval.MONTH), by.get(Interval.YEAR)
    return rupees(12 * month - year) if month and year and 12 * month > year else ""
