"""Starting turns: one transaction admits, holds and writes the question and its empty answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from accounts.claims import Standing, standings, touch_keys
from chat import context, kept_answers, openai_store, titles
from chat.catalog import CatalogModel
from chat.conversations import active_paths
from chat.models import Conversation, Generation, KeptAnswer, Message, Turn
from chat.turn_jobs import Attached, Start, Started, StartedGeneration
from chat.turn_rows import answers, changed_conversation, generation_rows, new_conversation, question, turn_row
from oneai.kit import rows
from oneai.kit.clock import uuid7
from oneai.kit.errors import Refusal
from oneai.kit.money import usd_string
from quotas.ledger import Ask, Book, KeyLimits, Price

IDEMPOTENCY_KEPT: Final = timedelta(hours=24)
HISTORY_DEPTH: Final = 400
MESSAGES_AT_ONCE: Final = 500  # a statement takes so many parameters and no more

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
    rows.flush()  # before a new turn takes the key
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
    for first in range(0, len(out.messages), MESSAGES_AT_ONCE):
        rows.insert(Message, out.messages[first : first + MESSAGES_AT_ONCE])
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
    if job.withdrawn:
        raise Refusal("unavailable", retry_after=2)
    principal = standing.principal
    user_id = principal.user_id
    principal.require(job.scope)
    for model in job.models:
        standing.check_model(model.slug)
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
    history = [(step.role, step.content) for step in read.paths.get(leaf, ()) if step.content] if leaf else []
    asked = [_asked(job, standing, model, number, system or "", history) for number, model in enumerate(job.models)]
    admissions = book.admit_all([one.ask for one in asked])
    generations = [
        StartedGeneration(
            generation_id=one.generation_id,
            hold_id=admitted.hold_id,
            message_id=one.message_id,
            model=one.model,
            price=one.ask.price,
            prompt=one.fitted.messages,
            prompt_estimate=one.estimate,
            admitted=admitted,
        )
        for one, admitted in zip(asked, admissions, strict=True)
    ]
    started = Started(
        turn_id=uuid7(),
        user_id=user_id,
        conversation_id=job.conversation_id,
        user_message_id=None,
        title=None,
        generations=generations,
        quote={
            "max_tokens": sum(admitted.max_tokens for admitted in admissions),
            "max_cost_usd": usd_string(sum(admitted.nano_usd for admitted in admissions)),
        },
        context={
            "included_messages": min(one.fitted.included for one in asked),
            "omitted_messages": max(one.fitted.omitted for one in asked),
        },
    )
    if job.messages is None:
        started.user_message_id = uuid7()
        if conversation is None:
            started.title = titles.from_words(job.content)
            started.conversation_id = uuid7()
            out.conversations.append(new_conversation(job, started, at))
        else:
            out.changed[conversation["id"]] = changed_conversation(job, conversation, started, at)
        out.messages.append(question(job, started, leaf, at))
        out.messages += answers(started, started.user_message_id, at)
    elif job.store:
        made, said = openai_store.begin(job, started, at)
        out.conversations.append(made)
        out.messages += said
    out.turns.append(turn_row(job, started, principal.api_key_id, at))
    out.generations += generation_rows(job, started, at)
    if job.keeps_answer:
        out.kept += [kept_answers.opened(generation.generation_id) for generation in generations]
    if job.idempotency_key is not None:
        # A second job with the same key in this very batch finds the turn, too.
        read.turns[user_id, job.idempotency_key] = {"id": started.turn_id, "body_digest": job.body_digest}
    return started


@dataclass(frozen=True, slots=True)
class _Asked:
    """One model's part of a turn before it is admitted."""

    model: CatalogModel
    generation_id: UUID
    message_id: UUID
    fitted: context.Fitted
    estimate: int
    ask: Ask


def _asked(
    job: Start, standing: Standing, model: CatalogModel, number: int, system: str, history: list[tuple[str, str]]
) -> _Asked:
    cap = context.output_cap(job.max_tokens, model.max_output, model.context_length)
    if job.messages is not None:
        fitted = context.Fitted(job.messages, len(job.messages), 0)
    else:
        fitted = context.fit(system, history, job.content, model.context_length, cap)
    estimate = context.estimate(fitted.messages)
    cap = context.room_for_answer(cap, model.context_length, estimate)
    generation_id = uuid7()
    key = standing.key
    price = model.price
    assert price is not None  # a door lets no model without one through
    ask = Ask(
        account_id=standing.principal.user_id,
        reference=f"generation:{generation_id}",
        model_id=model.slug,
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
        counts_as_request=number == 0,
    )
    return _Asked(model, generation_id, uuid7(), fitted, estimate, ask)
