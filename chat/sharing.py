"""Share links: a frozen copy of what a conversation showed, for whoever has the address.

A conversation has one link or none. Its token is worked out from a random seed and a key of this site, so that
its owner can see the address again while the database holds only a digest that finds it. Sharing again freezes
the conversation anew under the same address; ending a link deletes the copy.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction
from django.db.models import F, Q, QuerySet

from accounts.throttles import Limit, take
from chat import conversations, markdown
from chat.models import Conversation, Message, SharedSnapshot
from oneai.kit import clock
from oneai.kit.derived import derived_key, former_keys, keyed_hash
from oneai.kit.errors import Refusal

SHORTEST_SECONDS: Final = 60
LONGEST_SECONDS: Final = 366 * 24 * 3600
MOST_CHARACTERS: Final = 5_000_000
BY_PERSON: Final = Limit("share/account", 60, 3600)
COPIES_BY_PERSON: Final = Limit("share-continue/account", 30, 3600)
PASSWORD_BY_ADDRESS: Final = Limit("share-password/address", 10, 300)
PASSWORD_BY_LINK: Final = Limit("share-password/link", 100, 3600)


def _token(seed: str, key: bytes | None = None) -> str:
    """192 bits for the address, by the present key unless another is given."""
    digest = hmac.new(key or derived_key("share links"), seed.encode(), sha256).digest()
    return base64.urlsafe_b64encode(digest[:24]).decode()


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def url_of(snapshot: SharedSnapshot) -> str | None:
    """The link's address; None when the SECRET_KEY that it was made with is not among those of the settings."""
    for key in (derived_key("share links"), *former_keys("share links")):
        token = _token(snapshot.token_seed, key)
        if _digest(token) == snapshot.token_digest:
            return f"{settings.SITE_URL}/s/{token}"
    return None


# The owner's side ------------------------------------------------------------------------------------


def shared(conversation: Conversation) -> SharedSnapshot | None:
    """The conversation's link; None when there is none, or it has expired."""
    return _open().filter(conversation=conversation).first()


def share(conversation: Conversation, terms: Mapping[str, Any]) -> tuple[SharedSnapshot, bool]:
    """Freeze what the conversation shows now: (its link, whether it is a new one).

    ``terms``: ``expires_in`` seconds from now (0: no end), ``password`` (empty: none), ``include_system``,
    ``allow_continue``. What is left out stays as it was, or is off at first. Refusals ``conflict`` when there is
    nothing to share or too much, ``too_many_attempts``.
    """
    take(BY_PERSON, str(conversation.user_id))
    messages = _frozen(conversation)
    with transaction.atomic():
        Conversation.objects.select_for_update().get(pk=conversation.pk)
        snapshot = shared(conversation)
        made = snapshot is None
        if snapshot is None:
            SharedSnapshot.objects.filter(conversation=conversation).delete()  # one that has expired
            seed = secrets.token_hex(16)
            snapshot = SharedSnapshot(
                conversation=conversation,
                user_id=conversation.user_id,
                token_seed=seed,
                token_digest=_digest(_token(seed)),
            )
        if "expires_in" in terms:
            seconds = terms["expires_in"]
            snapshot.expires_at = clock.now() + timedelta(seconds=seconds) if seconds else None
        if "password" in terms:
            snapshot.password = make_password(terms["password"]) if terms["password"] else ""
        snapshot.include_system = terms.get("include_system", snapshot.include_system)
        snapshot.allow_continue = terms.get("allow_continue", snapshot.allow_continue)
        snapshot.title = conversation.title
        snapshot.system = conversation.system if snapshot.include_system else ""
        snapshot.messages, snapshot.html_version = messages, markdown.RENDER_VERSION
        snapshot.frozen_at = clock.now()
        snapshot.save(force_insert=made)
    return snapshot, made


def end(conversation: Conversation) -> None:
    """Delete the conversation's link and the copy behind it."""
    SharedSnapshot.objects.filter(conversation=conversation).delete()


