"""Imported conversations as rows of a person: each in a transaction of its own, so that nobody waits for all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from accounts.throttles import Limit, take
from chat import catalog, folders, titles
from chat.importing.files import talk_of
from chat.importing.records import Said, Talk, Unreadable, clean
from chat.models import Conversation, Folder, Message
from oneai.kit import clock
from oneai.kit.errors import Refusal

BY_PERSON: Final = Limit("import/account", 20, 3600)
MOST_MESSAGES: Final = 50_000  # of one import
MOST_NAMED: Final = 100  # of what is listed in the answer


@dataclass(slots=True)
class Imported:
    """What came in, and what did not: the first hundred of each by name."""

    conversations: int = 0
    messages: int = 0
    ids: list[UUID] = field(default_factory=list)
    skipped: int = 0
    reasons: list[dict[str, Any]] = field(default_factory=list)

    def skip(self, number: int, reason: str) -> None:
        """Note that the conversation at ``number``, counted from 0, did not come in."""
        self.skipped += 1
        if len(self.reasons) < MOST_NAMED:
            self.reasons.append({"index": number, "reason": reason})


def bring_in(user_id: UUID, found: Iterable[dict[str, Any]]) -> Imported:
    """Write what can be read, in the order given. Refusal ``too_many_attempts``.

    What ``found`` refuses is refused when it is the first, and else ends the list with a reason.
    """
    take(BY_PERSON, str(user_id))
    done = Imported()
    try:
        for number, value in enumerate(found):
            try:
                _take_in(user_id, done, clean(talk_of(value)))
            except Unreadable as error:
                done.skip(number, str(error))
    except Refusal as refusal:
        if not done.conversations:
            raise
        done.skip(done.conversations + done.skipped, refusal.text)
    return done


def _take_in(user_id: UUID, done: Imported, talk: Talk) -> None:
    if done.messages + len(talk.said) > MOST_MESSAGES:
        raise Unreadable(f"An import may have {MOST_MESSAGES:,} messages. Bring this one in by itself.")
    made = _write(user_id, talk)
    done.conversations += 1
    done.messages += made.message_count
    if len(done.ids) < MOST_NAMED:
        done.ids.append(made.pk)


def _write(user_id: UUID, talk: Talk) -> Conversation:
    times = _times(talk)
    ids = {said.key: clock.uuid7() for said in talk.said}
    made = Conversation(
        user_id=user_id,
        title=talk.title or titles.from_words(talk.said[0].content),
        title_source="user",
        model=talk.model if talk.model in catalog.current().models else "",
        system=talk.system,
        folder=_folder(user_id, talk.folder),
        tags=list(dict.fromkeys(talk.tags)),
        pinned=talk.pinned,
        archived=talk.archived,
        metadata=talk.metadata,
        active_message_id=ids[talk.active or talk.said[-1].key],
        message_count=len(talk.said),
        created_at=talk.created_at or min(times.values()),
        last_message_at=max(times.values()),
        updated_at=clock.now(),
    )
    with transaction.atomic():
        made.save(force_insert=True)
        Message.objects.bulk_create([_row(made, said, ids, times[said.key]) for said in talk.said], batch_size=200)
    return made


def _row(talk: Conversation, said: Said, ids: dict[str, UUID], at: datetime) -> Message:
    return Message(
        id=ids[said.key],
        conversation=talk,
        user_id=talk.user_id,
        role=said.role,
        content=said.content,
        reasoning=said.reasoning,
        status=said.status,
        model_id=said.model,
        finish_reason=said.finish_reason,
        parent_message_id=ids[said.parent] if said.parent else None,
        created_at=at,
    )


def _times(talk: Talk) -> dict[str, datetime]:
    """When each message was said: as it says, and never before or with the one that it follows."""
    times: dict[str, datetime] = {}
    start = talk.created_at or clock.now()
    for said in talk.said:
        above = times.get(said.parent or "")
        at = said.created_at or above or start
        times[said.key] = max(at, above + timedelta(microseconds=1)) if above else at
    return times


def _folder(user_id: UUID, name: str) -> Folder | None:
    """The person's folder of that name, made if there is none and room for one."""
    if not name:
        return None
    there = Folder.objects.filter(user_id=user_id, name__iexact=name).first()
    if there is not None:
        return there
    try:
        return folders.create(user_id, name)
    except Refusal:
        return None
