"""The prices that are sold: made at Razorpay once, taken off with their plan, and never changed for who pays them."""

from __future__ import annotations

from typing import Any

import pytest

from billing import gateway, prices
from billing.models import Plan, Price
from tests.billing.test_subscribing import refused
from tests.billing.world import World


def sync() -> dict[tuple[str, str], str]:
    """What came of each price, by its plan and interval."""
    return {(each.price.plan.code, each.price.interval): each.result for each in prices.sync(gateway.razorpay())}


def test_a_plan_off_sale_is_sold_to_nobody_and_comes_back_as_a_new_version(world: World) -> None:
    user = world.person()
    Plan.objects.filter(code="plus").update(is_active=False)
    found = sync()
    assert {each for each, result in found.items() if result == "off"} == {("plus", "month"), ("plus", "year")}
    assert not Price.objects.filter(plan__code="plus", current=True).exists()
    assert refused(prices.for_sale, Plan.objects.get(code="plus"), "month") == "plan_not_for_sale"
    assert {code for code, _ in sync()} == {"pro", "team"}
    Plan.objects.filter(code="plus").update(is_active=True)
    assert refused(world.subscribe, user) == "plan_not_for_sale"
    assert prices.sync_due() == 2
    months = Price.objects.filter(plan__code="plus", interval="month").order_by("version")
    assert list(months.values_list("version", "current")) == [(1, False), (2, True)]
    assert world.subscribe(user).price.version == 2


@pytest.mark.parametrize(("paise", "sold"), [(0, False), (99, False), (100, True)])
def test_a_price_of_less_than_a_rupee_is_not_sold(world: World, paise: int, sold: bool) -> None:
    Plan.objects.filter(code="pro").update(price_year_paise=paise)
    found = sync()
    assert (found["pro", "month"], found["pro", "year"]) == ("kept", "new" if sold else "off")


def test_changed_terms_are_a_new_version_and_the_free_plan_has_no_price(world: World) -> None:
    Plan.objects.filter(code__in=["free", "pro"]).update(requests_per_minute=7, price_month_paise=149_900)
    found = sync()
    assert found == {
        ("plus", "month"): "kept", ("plus", "year"): "kept", ("pro", "month"): "new", ("pro", "year"): "new",
        ("team", "month"): "kept", ("team", "year"): "kept",
    }  # fmt: skip
    terms = Price.objects.get(plan__code="pro", interval="month", current=True).terms
    assert (terms["plan"], terms["rates"]["requests_per_minute"]) == ("pro", 7)


def test_while_razorpay_is_away_a_new_price_waits_and_is_made_once(world: World) -> None:
    Plan.objects.filter(code="plus").update(price_month_paise=59_900)
    made = world.control("objects")["plan"]
    world.control("fault", {"fault": "503", "method": "POST", "path": "/plans"})
    assert refused(prices.sync_due) == "payments_unavailable"
    price = Price.objects.get(plan__code="plus", interval="month", current=True)
    assert (price.version, price.razorpay_plan_id) == (2, None)
    assert refused(world.subscribe, world.person()) == "plan_not_for_sale"
    assert prices.sync_due() == 0  # it is there, and has its plan at Razorpay now
    price.refresh_from_db()
    assert price.razorpay_plan_id is not None and world.control("objects")["plan"] == made + 1


def test_while_payments_are_off_no_price_is_made(world: World, settings: Any) -> None:
    Plan.objects.filter(code="plus").update(price_month_paise=59_900)
    settings.RAZORPAY_KEY_ID = ""
    assert prices.sync_due() == 0
    assert not Price.objects.filter(version=2).exists()


def test_razorpay_is_asked_for_a_plan_by_the_month_or_the_year_and_for_ten_years_of_it(world: World) -> None:
    made = {each["notes"]["oneai_key"]: each for each in world.control("objects?kind=plan")["items"]}
    told = {
        (price.plan.code, price.interval): (
            made[str(price.pk)]["period"], made[str(price.pk)]["interval"], made[str(price.pk)]["item"]["amount"],
        )
        for price in Price.objects.select_related("plan")
    }  # fmt: skip
    assert (told["plus", "month"], told["plus", "year"]) == (("monthly", 1, 49_900), ("yearly", 1, 499_000))
    assert len(told) == 6
    user = world.person()
    assert [world.subscribe(user, "pro", each).total_count for each in ("month", "year")] == [120, 10]


@pytest.mark.parametrize(("paise", "warns"), [(15_000_00, False), (15_000_01, True)])
def test_what_can_not_be_debited_by_itself_is_warned_of_while_it_is_sold(world: World, paise: int, warns: bool) -> None:
    Plan.objects.filter(code="team").update(price_year_paise=paise)

    def warned() -> list[tuple[str, str]]:
        return [(each.price.plan.code, each.warning) for each in prices.sync(gateway.razorpay()) if each.warning]

    told = warned()
    assert [code for code, _ in told] == (["team"] if warns else [])
    assert all(text.startswith("team by the year costs ₹15,000: ") for _, text in told)
    Plan.objects.filter(code="team").update(is_active=False)
    assert warned() == []
