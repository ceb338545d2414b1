"""Deleting an account: asked for, undone for a while, then closed and erased by the worker.

What is personal goes; what was used and paid stays, on a row without a name. Closing and erasing are two steps
with a pause between them, so that answers which are being written come to their end and are settled first.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction

from accounts import apikeys, audit, belongings, standing
from accounts.models import Closing, Role, User
from accounts.platform import PLATFORM_ID
from oneai.kit.clock import now
from oneai.kit.errors import Refusal

log = structlog.get_logger("security")

GRACE: Final = timedelta(days=14)
PAUSE: Final = timedelta(minutes=2)
AT_ONCE: Final = 20
State = Closing.State


def of(user: User) -> Closing | None:
    """The wish that waits, if there is one."""
    return Closing.objects.filter(user_id=user.pk, state=State.ASKED).first()


def check(user: User) -> None:
    """Refusal of whoever must keep the account: ``owner_must_stay``, ``subscription_running``, ``conflict``."""
    if user.role == Role.OWNER and not User.objects.filter(role=Role.OWNER, is_active=True).exclude(pk=user.pk):
        raise Refusal("conflict", "The site needs an owner: make somebody else one first.")
    for holder in belongings.holders():
        holder.keep(user)


def ask(user: User) -> Closing:
    """Delete the account of ``user`` once ``GRACE`` is over. Keys end at once; another wish changes nothing."""
    check(user)
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        there = of(user)
        if there is not None:
            return there
        made = Closing.objects.create(user_id=user.pk, due_at=now() + GRACE)
        apikeys.revoke(user.api_keys.filter(revoked_at=None))
        audit.record(user.email, "account.closing", user.pk, details={"due": made.due_at.isoformat()}, actor_id=user.pk)
        _tell(user, "Your account will be deleted", _ASKED.format(day=f"{made.due_at:%d %B %Y}", url=_page()))
    return made


def undo(user: User) -> None:
    """Take the wish back. Refusal ``nothing_to_undo``."""
    with transaction.atomic():
        undone = Closing.objects.filter(user_id=user.pk, state=State.ASKED).update(state=State.UNDONE, ended_at=now())
        if not undone:
            raise Refusal("nothing_to_undo")
        audit.record(user.email, "account.kept", user.pk, actor_id=user.pk)
        _tell(user, "Your account stays", _KEPT.format(url=_page()))


_ASKED: Final = """You asked for your account to be deleted. That happens on {day}: your conversations, keys,
settings and everything else that is yours are erased then. Invoices stay as long as the law
wants, without being yours to open any more.

Until then you can sign in and take it back: {url}
"""
_KEPT: Final = """Your account is not deleted after all. API keys that ended meanwhile stay ended.

{url}
"""


def _page() -> str:
    return f"{settings.SITE_URL}/settings/data"


def _tell(user: User, subject: str, body: str) -> None:
    EmailMessage(f"{settings.SITE_NAME}: {subject}", f"{body}\n{settings.SITE_NAME}\n", to=[user.email]).send()


# What the worker does -----------------------------------------------------------------------------
def work() -> int:
    """Close and erase what is due; returns how many steps were taken. Any number of workers may run it."""
    return _close_due() + _erase_due()


def _close_due() -> int:
    done = 0
    for row in Closing.objects.filter(state=State.ASKED, due_at__lte=now()).order_by("due_at")[:AT_ONCE]:
        with transaction.atomic():
            user = User.objects.select_for_update(no_key=True).get(pk=row.user_id)
            try:
                check(user)
            except Refusal as refusal:  # bought or founded something meanwhile: they must decide again
                _keep_after_all(row, user, refusal)
                continue
            at = now()
            if not Closing.objects.filter(pk=row.pk, state=State.ASKED).update(state=State.CLOSED, closed_at=at):
                continue
            User.objects.filter(pk=user.pk).update(is_active=False)
            standing.lock_out(user)
            log.info("account_closed", user_id=str(user.pk))
            done += 1
    return done


def _keep_after_all(row: Closing, user: User, refusal: Refusal) -> None:
    if Closing.objects.filter(pk=row.pk, state=State.ASKED).update(state=State.UNDONE, ended_at=now()):
        audit.record("site", "account.kept", user.pk, target=user.email, reason=refusal.text)
        why = f"It could not be deleted: {refusal.text}\n\nAsk again when that is done: {_page()}\n"
        _tell(user, "Your account stays", why)


def _erase_due() -> int:
    done = 0
    closed = Closing.objects.filter(state=State.CLOSED, closed_at__lte=now() - PAUSE)
    for row in closed.order_by("closed_at")[:AT_ONCE]:
        user = User.objects.filter(pk=row.user_id).exclude(pk=PLATFORM_ID).first()
        if user is None:
            continue
        counts = dict(row.counts)
        try:
            for holder in reversed(belongings.holders()):  # the account itself, which all hang on, last
                counts[holder.name] = counts.get(holder.name, 0) + holder.erase(user)
        except belongings.NotYet:
            Closing.objects.filter(pk=row.pk, state=State.CLOSED).update(counts=counts)
            continue
        with transaction.atomic():
            if Closing.objects.filter(pk=row.pk, state=State.CLOSED).update(
                state=State.ERASED, ended_at=now(), counts=counts
            ):
                audit.record("site", "account.erased", user.pk, details=counts)
                log.info("account_erased", user_id=str(user.pk))
                done += 1
    return done
