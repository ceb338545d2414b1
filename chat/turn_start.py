"""Starting turns: one transaction admits, holds and writes the question and its empty answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from accounts.claims import Standing, standings, touch_keys
from chat import context, kept_answers, titles
from chat.conversations import active_paths
from chat.models import Conversation, Generation, KeptAnswer, Message, Turn
from chat.turn_jobs import Attached, Start, Started
from chat.turn_rows import changed_conversation, new_conversation, question_and_answer
from oneai.kit import rows
from oneai.kit.clock import uuid7
from oneai.kit.errors import Refusal
from oneai.kit.money import usd_string
from quotas.ledger import Ask, Book, KeyLimits, Price

IDEMPOTENCY_KEPT: Final = timedelta(hours=24)
HISTORY_DEPTH: Final = 400

_CONVERSATION: Final = ("id", "user_id", "system", "active_message_id", "message_count", "deleted_at", "title")
_PARENT: Final = ("id", "conversation_id", "role", "status")


@dataclass(slots=True)
class _Rows:
    """What a batch of starts writes, table by table."""

    conversations: list[dict[str, Any]] = field(default_factory=list)
    changed: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    turns: list[dict[str, Any]] = field(default_factory=list)
    generations: list[dict[str, Any]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class _Read:
    """What a batch of starts reads before it decides."""

    turns: dict[tuple[UUID, str], dict[str, Any]]
    conversations: dict[UUID, dict[str, Any]]
    parents: dict[UUID, dict[str, Any]]
    paths: dict[UUID, list[Any]]


def read_standings(jobs: Sequence[Start], at: datetime) -> dict[int, Standing | Refusal]:
    """Who asks, read again now; by the identity of the job."""
    found = standings([job.claim for job in jobs], at) if jobs else []
    return {id(job): standing for job, standing in zip(jobs, found, strict=True)}


def _read(jobs: Sequence[Start], at: datetime) -> _Read:
    turns = {
        (turn["user_id"], turn["idempotency_key"]): turn
        for turn in rows.select(
            Turn,
            ("id", "user_id", "idempotency_key", "body_digest", "created_at"),
            by="idempotency_key",
            values=[job.idempotency_key for job in jobs if job.idempotency_key],
        )
    }
    expired = [turn for turn in turns.values() if turn["created_at"] < at - IDEMPOTENCY_KEPT]
    rows.update(Turn, [{"id": turn["id"], "idempotency_key": None} for turn in expired])
    for turn in expired:
        del turns[turn["user_id"], turn["idempotency_key"]]
    conversations = {
        row["id"]: row
        for row in rows.select(
            Conversation, _CONVERSATION, by="id", values=[job.conversation_id for job in jobs if job.conversation_id]
        )
    }
    leaves = [job.parent_message_id for job in jobs if job.parent_message_id]
    leaves += [row["active_message_id"] for row in conversations.values() if row["active_message_id"]]
    parents = {row["id"]: row for row in rows.select(Message, _PARENT, by="id", values=leaves)}
    return _Read(turns, conversations, parents, active_paths(list(parents), HISTORY_DEPTH) if parents else {})


def apply(
    jobs: Sequence[Start], who: dict[int, Standing | Refusal], book: Book, at: datetime
) -> dict[int, Started | Attached | Refusal]:
    """Admit each job or refuse it, and write what was admitted."""
    live = [job for job in jobs if isinstance(who[id(job)], Standing)]
    if not live:
        return {}
    read = _read(live, at)
    out = _Rows()
    results: dict[int, Started | Attached | Refusal] = {}
    for job in live:
        standing = who[id(job)]
        assert isinstance(standing, Standing)
        try:
            results[id(job)] = _start(job, standing, read, book, out, at)
        except Refusal as refusal:
            results[id(job)] = refusal
    rows.insert(Conversation, out.conversations)
    rows.insert(Message, out.messages)
    rows.insert(Turn, out.turns)
    rows.insert(Generation, out.generations)
    rows.insert(KeptAnswer, out.kept)
    rows.update(Conversation, list(out.changed.values()))
    touch_keys((who[id(job)].key for job in live), at)  # type: ignore[union-attr]
    return results


def _known(job: Start, user_id: UUID, read: _Read) -> Attached | None:
    if job.idempotency_key is None:
        return None
    turn = read.turns.get((user_id, job.idempotency_key))
    if turn is None:
        return None
    if turn["body_digest"] != job.body_digest:
        raise Refusal("idempotency_conflict")
    return Attached(turn["id"], user_id)


def _leaf(job: Start, conversation: dict[str, Any], read: _Read) -> UUID | None:
    """The message that the new one answers: the one named, else the active one."""
    leaf: UUID | None = job.parent_message_id or conversation["active_message_id"]
    if leaf is None:
        return None
    parent = read.parents.get(leaf)
    if parent is None and job.parent_message_id is None:
        # Another send of this very batch has just put its answer there.
        raise Refusal("conflict", "An answer is still being written here.")
    if parent is None or parent["conversation_id"] != conversation["id"]:
        raise Refusal("not_found", "The parent message is not in this conversation.", param="parent_message_id")
    if parent["role"] != Message.Role.ASSISTANT:
        raise Refusal("invalid_value", "The parent must be an answer.", param="parent_message_id")
    if parent["status"] == Message.Status.STREAMING:
        raise Refusal("conflict", "An answer is still being written here.")
    return leaf


def _start(job: Start, standing: Standing, read: _Read, book: Book, out: _Rows, at: datetime) -> Started | Attached:
    principal = standing.principal
    user_id = principal.user_id
    principal.require(job.scope)
    standing.check_model(job.model.slug)
    if attached := _known(job, user_id, read):
        return attached
    conversation: dict[str, Any] | None = None
    leaf: UUID | None = None
    system = job.system
    if job.conversation_id is not None:
        conversation = read.conversations.get(job.conversation_id)
        if conversation is None or conversation["user_id"] != user_id or conversation["deleted_at"] is not None:
            raise Refusal("not_found")
        leaf = _leaf(job, conversation, read)
        system = conversation["system"] if system is None else system
    elif job.parent_message_id is not None:
        raise Refusal("invalid_value", "A parent needs its conversation.", param="parent_message_id")
    cap = context.output_cap(job.max_tokens, job.model.max_output, job.model.context_length)
    if job.messages is not None:
        fitted = context.Fitted(job.messages, len(job.messages), 0)
    else:
        history = [(step.role, step.content) for step in read.paths.get(leaf, ()) if step.content] if leaf else []
        fitted = context.fit(system or "", history, job.content, job.model.context_length, cap)
    estimate = context.estimate(fitted.messages)
    cap = context.room_for_answer(cap, job.model.context_length, estimate)
    generation_id, turn_id, message_id = uuid7(), uuid7(), uuid7()
    admitted = book.admit(_ask(job, standing, fitted, cap, generation_id))
    quote = {"max_tokens": admitted.max_tokens, "max_cost_usd": usd_string(admitted.nano_usd)}
    counts = {"included_messages": fitted.included, "omitted_messages": fitted.omitted}
    user_message_id: UUID | None = None
    title: str | None = None
    conversation_id = job.conversation_id
    if job.messages is None:
        user_message_id = uuid7()
        if conversation is None:
            title = titles.from_words(job.content)
            conversation_id = uuid7()
            out.conversations.append(new_conversation(job, conversation_id, user_id, title, message_id, at))
        else:
            out.changed[conversation["id"]] = changed_conversation(job, conversation, message_id, at)
        out.messages += question_and_answer(
            job, conversation_id, user_id, user_message_id, message_id, generation_id, leaf, at
        )
    out.turns.append(
        {
            "id": turn_id,
            "user_id": user_id,
            "conversation_id": conversation_id,
            "user_message_id": user_message_id,
            "api_key_id": principal.api_key_id,
            "door": job.door,
            "idempotency_key": job.idempotency_key,
            "body_digest": job.body_digest,
            "quote": quote,
            "context": counts,
            "created_at": at,
        }
    )
    if job.idempotency_key is not None:
        # A second job with the same key in this very batch finds the turn, too.
        read.turns[user_id, job.idempotency_key] = {"id": turn_id, "body_digest": job.body_digest}
    out.generations.append(
        {
            "id": generation_id,
            "turn_id": turn_id,
            "user_id": user_id,
            "position": 0,
            "message_id": message_id if job.messages is None else None,
            "model_id": job.model.slug,
            "hold_id": admitted.hold_id,
            "price_id": job.price.id,
            "state": Generation.State.RUNNING,
            "worker": job.worker,
            "upstream": job.model.upstream,
            "upstream_id": "",
            "prompt_estimate": estimate,
            "delivered_bytes": 0,
            "finish_reason": "",
            "created_at": at,
        }
    )
    if job.keeps_answer:
        out.kept.append(kept_answers.opened(generation_id))
    return Started(
        turn_id=turn_id,
        user_id=user_id,
        generation_id=generation_id,
        hold_id=admitted.hold_id,
        conversation_id=conversation_id,
        user_message_id=user_message_id,
        message_id=message_id,
        title=title,
        prompt=fitted.messages,
        prompt_estimate=estimate,
        admitted=admitted,
        quote=quote,
        context=counts,
    )


def _ask(job: Start, standing: Standing, fitted: context.Fitted, cap: int, generation_id: UUID) -> Ask:
    key = standing.key
    price = job.price
    return Ask(
        account_id=standing.principal.user_id,
        reference=f"generation:{generation_id}",
        model_id=job.model.slug,
        input_bound=context.upper_bound(fitted.messages, job.params),
        wanted_tokens=None if job.max_tokens is None else min(job.max_tokens, cap),
        default_tokens=cap,
        price=Price(
            id=price.id,
            prompt_pico=price.prompt_pico,
            completion_pico=price.completion_pico,
            request_nano=price.request_nano,
            cached_pico=price.cached_pico,
        ),
        api_key=None
        if key is None
        else KeyLimits(
            id=key["id"],
            limit_tokens=key["limit_tokens"],
            limit_nano_usd=key["limit_nano_usd"],
            requests_per_minute=key["requests_per_minute"],
            tokens_per_minute=key["tokens_per_minute"],
        ),
        worker=job.worker,
    )
