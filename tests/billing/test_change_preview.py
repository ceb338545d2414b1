"""What a change or an end is said to come to is what it comes to."""

from __future__ import annotations

import pytest

from billing import change_preview, changing, ending, prices, stopping
from billing.change_preview import Preview
from billing.models import Payment, Plan, Refund, Subscription
from billing.standing import Holder
from tests.billing.test_changing import INTERNATIONAL, again
from tests.billing.world import World


def preview(row: Subscription, code: str, interval: str = "", seats: int | None = None) -> Preview:
    wanted = changing.wish(row.user, row, code, interval, seats, "")
    return change_preview.of(Holder(row.user_id), row, wanted)


def test_a_change_in_place_costs_what_was_said(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, **INTERNATIONAL)
    world.pass_time(days=15)
    said = preview(again(row), "pro")
    assert (said.now, said.renewed, said.back, said.by_hand, said.can_wait) == (True, False, 0, 0, True)
    assert said.pay == said.charge - said.credit > 0
    assert (said.after, said.price) == ("Pro, monthly", "₹1,499.00 a month")
    assert said.tokens_a_month == 8_000_000 and 2_700_000 < said.tokens < 3_200_000
    world.change(user, "pro")
    paid = Payment.objects.filter(subscription=row).order_by("-created_at")[0]
    assert abs(paid.amount_paise - said.pay) < 3_600  # Razorpay counts days


def test_another_mandate_costs_all_of_the_new_plan_and_the_rest_of_the_old_goes_back(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, method="upi")
    world.pass_time(days=10)
    said = preview(again(row), "pro")
    assert (said.pay, said.renewed, said.now, said.by_hand) == (149_900, True, True, 0)
    new = world.change(user, "pro").replacement
    world.pay(new, method="upi")
    world.hear()
    back = Refund.objects.get(payment__subscription=row).amount_paise
    assert said.back > 0 and abs(said.back - back) < 10
    assert Payment.objects.get(subscription=new).amount_paise == said.pay


def test_what_is_smaller_costs_nothing_before_the_period_ends(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, "pro", method="upi")
    said = preview(again(row), "plus")
    assert (said.pay, said.back, said.by_hand, said.can_wait, said.now) == (0, 0, 0, False, False)
    assert said.at == again(row).current_period_end and said.tokens_a_month == 2_000_000


def test_what_goes_back_by_hand_is_said_before(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, interval="year", method="upi")
    world.pass_time(days=210)
    said = preview(again(row), "pro")
    assert 0 < said.by_hand == said.back
    later = preview(again(row), "plus", "month")  # nothing goes back by hand or otherwise when it comes later
    assert (later.now, later.back, later.by_hand) == (False, 0, 0)


def test_more_seats_cost_by_the_seat(world: World) -> None:
    user = world.person()
    row = world.subscribe(user, "team", seats=3)
    world.pay(row, method="upi")
    world.hear()
    said = preview(again(row), "", seats=5)
    assert (said.pay, said.tokens_a_month, said.after) == (5 * 129_900, 5 * 6_000_000, "Team, monthly, 5 seats")


def test_a_plan_without_a_bound_of_tokens_says_no_number(world: World) -> None:
    user = world.person()
    row = again(world.subscribed(user, method="upi"))
    wanted = changing.wish(user, row, "pro", "", None, "")
    wanted.price.terms = wanted.price.terms | {"limits": []}
    assert change_preview.of(Holder(user.pk), row, wanted).tokens_a_month is None


def test_what_may_be_changed_to_is_by_seats_where_the_plan_is(world: World) -> None:
    one, team = world.person(), world.person()
    Plan.objects.filter(code="pro").update(only_for=one)
    plus = again(world.subscribed(one, method="upi"))
    offers = change_preview.offers(one, plus)
    assert [each.value for each in offers] == ["plus:year", "pro:month", "pro:year"]
    assert [each.smaller or each.current or each.per_seat for each in offers] == [False] * 3
    assert (offers[1].label, offers[1].price, offers[1].tokens) == ("Pro, monthly", "₹1,499.00 a month", 8_000_000)
    assert offers[0].label == "Plus, yearly"
    row = world.subscribe(team, "team", "year", seats=2)
    world.pay(row, method="card_international")
    world.hear()
    found = [(each.value, each.smaller, each.current) for each in change_preview.offers(team, again(row))]
    assert found == [("team:month", True, False), ("team:year", False, True)]
    assert change_preview.offers(team, again(row))[0].price == "₹1,299.00 a month per seat"
    assert "pro:month" not in [each.value for each in change_preview.offers(team, plus)]


def test_who_keeps_an_older_price_is_shown_that_for_their_own_plan(world: World) -> None:
    user = world.person()
    row = world.subscribe(user, "team", seats=2)
    world.pay(row, method="upi")
    world.hear()
    Plan.objects.filter(code="team").update(price_month_paise=199_900)
    assert prices.sync_due() == 1
    (own,) = [each for each in change_preview.offers(user, again(row)) if each.current]
    assert own.price == "₹1,299.00 a month per seat"


# Ending ------------------------------------------------------------------------------------------
def test_an_end_gives_back_what_was_said(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.pass_time(days=10)
    said = change_preview.of_ending(again(row), user)
    assert (said.with_cycle, said.trial, said.by_hand, said.paid) == (True, False, 0, 49_900)
    assert dict(said.facts)["Paid for this period"] == "₹499.00" and dict(said.facts)["It runs until"] == said.on
    stopping.cancel(Holder(user.pk), "now", "", "her")
    assert abs(said.back - Refund.objects.get().amount_paise) < 10


def test_what_has_stopped_has_no_period_to_end_with(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.walk(row, "works", works=False)
    world.pass_time(days=36)
    world.hear()
    said = change_preview.of_ending(again(row), user)
    assert (said.with_cycle, said.back, said.paid, said.by_hand) == (False, 0, 0, 0)
    assert [name for name, _ in said.facts] == ["Plan"] and not ending.is_running(again(row))


@pytest.mark.parametrize("method", ["upi", "card_international"])
def test_before_its_first_charge_it_ends_with_what_comes_before(world: World, method: str) -> None:
    user = world.person()
    world.subscribed(user, "pro", method="upi")
    new = world.change(user, "plus").replacement
    world.pay(new, method=method)
    world.hear()
    said = change_preview.of_ending(again(new), user)
    assert (said.with_cycle, said.trial, said.back) == (True, False, 0)
