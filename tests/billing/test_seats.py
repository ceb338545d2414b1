"""Seats that are paid for: no fewer than there are people, and what becomes of it when they are."""

from __future__ import annotations

import pytest

from accounts import teams
from accounts.models import Membership, Team
from billing import changing, checkout, holders, stopping
from billing.models import Difference, Subscription
from billing.standing import Holder
from oneai.kit.errors import Refusal
from tests.billing import paid, rows
from tests.billing.test_changing import INTERNATIONAL, again
from tests.billing.test_subscribing import refused
from tests.billing.world import World


def joined(world: World, team: Team, people: int) -> None:
    """So many more are in the team."""
    for _ in range(people):
        Membership.objects.create(team=team, user=world.person())


def with_a_team(world: World, seats: int = 1, **how: str) -> tuple[Holder, Team, Subscription]:
    """Somebody's team, and what was paid for it, by a card from abroad unless it is said."""
    owner = world.person()
    team = teams.create_team(owner, "Weavers")
    holder = Holder(owner.pk, team.pk)
    row = checkout.subscribe(owner, holder, "team", "month", seats=seats)
    world.pay(row, **(how or INTERNATIONAL))
    world.hear()
    return holder, team, row


def test_fewer_seats_than_people_are_not_sold(world: World) -> None:
    owner = world.person()
    team = teams.create_team(owner, "Weavers", seats=3)
    joined(world, team, 2)
    holder = Holder(owner.pk, team.pk)
    with pytest.raises(Refusal) as refusal:
        checkout.subscribe(owner, holder, "team", "month", seats=2)
    assert (refusal.value.code, refusal.value.details) == ("seats_taken", {"seats": 2, "members": 3})
    assert not Subscription.objects.exists()
    assert checkout.subscribe(owner, holder, "team", "month", seats=3).quantity == 3


def test_fewer_seats_than_people_are_not_changed_to(world: World) -> None:
    holder, team, row = with_a_team(world, seats=3)
    joined(world, team, 2)
    assert refused(changing.change, row.user, holder, "", "", 2, "") == "seats_taken"
    assert again(row).next_price is None


def test_who_joined_before_a_smaller_number_began_stays_and_the_owners_of_the_site_hear_of_it(world: World) -> None:
    holder, team, row = with_a_team(world, seats=3)
    assert changing.change(row.user, holder, "", "", 1, "").when == "cycle_end"
    joined(world, team, 2)
    world.pass_until(again(row).current_period_end)
    world.pass_time(hours=1)
    world.hear()
    row = again(row)
    team.refresh_from_db()
    assert (row.quantity, row.paid_count, team.seats, team.memberships.count()) == (1, 2, 3, 3)
    found = Difference.objects.get(kind="seats")
    assert (found.reference, found.ours, found.theirs) == (str(row.pk), {"team": str(team.pk)}, {"seats": 1})
    assert "people" in row.changes.filter(kind="seats_refused")[0].reason


def test_what_is_paid_for_a_person_sets_no_seats(world: World) -> None:
    user = world.person()
    row = world.subscribe(user, "team", seats=4)
    world.pay(row)
    world.hear()
    assert again(row).paid_count == 1 and not Difference.objects.exists()


def test_a_team_may_go_once_its_plan_has_ended(world: World) -> None:
    holder, team, row = with_a_team(world, method="upi")
    assert refused(holders.keep_subscribed, team.pk) == "team_subscribed"
    world.control("fault", {"fault": "503", "method": "POST", "path": "/subscriptions/*/cancel"})
    stopping.cancel(holder, "now", "", "her")
    assert str(again(row).status) == "active"  # Razorpay will be told: nothing is charged again
    holders.keep_subscribed(team.pk)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "kept"), [("active", True), ("paused", True), ("created", False), ("expired", False)]
)
def test_a_team_stays_while_somebody_pays_for_it(status: str, kept: bool) -> None:
    owner = paid.person()
    team = teams.create_team(owner, "Weavers")
    rows.subscribed(owner, "team", team_id=team.pk, status=status)
    if kept:
        assert refused(holders.keep_subscribed, team.pk) == "team_subscribed"
    else:
        holders.keep_subscribed(team.pk)
