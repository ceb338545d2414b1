"""Messages as the pages show them: rendered, with the other versions beside each, and answers side by side.

How many queries it takes does not depend on how many messages there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db.models import Case, Q, TextField, Value, When
from django.utils.safestring import SafeString, mark_safe

from chat import markdown
from chat.attachments import load_held
from chat.models import Attachment, Conversation, Generation, Message
from chat.turn_rows import BECAUSE, INSTEAD_OF

KEPT: Final = "kept"
"""Key of an answer's metadata: it was chosen among those that were written side by side."""
_WHY: Final = {
    "upstream_overloaded": "it is overloaded",
    "upstream_timeout": "it did not answer in time",
    "upstream_error": "its provider failed",
    "upstream_interrupted": "its provider broke off",
    "upstream_invalid": "its provider sent something unreadable",
    "upstream_refused": "its provider does not offer it any more",
    "upstream_unconfigured": "its provider does not accept this site’s key",
    "upstream_unpaid": "its provider wants payment from this site",
}
MESSAGE_FIELDS: Final = (
    "id role content content_html html_version reasoning status model_id tokens_used finish_reason error usage "
    "parent_message_id generation_id metadata created_at attached_bytes"
).split()
_FINAL: Final = frozenset({Message.Status.COMPLETE, Message.Status.STOPPED, Message.Status.INTERRUPTED})
_CUT_REASONS: Final = frozenset({"length", "quota"})


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """A message as the template says it. ``html`` is empty for a person's own words, which stay text.

    ``place`` of ``versions`` counts from 1 among the messages that could stand here; ``columns`` holds
    the answers that stand side by side in this one's place, itself among them.
    """

    id: UUID
    role: str
    text: str
    html: SafeString
    reasoning: str
    status: str
    model: str
    finish_reason: str
    error: dict[str, Any] | None
    usage: dict[str, Any] | None
    parent_id: UUID | None
    turn_id: UUID | None
    instead_of: str = ""
    because: str = ""
    place: int = 1
    versions: int = 1
    previous_id: UUID | None = None
    next_id: UUID | None = None
    unanswered: bool = False
    choosable: bool = False
    columns: list[ShownMessage] = field(default_factory=list)
    files: Sequence[Attachment] = ()

    @property
    def can_continue(self) -> bool:
        """Whether the answer has text and was cut, so that it can go on from there."""
        cut = self.status in (Message.Status.STOPPED, Message.Status.INTERRUPTED) or self.finish_reason in _CUT_REASONS
        return bool(self.html) and cut and self.status != Message.Status.STREAMING

    @property
    def can_retry(self) -> bool:
        """Whether the answer failed, wholly or half-way."""
        return self.status in (Message.Status.FAILED, Message.Status.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class _Sibling:
    id: UUID
    generation_id: UUID | None
    kept: bool


_Place = tuple[UUID | None, str]
"""Where a message stands: below which other, and whose words it is."""


def _render(messages: Iterable[Message]) -> None:
    """Renders answers whose cached HTML is missing or of an older version and saves them in one statement."""
    stale = [
        message
        for message in messages
        if message.role == Message.Role.ASSISTANT
        and message.status in _FINAL
        and message.html_version != markdown.RENDER_VERSION
    ]
    if not stale:
        return
    for message in stale:
        message.content_html = markdown.render(message.content)
    Message.objects.filter(pk__in=[message.pk for message in stale], status__in=_FINAL).update(
        content_html=Case(
            *(When(pk=message.pk, then=Value(message.content_html)) for message in stale), output_field=TextField()
        ),
        html_version=markdown.RENDER_VERSION,
    )


def _html(message: Message) -> str:
    if message.role == Message.Role.USER:
        return ""
    if message.status in _FINAL:
        return message.content_html
    return markdown.render(message.content) if message.content else ""


def _siblings(conversation: Conversation, messages: Sequence[Message]) -> dict[_Place, list[_Sibling]]:
    """For each place the messages that could stand there, the oldest first."""
    parents = {message.parent_message_id for message in messages}
    below = Q(parent_message_id__in=parents - {None})
    if None in parents:
        below |= Q(parent_message_id=None)
    rows = Message.objects.filter(below, conversation=conversation).order_by("created_at", "id")
    found: dict[_Place, list[_Sibling]] = defaultdict(list)
    for pk, parent, role, generation, metadata in rows.values_list(
        "id", "parent_message_id", "role", "generation_id", "metadata"
    ):
        found[parent, role].append(_Sibling(pk, generation, bool(metadata.get(KEPT))))
    return found


def _turns(messages: Sequence[Message], compared: Sequence[_Sibling]) -> dict[UUID, UUID]:
    """The turns of the generations that are running or may stand side by side."""
    running = [message.generation_id for message in messages if message.status == Message.Status.STREAMING]
    wanted = [pk for pk in (*running, *(sibling.generation_id for sibling in compared)) if pk is not None]
    return dict(Generation.objects.filter(pk__in=wanted).values_list("pk", "turn_id")) if wanted else {}


def _open_comparison(siblings: Sequence[_Sibling], turns: dict[UUID, UUID], leaf_id: UUID | None) -> list[UUID]:
    """Ids of the answers of the leaf's turn, when there are several and none was kept yet."""
    leaf = next((one for one in siblings if one.id == leaf_id), None)
    turn = turns.get(leaf.generation_id) if leaf and leaf.generation_id else None
    together = [one for one in siblings if turn and one.generation_id and turns.get(one.generation_id) == turn]
    return [one.id for one in together] if len(together) > 1 and not any(one.kept for one in together) else []


def shown(conversation: Conversation, messages: Sequence[Message], *, columns: bool = True) -> list[ShownMessage]:
    """``messages`` of one path of ``conversation`` for the template.

    Answers of one turn of which none was kept yet stand side by side in the place of the path's last
    message, unless ``columns`` is off.
    """
    if not messages:
        return []
    last = messages[-1]
    siblings = _siblings(conversation, messages)
    beside = siblings[last.parent_message_id, last.role] if last.role == Message.Role.ASSISTANT else []
    turns = _turns(messages, beside if len(beside) > 1 else [])
    together = _open_comparison(beside, turns, conversation.active_message_id)
    compared: list[Message] = []
    if together and columns:
        rows = Message.objects.filter(conversation=conversation).only(*MESSAGE_FIELDS).in_bulk(together)
        compared = [rows[pk] for pk in together if pk in rows]
    _render([*messages, *compared])
    held = load_held(messages)

    def made(message: Message, side_by_side: list[ShownMessage]) -> ShownMessage:
        place = [one.id for one in siblings[message.parent_message_id, message.role]]
        at = place.index(message.pk) if message.pk in place else 0
        streaming = message.status == Message.Status.STREAMING
        return ShownMessage(
            id=message.pk,
            role=message.role,
            text=message.content if message.role == Message.Role.USER else "",
            html=mark_safe(_html(message)),  # noqa: S308 (the sanitiser's own output)
            reasoning=message.reasoning,
            status=message.status,
            model=message.model_id,
            finish_reason=message.finish_reason,
            error=message.error,
            usage=message.usage,
            parent_id=message.parent_message_id,
            turn_id=turns.get(message.generation_id) if streaming and message.generation_id else None,
            instead_of=str(message.metadata.get(INSTEAD_OF, "")),
            because=_WHY.get(message.metadata.get(BECAUSE, ""), ""),
            place=at + 1,
            versions=max(1, len(place)),
            previous_id=place[at - 1] if at > 0 else None,
            next_id=place[at + 1] if at + 1 < len(place) else None,
            unanswered=message.role == Message.Role.USER and message.pk == conversation.active_message_id,
            choosable=message.pk in together,
            columns=side_by_side,
            files=held.get(message.pk, ()),
        )

    columns_of = {last.pk: [made(one, []) for one in compared]}
    return [made(message, columns_of.get(message.pk, [])) for message in messages]
