"""Everything somebody has, as a ZIP: asked for by them, made by the worker, told by mail, theirs for a week.

The file lies in the database in pieces: private as everything there, and found by every web process.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from typing import IO, Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F, Q

from accounts import audit, belongings, throttles
from accounts.models import Export, ExportPart, User
from oneai.kit.clock import now
from oneai.kit.errors import Refusal

log = structlog.get_logger("exports")

KEPT: Final = timedelta(days=7)
LEASE: Final = timedelta(minutes=15)
MOST_ATTEMPTS: Final = 5
PART_BYTES: Final = 512 * 1024
_BY_ACCOUNT: Final = throttles.Limit("export/account", 5, 86_400)
State = Export.State


def ask(user: User) -> Export:
    """An export of ``user``; the one that is being made when there is one. Refusal ``too_many_attempts``."""
    there = Export.objects.filter(user=user, state=State.WAITING).first()
    if there is not None:
        return there
    throttles.take(_BY_ACCOUNT, str(user.pk))
    with transaction.atomic():
        audit.record(user.email, "account.export_asked", user.pk, actor_id=user.pk)
        return Export.objects.create(user=user)


def of(user_id: UUID) -> list[Export]:
    """The person's exports that are being made, failed or can be fetched, the newest first."""
    rows = Export.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now()), user_id=user_id)
    return list(rows.order_by("-asked_at")[:10])


def find(user_id: UUID, export_id: UUID) -> Export:
    """One that can be fetched. Refusal ``not_found``, also for another's."""
    row = Export.objects.filter(pk=export_id, user_id=user_id, state=State.READY, expires_at__gt=now()).first()
    if row is None:
        raise Refusal("not_found")
    return row


def part(export_id: UUID, number: int) -> bytes:
    """A piece of the file; empty behind the last."""
    data = ExportPart.objects.filter(export_id=export_id, number=number).values_list("data", flat=True).first()
    return b"" if data is None else bytes(data)


# What the worker does -----------------------------------------------------------------------------
def make_due() -> int:
    """Make one export that waits, and forget those whose time is over; returns how many were made or went."""
    at = now()
    gone = Export.objects.filter(expires_at__lte=at).delete()[0]
    free = Q(lease_until=None) | Q(lease_until__lte=at)
    row = Export.objects.filter(free, state=State.WAITING).order_by("asked_at").first()
    if row is None:
        return gone
    mine = Export.objects.filter(free, pk=row.pk, state=State.WAITING)
    if not mine.update(lease_until=at + LEASE, attempts=F("attempts") + 1):
        return gone
    try:
        _make(row)
    except Exception:
        log.exception("export_failed", export_id=str(row.pk))
        if row.attempts + 1 >= MOST_ATTEMPTS:
            Export.objects.filter(pk=row.pk, state=State.WAITING).update(state=State.FAILED, expires_at=now() + KEPT)
    return gone + 1


def _make(row: Export) -> None:
    user = User.objects.get(pk=row.user_id)
    with tempfile.TemporaryFile() as file:
        _write(file, user)
        size = file.tell()
        file.seek(0)
        with transaction.atomic():
            ExportPart.objects.filter(export=row).delete()
            for number, piece in enumerate(iter(lambda: file.read(PART_BYTES), b"")):
                ExportPart.objects.create(export=row, number=number, data=piece)
            at = now()
            ready = Export.objects.filter(pk=row.pk, state=State.WAITING)
            if ready.update(state=State.READY, ready_at=at, expires_at=at + KEPT, size=size):
                _tell(user)
    log.info("export_made", export_id=str(row.pk), user_id=str(user.pk), bytes=size)


def _write(file: IO[bytes], user: User) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in _files(user):
            plain = isinstance(content, str | bytes)
            archive.writestr(path, content if plain else json.dumps(content, default=str, indent=1, ensure_ascii=False))


def _files(user: User) -> Iterator[tuple[str, Any]]:
    yield "README.txt", f"Everything that {settings.SITE_NAME} had of {user.email} on {now():%d %B %Y, %H:%M} UTC.\n"
    for holder in belongings.holders():
        yield from holder.export(user)


def _tell(user: User) -> None:
    body = (
        f"What you asked for is ready: everything that {settings.SITE_NAME} has of you, as a ZIP.\n"
        f"It can be fetched for {KEPT.days} days, when you are signed in:\n\n{settings.SITE_URL}/settings/data\n\n"
        f"You did not ask? Then somebody else is signed in as you: {settings.SITE_URL}/settings/security\n\n"
        f"{settings.SITE_NAME}\n"
    )
    EmailMessage(f"{settings.SITE_NAME}: your data is ready", body, to=[user.email]).send()
