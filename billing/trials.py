"""Trials: one for each person, whatever account they come with. The identity is kept as a keyed hash."""

from __future__ import annotations

from allauth.account.models import EmailAddress

from accounts.models import User
from billing import allowing, subscriptions
from billing.models import Subscription, Trial
from oneai.kit.clock import now
from oneai.kit.derived import former_hashes, keyed_hash


def identities(user: User) -> list[str]:
    """The hashes that a person is known by: their Google account, and their mail address without its variants."""
    return [keyed_hash("trial", name) for name in _names(user)]


def _names(user: User) -> list[str]:
    google = [f"google:{user.google_id}"] if user.google_id else []
    return [f"mail:{plain_address(user.email)}", *google]


def _is_known(user: User) -> bool:
    """Whether the person has had a trial by any account, as it was noted under this SECRET_KEY or a former one."""
    formers = [each for name in _names(user) for each in former_hashes("trial", name)]
    return Trial.objects.filter(identity__in=[*identities(user), *formers]).exists()


def plain_address(email: str) -> str:
    """An address without what may be added to it: capitals, ``+tag``, dots where the provider ignores them."""
    name, _, domain = email.strip().lower().rpartition("@")
    name = name.partition("+")[0]
    if domain == "googlemail.com":
        domain = "gmail.com"
    return f"{name.replace('.', '') if domain == 'gmail.com' else name}@{domain}"


def may_try(user: User) -> bool:
    """Whether the person is known by a verified address or by Google, and never tried a plan nor paid for one."""
    if not user.google_id and not EmailAddress.objects.filter(user=user, verified=True).exists():
        return False
    return not _is_known(user) and not _has_had_a_plan(user)


def _has_had_a_plan(user: User) -> bool:
    """Whether this account has tried a plan or paid for one."""
    tried = Trial.objects.filter(user=user).exists()
    return tried or Subscription.objects.filter(user=user, paid_count__gt=0).exists()


def begin(row: Subscription) -> bool:
    """Give the trial that ``row`` was made for, now that its mandate stands; False when it has been used up.

    Several may have been ordered before the first one was authorised: whatever is known already is used up.
    """
    if row.starts_at is None or row.starts_at <= now() or "tried" in row.metadata:
        return False
    user, at = row.user, now()
    taken = _is_known(user) or _has_had_a_plan(user)
    for identity in identities(user):
        _, new = Trial.objects.get_or_create(
            identity=identity, defaults={"user": user, "plan": row.plan.code, "ends_at": row.starts_at}
        )
        taken = taken or not new
    row.metadata = row.metadata | {"tried": not taken}
    if taken:
        subscriptions.note(row, "trial_refused", reason="This person has had a trial.")
        return False
    given = allowing.give_trial(row, at, row.starts_at)
    subscriptions.note(row, "trial_begun", ends_at=row.starts_at.isoformat())
    return given