def _frozen(conversation: Conversation) -> list[dict[str, str]]:
    ids = conversations.active_path(conversation.pk, conversation.active_message_id)
    columns = ("id", "role", "content", "content_html", "html_version", "model_id", "status")
    found = Message.objects.filter(conversation=conversation).only(*columns).in_bulk(ids)
    said = [found[pk] for pk in ids if pk in found]
    said = [one for one in said if one.content and one.status != Message.Status.STREAMING]
    if not said:
        raise Refusal("conflict", "There is nothing to share yet.")
    if sum(len(one.content) for one in said) > MOST_CHARACTERS:
        raise Refusal("conflict", "The conversation is too long to share.")
    return [{"role": one.role, "content": one.content, "model": one.model_id, "html": _html(one)} for one in said]


def _html(message: Message) -> str:
    if message.role == Message.Role.USER:
        return ""
    fresh = message.html_version == markdown.RENDER_VERSION
    return message.content_html if fresh else markdown.render(message.content)


# The reader's side -----------------------------------------------------------------------------------


def _open() -> QuerySet[SharedSnapshot]:
    at = clock.now()
    return SharedSnapshot.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=at),
        conversation__deleted_at=None,
        conversation__temporary=False,
        user__is_active=True,
    )


def find(token: str) -> SharedSnapshot:
    """What a link shows. Refusal ``not_found`` when there is none, when it has ended or was revoked, all alike."""
    found = _open().filter(token_digest=_digest(token)).first()
    if found is None:
        raise Refusal("not_found")
    return found


def current_html(snapshot: SharedSnapshot) -> None:
    """Render the answers anew if they were rendered by an older version."""
    if snapshot.html_version == markdown.RENDER_VERSION:
        return
    for message in snapshot.messages:
        if message["role"] == Message.Role.ASSISTANT:
            message["html"] = markdown.render(message["content"])
    snapshot.html_version = markdown.RENDER_VERSION
    SharedSnapshot.objects.filter(pk=snapshot.pk, frozen_at=snapshot.frozen_at).update(
        messages=snapshot.messages, html_version=snapshot.html_version
    )


def is_password(snapshot: SharedSnapshot, password: str, address: str) -> bool:
    """Whether it opens the link. Refusal ``too_many_attempts`` by the reader's address and by the link."""
    take(PASSWORD_BY_ADDRESS, f"{address} {snapshot.pk}")
    take(PASSWORD_BY_LINK, str(snapshot.pk))
    return check_password(password, snapshot.password)


def pass_for(snapshot: SharedSnapshot) -> str:
    """What a browser keeps to show that it knew the password; another password makes it worthless."""
    return keyed_hash("share pass", f"{snapshot.pk} {snapshot.password}")


def count_view(snapshot: SharedSnapshot, reader_id: UUID | None) -> None:
    """Count a view by somebody else than the owner."""
    if reader_id != snapshot.user_id:
        SharedSnapshot.objects.filter(pk=snapshot.pk).update(views=F("views") + 1)


def copy_to(snapshot: SharedSnapshot, user_id: UUID) -> Conversation:
    """A conversation of the reader's own with what the link shows. Refusals ``not_found``, ``too_many_attempts``."""
    if not snapshot.allow_continue:
        raise Refusal("not_found")
    take(COPIES_BY_PERSON, str(user_id))
    at = clock.now()
    made = Conversation(user_id=user_id, title=snapshot.title, title_source="user", system=snapshot.system)
    messages = _copies(made, snapshot.messages)
    made.active_message_id = messages[-1].pk
    made.message_count = len(messages)
    made.created_at = made.updated_at = made.last_message_at = at
    with transaction.atomic():
        made.save(force_insert=True)
        Message.objects.bulk_create(messages, batch_size=200)
    return made


def _copies(conversation: Conversation, frozen: Sequence[Mapping[str, str]]) -> list[Message]:
    at, above, made = clock.now(), None, []
    for number, one in enumerate(frozen):
        made.append(
            Message(
                conversation=conversation,
                user_id=conversation.user_id,
                role=one["role"],
                content=one["content"],
                model_id=one["model"],
                parent_message_id=above,
                created_at=at + timedelta(microseconds=number),
            )
        )
        above = made[-1].pk
    return made
