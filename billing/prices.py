"""The prices that plans are sold at, and the plans behind them at Razorpay, which never change.

A changed price or changed terms are a new version, which new subscriptions take; who has the older one keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction

from billing import gateway, plans
from billing.models import Plan, Price
from billing.models.plans import Interval
from billing.razorpay.client import Razorpay
from billing.razorpay.errors import RazorpayError
from billing.razorpay.once import made_since, once
from oneai.kit.errors import Refusal
from quotas.policy import RATES

AUTO_DEBIT_PAISE: Final = 15_000_00
"""What a card or UPI mandate may be charged without its owner: above it each renewal would fail."""
LEAST_PAISE: Final = 100
PERIODS: Final[dict[str, Any]] = {Interval.MONTH: "monthly", Interval.YEAR: "yearly"}
CYCLES: Final[dict[str, int]] = {Interval.MONTH: 120, Interval.YEAR: 10}


@dataclass(frozen=True, slots=True)
class Synced:
    """What came of one price: ``new``, ``kept`` or ``off``; ``warning`` when it can't be charged by itself."""

    price: Price
    result: str
    warning: str = ""


def terms_of(plan: Plan) -> dict[str, Any]:
    """What the plan allows now, as a price keeps it."""
    return {
        "plan": plan.code,
        "limits": plan.limits,
        "model_patterns": plan.model_patterns,
        "rates": {name: getattr(plan, name) for name in RATES},
    }


def amount_of(plan: Plan, interval: str) -> int:
    """What a cycle costs, in paise; 0 when it is not sold so."""
    return plan.price_year_paise if interval == Interval.YEAR else plan.price_month_paise


def cycles(price: Price) -> int:
    """How many cycles a subscription is made for: ten years."""
    return CYCLES[price.interval]


def for_sale(plan: Plan, interval: str) -> Price:
    """The price that a new subscription takes.

    Refusal ``plan_not_for_sale`` when Razorpay has none that is the one shown: nobody pays another than they saw.
    """
    found = (
        Price.objects.filter(plan=plan, interval=interval, mode=gateway.mode(), current=True)
        .exclude(razorpay_plan_id=None)
        .select_related("plan")
        .first()
    )
    if found is None or not plan.is_active or found.amount_paise != amount_of(plan, interval):
        raise Refusal("plan_not_for_sale", param="interval")
    return found


def sync(razorpay: Razorpay) -> Iterator[Synced]:
    """Bring the prices of every plan to what it says now, and make at Razorpay what is missing there.

    RazorpayError when Razorpay fails; what was done until then stays, and a repetition makes nothing twice.
    """
    for plan in Plan.objects.order_by("position", "code"):
        for interval in Interval.values:
            price, new = _current(plan, interval)
            if price is None:
                continue
            if price.razorpay_plan_id is None:
                _make(razorpay, price)
            result = "off" if not price.current else "new" if new else "kept"
            yield Synced(price, result, _warning(plan, price))


def sync_due() -> int:
    """Do what ``sync`` does when a plan has changed; how many prices are new. Asks Razorpay for nothing otherwise."""
    if not gateway.configured():
        return 0
    try:
        return sum(each.result == "new" for each in sync(gateway.razorpay()))
    except RazorpayError as error:
        raise gateway.as_refusal(error) from error


def _warning(plan: Plan, price: Price) -> str:
    if not price.current or price.amount_paise <= AUTO_DEBIT_PAISE:
        return ""
    return (
        f"{plan.code} by the {price.interval} costs ₹{price.amount_paise // 100:,}: cards and UPI debit at most "
        "₹15,000 by themselves, so that each renewal has to be confirmed by the customer"
    )


@transaction.atomic
def _current(plan: Plan, interval: str) -> tuple[Price | None, bool]:
    """The price that is to be sold, and whether it was made now; one of a plan that is off sale is not current."""
    Plan.objects.select_for_update(no_key=True).get(pk=plan.pk)
    rows = Price.objects.filter(plan=plan, interval=interval, mode=gateway.mode())
    found = rows.filter(current=True).first()
    amount, terms = amount_of(plan, interval), terms_of(plan)
    if not plan.is_active or amount < LEAST_PAISE or plan.code == plans.DEFAULT_PLAN:
        if found is not None:
            rows.filter(pk=found.pk).update(current=False)
            found.current = False
        return found, False
    same = found is not None and (found.amount_paise, found.currency, found.terms) == (amount, plan.currency, terms)
    if found is not None and same:
        return found, False
    rows.filter(current=True).update(current=False)
    last = rows.order_by("-version").values_list("version", flat=True).first() or 0
    made = Price.objects.create(
        plan=plan,
        version=last + 1,
        interval=interval,
        amount_paise=amount,
        currency=plan.currency,
        terms=terms,
        mode=gateway.mode(),
    )
    return made, True


def _make(razorpay: Razorpay, price: Price) -> None:
    """Make the plan at Razorpay, or find the one that an earlier try has made."""
    key, since = str(price.pk), made_since(price.created_at)
    seen = once(
        lambda: razorpay.create_plan(
            key,
            period=PERIODS[price.interval],
            interval=1,
            name=f"{price.plan.name} by the {price.interval}",
            amount=price.amount_paise,
            currency=price.currency,
            notes={"plan": price.plan.code, "version": str(price.version)},
        ),
        lambda: razorpay.plan_by_key(key, since),
        tried_before=True,
    )
    Price.objects.filter(pk=price.pk, razorpay_plan_id=None).update(razorpay_plan_id=seen.id)
    price.refresh_from_db()
