"""The text of a new key, from the form that made it to the page that shows it: once, and for minutes.

It waits encrypted in a row of the sessions table, which no request carries the name of: that is worked out
from the person's session and the key. Whoever deletes the row shows the text, so that only one does.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session

from oneai.kit.clock import now
from oneai.kit.derived import derived_key, keyed_hash

KEPT: Final = timedelta(minutes=5)
_PURPOSE: Final = "text-shown-once"


class ShownOnce(NamedTuple):
    """The text of a key, and whether the key was made with it, not rotated to it."""

    text: str
    made: bool


def put(session: SessionBase, key_id: UUID, shown: ShownOnce) -> None:
    """Keep it for the next ``take`` in this session, five minutes at most; an earlier one of the key is gone."""
    values = {"text": _box().encrypt(shown.text.encode()).decode(), "made": shown.made}
    Session.objects.save(_row(session, key_id), values, now() + KEPT)


def take(session: SessionBase, key_id: UUID) -> ShownOnce | None:
    """What was put, and forget it; None when it was taken, is too old or was never there."""
    row = Session.objects.filter(session_key=_row(session, key_id)).first()
    if row is None or not Session.objects.filter(pk=row.pk, session_data=row.session_data).delete()[0]:
        return None
    values = row.get_decoded()
    if row.expire_date <= now() or "text" not in values:
        return None
    try:
        return ShownOnce(_box().decrypt(values["text"].encode()).decode(), bool(values["made"]))
    except InvalidToken:
        return None


def _row(session: SessionBase, key_id: UUID) -> str:
    return keyed_hash(_PURPOSE, f"{session.session_key}:{key_id}")[:40]


def _box() -> Fernet:
    return Fernet(base64.urlsafe_b64encode(derived_key(_PURPOSE)))
