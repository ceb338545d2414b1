"""The price list as somebody sees it: what each plan costs them, which is theirs, and where the button leads."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from accounts.models import User
from billing import plans, price_list
from billing.models import Plan
from billing.price_list import Card, Offer
from oneai.kit.clock import uuid7
from tests.accounts.people import make
from tests.billing import paid
from tests.billing.world import World

BUY, CHANGE = "/billing/checkout?plan={}&interval={}", "/billing/change?plan={}&interval={}"


def card(user: User | None, code: str) -> Card:
    return next(each for each in price_list.cards(user) if each.plan.code == code)


def buttons(user: User | None, code: str) -> list[tuple[str, str]]:
    """Label and address of the buttons of a plan, that of the month first."""
    return [(offer.label, offer.href) for offer in card(user, code).offers]


@pytest.mark.django_db
def test_while_nothing_can_be_sold_prices_are_shown_without_buttons(settings: Any) -> None:
    settings.RAZORPAY_KEY_ID = ""
    assert [each.plan.code for each in price_list.cards(None)] == ["free", "plus", "pro", "team"]
    assert [(each.interval, each.paise) for each in card(None, "plus").offers] == [("month", 49_900), ("year", 499_000)]
    assert buttons(None, "plus") == [("", ""), ("", "")]
    assert buttons(None, "free") == [("Start free", reverse("account_signup"))]
    assert buttons(make(), "free") == [("Open chat", "/c")]


def test_a_visitor_chooses_a_plan_by_the_month_or_the_year(world: World) -> None:
    assert buttons(None, "plus") == [
        ("Choose Plus", BUY.format("plus", "month")), ("Choose Plus", BUY.format("plus", "year")),
    ]  # fmt: skip
    assert not any(each.mine or each.custom for each in price_list.cards(None))


def test_a_trial_is_offered_to_who_may_have_one(world: World) -> None:
    Plan.objects.filter(code="plus").update(trial_days=15)
    assert buttons(None, "plus")[0] == ("Try 15 days free", BUY.format("plus", "month"))
    assert buttons(make(), "plus")[0][0] == "Try 15 days free"
    assert buttons(make(verified=False), "plus")[0][0] == "Choose Plus"
    assert buttons(make(), "pro")[0][0] == "Choose Pro"


def test_who_has_a_plan_changes_it_and_takes_seats_beside_it(world: World) -> None:
    user = world.person()
    assert [each.plan.code for each in price_list.cards(user) if each.mine] == ["free"]
    world.subscribed(user)
    assert buttons(user, "pro")[1] == ("Change to Pro", CHANGE.format("pro", "year"))
    assert buttons(user, "team")[0] == ("Choose Team", BUY.format("team", "month"))
    assert [each.plan.code for each in price_list.cards(user) if each.mine] == ["plus"]
    assert [offer.current for offer in card(user, "plus").offers] == [True, False]
    assert not any(offer.current for offer in card(user, "pro").offers)


def test_what_staff_have_given_is_ones_own_without_being_paid(world: World) -> None:
    user = world.person()
    plans.grant(user, "pro", reason="a test", actor="test")
    user.refresh_from_db()
    mine = card(user, "pro")
    assert mine.mine and not any(offer.current for offer in mine.offers)
    assert buttons(user, "plus")[0][0] == "Choose Plus"


def test_a_plan_made_for_one_person_is_seen_by_them_alone(world: World) -> None:
    user, stranger = world.person(), world.person()
    own = Plan.objects.get(code="plus")
    own.pk, own.code, own.only_for, own.price_year_paise = uuid7(), "bespoke", user, 0
    own.save(force_insert=True)
    assert card(user, "bespoke").custom
    assert [offer.interval for offer in card(user, "bespoke").offers] == ["month"]
    for other in (stranger, None):
        assert "bespoke" not in [each.plan.code for each in price_list.cards(other)]
    Plan.objects.filter(code="bespoke").update(is_active=False)
    assert "bespoke" not in [each.plan.code for each in price_list.cards(user)]


@pytest.mark.parametrize(
    ("limits", "tokens"),
    [
        ([{"scope": "*", "unit": "nano_usd", "limit": 7}, {"scope": "*", "unit": "tokens", "limit": 5}], 5),
        ([{"scope": "class:x", "unit": "tokens", "limit": 7}, {"scope": "*", "unit": "tokens", "limit": 5}], 5),
        ([{"scope": "*", "unit": "tokens", "limit": None}], None),
        ([{"scope": "*", "unit": "tokens", "limit": 0}], 0),
        ([{"scope": "class:x", "unit": "tokens", "limit": 7}], None),
        ([], None),
    ],
)
def test_the_tokens_of_a_plan_are_those_of_all_its_models(limits: list[Any], tokens: int | None) -> None:
    assert price_list.tokens_of(limits) == tokens


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("seller", "says"),
    [
        ({"gstin": ""}, "Prices are what you pay: no tax is added."),
        ({}, "Prices include 18 % GST; every payment has its tax invoice."),
        ({"gst_rate_basis_points": 1250}, "Prices include 12.5 % GST; every payment has its tax invoice."),
        ({"gst_rate_basis_points": 1206}, "Prices include 12.06 % GST; every payment has its tax invoice."),
    ],
)
def test_what_the_prices_hold_of_tax_is_said(seller: dict[str, Any], says: str) -> None:
    paid.seller(**seller)
    assert price_list.tax_note() == says


@pytest.mark.parametrize(
    ("month", "year", "saved"), [(49_900, 499_000, "₹998.00"), (100, 1_200, ""), (100, 1_199, "₹0.01"), (100, 0, "")]
)
def test_what_a_year_saves_is_said_when_it_does(month: int, year: int, saved: str) -> None:
    offers = [Offer("month", month), *([Offer("year", year)] if year else [])]
    assert price_list.saved(Card(Plan(), offers, None, mine=False, custom=False)) == saved


def test_a_year_by_the_month_never_says_too_little() -> None:
    assert Offer("year", 499_000).a_month == 41_600
    assert Offer("year", 120_000).a_month == 10_000
    assert Offer("year", 120_001).a_month == 10_100
    assert Offer("month", 49_950).a_month == 49_950
