"""Teams that somebody pays for and does not own any more: the mandate stays theirs until it is stopped or taken over.

Whoever owns the team now decides about its plan; whose card is charged for it is decided by each of the two alone.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from accounts import teams
from accounts.models import User
from accounts.team_models import Membership, Team, TeamRole
from billing import ending, standing, subscriptions
from billing.models import Subscription
from billing.standing import LIVE
from oneai.kit.errors import Refusal


def check_own(row: Subscription, user_id: UUID) -> None:
    """Refusal ``permission_denied`` for what would have somebody else charged who may have stopped that."""
    if row.user_id != user_id:
        raise Refusal("permission_denied", "Somebody else pays for it. Take the payment over instead.")


def for_others(user: User) -> list[Subscription]:
    """What the person pays for teams that they do not own."""
    mine = Subscription.objects.filter(user=user, status__in=LIVE).exclude(team_id=None)
    own = Membership.objects.filter(user=user, role=TeamRole.OWNER).values("team_id")
    found = mine.exclude(team_id__in=own).exclude(metadata__has_key="ended")
    return list(found.select_related("plan", "price", "next_price__plan", "user").order_by("created_at"))


def stop(user: User, subscription_id: UUID) -> Subscription:
    """Let the person pay no more for a team that is not theirs: it ends with the period that they have paid for.

    Refusal ``not_found``, also when it has ended.
    """
    with transaction.atomic():
        standing.lock(user.pk)
        mine = {row.pk for row in for_others(user)}
        if subscription_id not in mine:
            raise Refusal("not_found")
        row = subscriptions.again(subscription_id)
        if ending.is_running(row):
            ending.end_with_cycle(row, reason="Stopped by whoever pays", actor=user.email)
        else:
            ending.end_now(row, reason="Stopped by whoever pays", actor=user.email)
        row.save()
        standing.relabel(row.user_id)
    return row


def team_of(row: Subscription) -> Team:
    """The team that ``row`` is paid for."""
    return Team.objects.get(pk=str(row.team_id))


def tell_of_transfer(team_id: UUID, before: User, after: User) -> None:
    """Whoever still pays for the team, and its new owner, are told so; in the transaction of the transfer."""
    rows = Subscription.objects.filter(team_id=team_id, status__in=LIVE, cancel_at_cycle_end=False)
    for row in rows.exclude(user=after).exclude(metadata__has_key="ended").select_related("plan", "price", "user"):
        subscriptions.note(row, "handed_over", before=before.email[:40], after=after.email[:40], heir=str(after.pk))


def owner_of(row: Subscription) -> User | None:
    """Who owns the team of ``row`` now."""
    try:
        return teams.owner_of(row.team_id) if row.team_id else None
    except Refusal:
        return None
