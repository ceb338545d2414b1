"""One subscription an account: the one that was paid for last takes over, and what it displaces is given back.

So a changed mandate is a new subscription that ends the old one only once it is paid, and two that were paid for by
mistake come to the same.
"""

from __future__ import annotations

from billing import ending, payments
from billing.models import Subscription
from billing.standing import ENDED, LIVE, Holder, of

REPLACED = "replaced"


def is_displaced(row: Subscription) -> bool:
    """Whether the holder has paid for one that was asked for after ``row``, which is heard of only now."""
    newer = of(Holder(row.user_id, row.team_id)).filter(created_at__gt=row.created_at, status__in=LIVE)
    return any("ended" not in each.metadata and payments.running(each) is not None for each in newer)


def take_over(row: Subscription) -> None:
    """End every older subscription of the same holder now, their unused parts refunded.

    Under the caller's lock, which is that of everybody who has paid for the team (``standing.lock_with_team``).

    Called before ``row`` gives anything: what is left of the old ones is read from the quota of now.
    """
    older = of(Holder(row.user_id, row.team_id)).filter(created_at__lt=row.created_at, status__in=LIVE | ENDED)
    for old in older.select_related("plan", "price", "next_price").order_by("created_at", "id"):
        if old.status in ENDED and payments.running(old) is None:
            continue
        ending.end_now(old, reason=f"{row.plan.name} has taken over", actor="", why=REPLACED)
        old.save()
