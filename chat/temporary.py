"""Temporary conversations: erased once their person has left them. What they used stays in the ledger.

They are rows while they are in use, since an answer must survive a lost connection and the next message needs
those before it. The page says when it is left; an hour after the last message nobody is waited for.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from chat import attachments
from chat.models import Conversation, Message, Turn
from oneai.kit.clock import now

IDLE: Final = timedelta(hours=1)
AT_ONCE: Final = 100


def _over() -> QuerySet[Conversation]:
    left = Q(last_message_at__lt=now() - IDLE) | ~Q(deleted_at=None)
    return Conversation.objects.filter(left, temporary=True)


def erase_left() -> int:
    """Erase the temporary conversations that were left; those in which something is being written wait."""
    ids = list(_over().values_list("pk", flat=True)[:AT_ONCE])
    return sum(_erase(pk) for pk in ids)


def _erase(pk: UUID) -> int:
    with transaction.atomic():
        # Under the lock that a turn takes too: what is looked at is still so when it is gone.
        found = Conversation.objects.select_for_update().filter(pk=pk).first()
        if found is None or not _over().filter(pk=pk).exists():
            return 0
        said = Message.objects.filter(conversation_id=pk)
        if said.filter(status=Message.Status.STREAMING).exists():
            return 0
        attachments.let_go(list(said.values_list("pk", flat=True)))
        Turn.objects.filter(conversation_id=pk).update(conversation=None, user_message_id=None)
        said.delete()
        found.delete()
    return 1
