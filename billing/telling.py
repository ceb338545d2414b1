"""Which entry of a subscription's history is told by mail, in the transaction that writes the entry.

Said in one place, so that whoever writes history (events, the browser's return, the reconciler, a person's wish) need
not think of mail. Receipts and refunds go with their papers (``billing.invoice_mails``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from accounts import teams
from accounts.models import User
from accounts.team_models import Membership, TeamRole
from billing import emails, payments
from billing.models import Payment, Price, Subscription, SubscriptionChange, SubscriptionStatus

Status = SubscriptionStatus
ENDED: Final = frozenset({Status.CANCELLED, Status.COMPLETED, Status.EXPIRED})
REPLACED: Final = "replaced"


def of_change(change: SubscriptionChange) -> bool:
    """Write the mail that ``change`` calls for, if any. ``change.subscription`` is the row as it is being written."""
    tell = _BY_KIND.get(change.kind)
    return tell is not None and tell(change)


def _state(change: SubscriptionChange) -> bool:
    row = change.subscription
    if change.after == Status.PENDING:
        return emails.payment_failed(row)
    if change.after == Status.HALTED:
        return emails.halted(row)
    if change.after == Status.PAUSED:
        return emails.paused(change)
    if (change.before, change.after) == (Status.PAUSED, Status.ACTIVE):
        return emails.resumed(change)
    if change.after in ENDED - {Status.COMPLETED} and _was_used(row):
        return emails.cancelled(row)
    return False


def _completed(change: SubscriptionChange) -> bool:
    """It was charged for the last time: its last period runs, or is over already."""
    row = change.subscription
    if not _was_used(row):
        return False
    return emails.last_period(row) if payments.running(row) is not None else emails.cancelled(row)


def _was_used(row: Subscription) -> bool:
    """Whether its end is news: it gave something, and nothing has taken over from it."""
    replaced = (row.metadata.get("ended") or {}).get("why") == REPLACED
    return not replaced and (row.paid_count > 0 or "tried" in row.metadata)


def _payment_failed(change: SubscriptionChange) -> bool:
    """A failed first payment is said on the page where it is made; that of a renewal by mail."""
    row = change.subscription
    if row.status != Status.PENDING:
        return False
    found = Payment.objects.filter(razorpay_payment_id=change.details.get("payment", "")).first()
    return emails.payment_failed(row, found)


def _end_now(change: SubscriptionChange) -> bool:
    after = _taken_over(change.subscription) if change.details.get("why") == REPLACED else None
    if after is not None:
        return emails.taken_over(change, after)
    if change.details.get("why") == REPLACED or not _was_used(change.subscription):
        return False
    back, by_hand = int(change.details.get("refund_paise") or 0), bool(change.details.get("by_hand"))
    return emails.cancelled(change.subscription, refund_paise=back, by_hand=by_hand)


def _cancel_asked(change: SubscriptionChange) -> bool:
    """The customer's wish; without an actor another subscription takes over when this one ends."""
    row = change.subscription
    if change.actor:
        owner = _owner(row)
        return emails.team_plan_ends(change, owner) if owner is not None else emails.cancel_scheduled(change)
    new = (
        Subscription.objects.filter(replaces=row).select_related("price__plan", "user").order_by("-created_at").first()
    )
    if new is not None and new.user_id != row.user_id:
        return emails.taken_over(change, new)
    return new is not None and emails.plan_changed(change, old=_held(row), new=_held(new), at=new.starts_at)


def _change_asked(change: SubscriptionChange) -> bool:
    row = change.subscription
    if change.details.get("when") != "cycle_end" or row.next_price is None:
        return False
    new = row.next_price, row.next_quantity or row.quantity
    return emails.plan_changed(change, old=_held(row), new=new, at=row.current_period_end)


def _changed(change: SubscriptionChange) -> bool:
    """Razorpay shows the new terms; the row still has the old ones."""
    row = change.subscription
    assert row.next_price is not None
    asked = row.metadata.get("change") or {}
    paid = int(asked.get("expected") or 0) if asked.get("when") == "now" else 0
    new = row.next_price, row.next_quantity or row.quantity
    return emails.plan_changed(change, old=_held(row), new=new, paid_paise=paid)


def _paid(change: SubscriptionChange) -> bool:
    """The first payment of one that takes over: the plan has changed. What it cost is on the receipt."""
    row = change.subscription
    if not change.details.get("first") or row.replaces is None or _is_same(row, row.replaces):
        return False
    return emails.plan_changed(change, old=_held(row.replaces), new=_held(row))


def _handed_over(change: SubscriptionChange) -> bool:
    """To whoever pays, and to the new owner."""
    return emails.handed_over(change, User.objects.get(pk=change.details["heir"]))


def _owner(row: Subscription) -> User | None:
    """Who owns the team of ``row``, when that is not who pays."""
    if row.team_id is None or not Membership.objects.filter(team_id=row.team_id, role=TeamRole.OWNER).exists():
        return None
    owner = teams.owner_of(row.team_id)
    return owner if owner.pk != row.user_id else None


def _taken_over(row: Subscription) -> Subscription | None:
    """The subscription by which somebody else pays for the team from now on."""
    if row.team_id is None:
        return None
    others = Subscription.objects.filter(team_id=row.team_id, created_at__gt=row.created_at).exclude(
        user_id=row.user_id
    )
    # That it was paid is written after what it ends.
    return others.exclude(status__in=ENDED).select_related("user").order_by("-created_at").first()


def _is_same(row: Subscription, other: Subscription) -> bool:
    """Whether one goes on as the other did: only who pays, or with what, has changed."""
    return (row.price_id, row.quantity) == (other.price_id, other.quantity)


def _held(row: Subscription) -> tuple[Price, int]:
    return row.price, row.quantity


_BY_KIND: Final[Mapping[str, Callable[[SubscriptionChange], bool]]] = {
    "state": _state,
    "completed": _completed,
    "payment_failed": _payment_failed,
    "end_now": _end_now,
    "cancel_asked": _cancel_asked,
    "cancel_undone": emails.cancel_undone,
    "change_asked": _change_asked,
    "changed": _changed,
    "paid": _paid,
    "handed_over": _handed_over,
}
