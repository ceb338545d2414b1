"""For whom somebody may pay: for themselves, or for a team that they own; and what a team is told of it."""

from __future__ import annotations

from uuid import UUID

import structlog

from accounts import teams
from accounts.models import User
from accounts.team_models import Membership, TeamRole
from accounts.team_places import place_in
from billing import differences, subscriptions
from billing.models import Subscription
from billing.standing import LIVE, Holder
from oneai.kit.errors import Refusal

log = structlog.get_logger("billing")


def holder_for(user: User, team_id: UUID | None = None) -> Holder:
    """The holder that ``user`` may act for.

    Refusal ``not_found`` for a team that they are not in, ``permission_denied`` for one that they do not own.
    """
    if team_id is None:
        return Holder(user.pk)
    return Holder(user.pk, place_in(user.pk, team_id, TeamRole.OWNER).team_id)


def check_seats_of(team_id: UUID | None, seats: int) -> None:
    """Refusal ``seats_taken`` when more people are in the team than that."""
    if team_id is None:
        return
    members = Membership.objects.filter(team_id=team_id).count()
    if members > seats:
        raise Refusal("seats_taken", details={"seats": seats, "members": members})


def give_seats(row: Subscription) -> None:
    """Tell the team how many seats are paid for. More people than that stay in it: owners of the site hear of it."""
    if row.team_id is None:
        return
    try:
        teams.set_seats(row.team_id, row.quantity, reason=f"{row.plan.name}, paid")
    except Refusal as refusal:
        subscriptions.note(row, "seats_refused", reason=refusal.text)
        differences.note("seats", str(row.pk), ours={"team": str(row.team_id)}, theirs={"seats": row.quantity})


def keep_subscribed(team_id: UUID) -> None:
    """Refusal ``team_subscribed`` for a team that is to be deleted while it is paid for."""
    rows = Subscription.objects.filter(team_id=team_id, status__in=LIVE)
    if any("ended" not in row.metadata for row in rows):
        raise Refusal("team_subscribed")
