"""The only door to somebody's conversations and messages: their own, or none at all.

Another's and an unknown one are refused alike. A message is looked up through its conversation.
"""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from accounts.principal import Principal
from chat.models import Conversation, Message
from oneai.kit.errors import Refusal

_CANONICAL: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def id_from(value: UUID | str) -> UUID:
    """The id in ``value``; Refusal ``not_found`` for anything but a UUID in its usual spelling."""
    if isinstance(value, UUID):
        return value
    if not _CANONICAL.fullmatch(value):
        raise Refusal("not_found")
    return UUID(value)


def _user_id(who: Principal | UUID) -> UUID:
    return who.user_id if isinstance(who, Principal) else who


def conversation_for(who: Principal | UUID, conversation_id: UUID | str, *, deleted: bool = False) -> Conversation:
    """The person's own conversation; Refusal ``not_found`` for another's, a deleted or an unknown one.

    ``deleted`` finds those in the bin too, for the door that takes them out of it.
    """
    rows = Conversation.objects.filter(pk=id_from(conversation_id), user_id=_user_id(who))
    found = (rows if deleted else rows.filter(deleted_at=None)).first()
    if found is None:
        raise Refusal("not_found")
    return found


def message_in(conversation: Conversation, message_id: UUID | str) -> Message:
    """A message of ``conversation``; Refusal ``not_found`` when it is not in there."""
    found = Message.objects.filter(conversation=conversation, pk=id_from(message_id)).first()
    if found is None:
        raise Refusal("not_found")
    return found


def message_for(who: Principal | UUID, message_id: UUID | str) -> Message:
    """The person's own message, its conversation with it; Refusal ``not_found`` as for a conversation."""
    rows = Message.objects.select_related("conversation").filter(pk=id_from(message_id))
    found = rows.filter(conversation__user_id=_user_id(who), conversation__deleted_at=None).first()
    if found is None:
        raise Refusal("not_found")
    return found
