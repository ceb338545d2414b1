"""Whose money it is: the lock under which billing writes anything of a person, and the label of their plan."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import User
from accounts.standing import set_plan_label
from accounts.team_models import Team
from billing.models import Subscription, SubscriptionStatus
from billing.plans import DEFAULT_PLAN
from oneai.kit.clock import now
from quotas.models import Allowance

Status = SubscriptionStatus

OPEN = frozenset({Status.CREATING, Status.CREATED})
LIVE = frozenset({Status.AUTHENTICATED, Status.ACTIVE, Status.PENDING, Status.HALTED, Status.PAUSED})
ENDED = frozenset({Status.CANCELLED, Status.COMPLETED, Status.EXPIRED})


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a subscription: a person for themselves, or for a team that they pay for."""

    user_id: UUID
    team_id: UUID | None = None


def holder_of(row: Subscription) -> Holder:
    """Whose subscription it is."""
    return Holder(row.user_id, row.team_id)


def lock(user_id: UUID) -> None:
    """Until the end of the transaction nobody else writes anything of this person's money.

    The first statement of every transaction of billing; the locks of quotas come after it. On SQLite the
    transaction is the lock. Rows that refer to the person can be written all the while.
    """
    User.objects.select_for_update(no_key=True).only("pk").get(pk=user_id)


def lock_with_team(row: Subscription) -> None:
    """As ``lock``, for what may end what somebody else pays, and set a team's seats.

    First everybody who ever subscribed for the team, then the team, and accounts after both: whoever takes a member
    out has the team's row and waits for the member's account, whose call may wait for the team's.
    """
    if row.team_id is None:
        lock(row.user_id)
        return
    payers = {row.user_id, *of(holder_of(row)).values_list("user_id", flat=True)}
    for rows in (User.objects.filter(pk__in=payers), Team.objects.filter(pk=row.team_id)):
        list(rows.select_for_update(no_key=True).only("pk").order_by("pk"))


def live(holder: Holder) -> list[Subscription]:
    """What the holder has subscribed to and has not ended, the newest last."""
    mine = of(holder).filter(status__in=LIVE)
    return list(mine.select_related("plan", "price", "next_price").order_by("created_at", "id"))


def of(holder: Holder) -> QuerySet[Subscription]:
    """Everything that was ever subscribed for the holder; for a team, by whoever owned it then."""
    if holder.team_id is not None:
        return Subscription.objects.filter(team_id=holder.team_id)
    return Subscription.objects.filter(user_id=holder.user_id, team_id=None)


def relabel(user_id: UUID) -> None:
    """Write the name of the person's plan and how their subscription stands into their row."""
    own = Subscription.objects.filter(user_id=user_id, team_id=None).select_related("plan")
    running = list(own.filter(status__in=LIVE).order_by("-created_at", "-id"))
    if not running:
        ended = own.filter(status__in=ENDED, paid_count__gt=0) | own.filter(status__in=ENDED, trial=True)
        running = list(ended.order_by("-ended_at", "-id")[:1])
    if not running:
        return
    # One that takes over at the end of the cycle stands beside the one that still gives.
    giving = next((row for row in running if has_allowance(user_id, f"sub:{row.pk}:")), None)
    set_plan_label(user_id, giving.plan.code if giving else DEFAULT_PLAN, (giving or running[0]).status)


def has_allowance(user_id: UUID, source: str) -> bool:
    """Whether something that was given from a source beginning so is in force."""
    at = now()
    running = Q(until=None) | Q(until__gt=at)
    return Allowance.objects.filter(running, user_id=user_id, source__startswith=source, starts_at__lte=at).exists()
