"""Processes that meet at one person's or one team's money: ``python -m tests.billing.crossing ROLE ID …``.

Each says ``held`` once it has locked what it needs first, and goes on when a line comes; what it came to is printed
last, as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any
from uuid import UUID

import django

django.setup()

from django.db import transaction  # noqa: E402

from accounts import teams  # noqa: E402
from accounts.models import Membership, User  # noqa: E402
from billing import allowing, checkout, effects, ending, gateway, prices, standing, subscriptions  # noqa: E402
from billing.models import Plan, Subscription  # noqa: E402
from billing.standing import Holder  # noqa: E402
from quotas.ledger import Book  # noqa: E402
from tests.billing import paid  # noqa: E402
from tests.quotas.using import FREE, Purse  # noqa: E402


def held() -> None:
    print("held", flush=True)
    sys.stdin.readline()


def make_paid() -> Any:
    """Somebody in their first month of a plan: their id, the subscription's, and the tokens that they have."""
    payment = paid.subscribed(paid.person())
    row, start, end = payment.subscription, payment.period_start, payment.period_end
    assert row is not None and start is not None and end is not None
    row.terms = prices.terms_of(Plan.objects.get(pk=row.plan_id))
    row.current_period_start, row.current_period_end = start, end
    with transaction.atomic():
        standing.lock(row.user_id)
        allowing.give_cycle(row, row.terms, 1, start, end)
        row.save()
    tokens = next(each["limit"] for each in row.terms["limits"] if (each["scope"], each["unit"]) == ("*", "tokens"))
    return [str(row.user_id), str(row.pk), tokens]


def make_team() -> Any:
    """A team of two that is about to be paid for: its id, the member's, and the subscription at Razorpay."""
    list(prices.sync(gateway.razorpay()))
    owner, member = paid.person(), paid.person()
    team = teams.create_team(owner, "Weavers", seats=2)
    with transaction.atomic():
        Membership.objects.create(team=team, user=member)
        teams.changed(member.pk)
    row = checkout.subscribe(owner, Holder(owner.pk, team.pk), "team", "month", seats=2)
    return [str(team.pk), str(member.pk), row.razorpay_subscription_id]


def use(user_id: str, tokens: str) -> Any:
    """A call that uses ``tokens``: the transaction that lets it in ends late."""
    purse = Purse(User.objects.get(pk=user_id))
    with transaction.atomic():
        book = Book.open([purse.id])
        admitted = book.admit(purse.ask(bound=0, cap=int(tokens), price=FREE))
        book.close()
        held()
    return purse.settle(admitted, int(tokens))


def end_now(subscription_id: str) -> Any:
    """What is given back when the plan is ended now, in paise."""
    with transaction.atomic():
        row = subscriptions.again(UUID(subscription_id))
        standing.lock(row.user_id)
        asked = ending.end_now(row, reason="", actor="her")
        row.save()
    return sum(each.amount_paise for each in asked)


def pause(subscription_id: str) -> Any:
    """What is kept of the month's tokens when the plan is paused now."""
    with transaction.atomic():
        row = subscriptions.again(UUID(subscription_id))
        standing.lock(row.user_id)
        allowing.pause(row)
        row.save()
    left = row.metadata["stopped"]["left"]
    return next(each["limit"] for each in left if (each["scope"], each["unit"]) == ("*", "tokens"))


def take_out(team_id: str, user_id: str) -> Any:
    """Take a member out of a team: its row first, the member's account later."""
    with transaction.atomic():
        teams.lock(UUID(team_id))
        held()
        Membership.objects.filter(team_id=team_id, user_id=user_id).delete()
        teams.changed(UUID(user_id))
    return Membership.objects.filter(team_id=team_id).count()


def hear(razorpay_id: str) -> Any:
    """The first payment for a team is heard of: its tokens and its seats are given."""
    return Subscription.objects.get(pk=effects.apply_subscription(razorpay_id).pk).paid_count


def call(user_id: str) -> Any:
    """A member asks for something: their account is locked, then the team's."""
    with transaction.atomic():
        Book.open([UUID(user_id)])
    return "through"


ROLES: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (make_paid, make_team, use, end_now, pause, take_out, hear, call)
}

if __name__ == "__main__":
    print(json.dumps(ROLES[sys.argv[1]](*sys.argv[2:])), flush=True)
