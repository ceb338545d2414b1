"""Starting turns: one transaction admits, holds and writes the question and its empty answers.

What can be refused cheaply is refused first: who asks, where, how often, how many at once, with how much
left. Only then is the history's shape read, and only of what is admitted its text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from accounts import keyring
from accounts.claims import Standing, standings
from chat import attached, attachments, kept_answers, openai_store, preferring, titles, tree, turn_prompt
from chat.models import Attachment, Conversation, Generation, KeptAnswer, Message, MessageAttachment, Turn
from chat.tree import Step
from chat.turn_jobs import Attached, Start, Started, StartedGeneration, Switch
from chat.turn_place import CONVERSATION, MESSAGE, Place, place_of
from chat.turn_prompt import HISTORY_DEPTH, Portion, draft, portion
from chat.turn_rows import answers, changed_conversation, generation_rows, new_conversation, question, turn_row
from oneai.kit import rows
from oneai.kit.clock import uuid7
from oneai.kit.errors import Refusal
from oneai.kit.money import usd_string
from oneai.kit.rows import Row
from quotas import refused
from quotas.ledger import Book

IDEMPOTENCY_KEPT: Final = timedelta(hours=24)
MESSAGES_AT_ONCE: Final = 500  # a statement takes so many parameters and no more


@dataclass(slots=True)
class _Rows:
    """What a batch of starts writes, table by table."""

    conversations: list[Row] = field(default_factory=list)
    changed: dict[UUID, Row] = field(default_factory=dict)
    messages: list[Row] = field(default_factory=list)
    turns: list[Row] = field(default_factory=list)
    generations: list[Row] = field(default_factory=list)
    kept: list[Row] = field(default_factory=list)
    held: list[Row] = field(default_factory=list)

    def write(self) -> None:
        rows.insert(Conversation, self.conversations)
        for first in range(0, len(self.messages), MESSAGES_AT_ONCE):
            rows.insert(Message, self.messages[first : first + MESSAGES_AT_ONCE])
        rows.insert(MessageAttachment, self.held)
        needed = dict.fromkeys(row["attachment_id"] for row in self.held)
        rows.update(Attachment, [{"id": attachment_id, "keep_until": None} for attachment_id in needed])
        rows.insert(Turn, self.turns)
        rows.insert(Generation, self.generations)
        rows.insert(KeptAnswer, self.kept)
        rows.update(Conversation, list(self.changed.values()))


@dataclass(slots=True)
class Read:
    """What a batch of starts reads before it decides. ``paths`` grows as histories are asked for."""

    turns: dict[tuple[UUID, str], Row]
    conversations: dict[UUID, Row]
    messages: dict[UUID, Row]
    attachments: dict[UUID, Row]
    paths: dict[UUID, list[Step]] = field(default_factory=dict)


def read_standings(jobs: Sequence[Start | Switch], at: datetime) -> dict[int, Standing | Refusal]:
    """Who asks, read again now; by the identity of the job."""
    found = standings([job.claim for job in jobs], at) if jobs else []
    return {id(job): standing for job, standing in zip(jobs, found, strict=True)}


def _read_turns(jobs: Sequence[Start], users: Iterable[UUID], at: datetime) -> dict[tuple[UUID, str], Row]:
    """The turns that the jobs' idempotency keys have started within a day."""
    keys = [job.idempotency_key for job in jobs if job.idempotency_key]
    if not keys:
        return {}
    this = rows.table(Turn)
    mine = [this.to_db("user_id", user) for user in dict.fromkeys(users)]
    found = rows.select(
        Turn,
        ("id", "user_id", "idempotency_key", "body_digest", "created_at"),
        by="idempotency_key",
        values=keys,
        where=f"user_id IN ({rows.marks(len(mine))})",
        params=mine,
    )
    expired = [turn for turn in found if turn["created_at"] < at - IDEMPOTENCY_KEPT]
    rows.update(Turn, [{"id": turn["id"], "idempotency_key": None} for turn in expired])
    rows.flush()  # before a new turn takes the key
    return {(turn["user_id"], turn["idempotency_key"]): turn for turn in found if turn not in expired}


def read_rows(jobs: Sequence[Start], users: Iterable[UUID], at: datetime, *, lock: bool = True) -> Read:
    """The rows that decide where each job belongs; conversations under lock, so that their trees stay."""
    ids = [job.conversation_id for job in jobs if job.conversation_id]
    conversations = {
        row["id"]: row for row in rows.select(Conversation, CONVERSATION, by="id", values=ids, order="id", lock=lock)
    }
    wanted = [named for job in jobs for named in (job.parent_message_id, job.message_id) if named]
    wanted += [row["active_message_id"] for row in conversations.values() if row["active_message_id"]]
    messages = {row["id"]: row for row in rows.select(Message, MESSAGE, by="id", values=wanted)}
    files = attached.find([named for job in jobs for named in job.attachments], lock=lock)
    return Read(_read_turns(jobs, users, at), conversations, messages, files)


@dataclass(slots=True)
class Candidate:
    """A job that has passed everything cheap, and waits for its history to be measured."""

    job: Start
    standing: Standing
    place: Place


def apply(
    jobs: Sequence[Start], who: Mapping[int, Standing | Refusal], book: Book, at: datetime
) -> dict[int, Started | Attached | Refusal]:
    """Admit each job or refuse it, and write what was admitted.

    Accounts are served in rounds. In each, every account's jobs are refused one after the other by what
    the book says now, until one passes; the histories of those that passed are measured by one statement.
    So a flood from one account costs no history more than it may have answers.
    """
    live = {id(job): standing for job in jobs if isinstance(standing := who[id(job)], Standing)}
    if not live:
        return {}
    mine = [job for job in jobs if id(job) in live]
    read = read_rows(mine, [standing.principal.user_id for standing in live.values()], at)
    out = _Rows()
    notes = refused.Notes(at)
    results: dict[int, Started | Attached | Refusal] = {}
    drafted: list[tuple[Start, Started, list[Portion]]] = []
    waiting: dict[UUID, deque[Start]] = {}
    for job in mine:
        waiting.setdefault(live[id(job)].principal.user_id, deque()).append(job)

    def refuse(job: Start, refusal: Refusal) -> None:
        results[id(job)] = refusal
        who = live[id(job)].principal
        notes.add(who.user_id, refusal, [model.slug for model in job.models], who.api_key_id, job.claim.request_id)

    def decide(candidate: Candidate) -> None:
        try:
            started, portions = _start(candidate, read, book, out, at)
            drafted.append((candidate.job, started, portions))
            results[id(candidate.job)] = started
        except Refusal as refusal:
            refuse(candidate.job, refusal)

    while waiting:
        passed: list[Candidate] = []
        for user_id, queue in list(waiting.items()):
            while queue:
                job = queue.popleft()
                try:
                    found = cheaply(job, live[id(job)], read, book)
                except Refusal as refusal:
                    refuse(job, refusal)
                    continue
                if isinstance(found, Attached):
                    results[id(job)] = found
                elif found.place.leaf is None:
                    decide(found)
                else:
                    passed.append(found)
                    break
            if not queue:
                del waiting[user_id]
        measure(passed, read)
        for candidate in passed:
            decide(candidate)
    _say(drafted, out, at)
    out.write()
    notes.write()
    keyring.touch((standing.key for standing in live.values()), at)
    return results


def measure(candidates: Sequence[Candidate], read: Read) -> None:
    """Measure the histories that ``candidates`` need, as far as their models can read."""
    leaves: dict[UUID, int] = {}
    for candidate in candidates:
        leaf = candidate.place.leaf
        if leaf is not None:
            leaves[leaf] = max(leaves.get(leaf, 0), turn_prompt.history_bytes(candidate.job))
    read.paths |= tree.paths(leaves, HISTORY_DEPTH)


def cheaply(job: Start, standing: Standing, read: Read, book: Book) -> Candidate | Attached:
    """All that can be said without the history. Raises the Refusal."""
    user_id = standing.principal.user_id
    standing.principal.require(job.scope)
    for model in job.models:
        standing.check_model(model.slug)
    if known := _known(job, user_id, read):
        return known
    preferring.fill(job, standing.user)
    place = place_of(job, user_id, read.conversations, read.messages)
    job.attached = attached.chosen(job.attachments, user_id, read.attachments)
    if place.leaf is not None:
        book.consider(turn_prompt.least_asks(job, standing))
    return Candidate(job, standing, place)


def _known(job: Start, user_id: UUID, read: Read) -> Attached | None:
    if job.idempotency_key is None:
        return None
    turn = read.turns.get((user_id, job.idempotency_key))
    if turn is None:
        return None
    if turn["body_digest"] != job.body_digest:
        raise Refusal("idempotency_conflict")
    return Attached(turn["id"], user_id)


def portions_of(candidate: Candidate, generation_ids: Sequence[UUID], read: Read) -> list[Portion]:
    """What each of the job's models is to read and may cost."""
    job, place = candidate.job, candidate.place
    made = draft(job, place, read.paths.get(place.leaf, ()) if place.leaf else ())
    return [
        portion(job, candidate.standing, made, model, number, f"generation:{generation_id}")
        for number, (model, generation_id) in enumerate(zip(job.models, generation_ids, strict=True))
    ]


def quote_of(max_tokens: Iterable[int], nano_usd: Iterable[int]) -> dict[str, Any]:
    """What a turn may use and cost at most, all its models together."""
    return {"max_tokens": sum(max_tokens), "max_cost_usd": usd_string(sum(nano_usd))}


def _start(candidate: Candidate, read: Read, book: Book, out: _Rows, at: datetime) -> tuple[Started, list[Portion]]:
    job, standing, place = candidate.job, candidate.standing, candidate.place
    ids = [uuid7() for _ in job.models]
    portions = portions_of(candidate, ids, read)
    if job.withdrawn:
        raise Refusal("unavailable", retry_after=2)
    admissions = book.admit_all([one.ask for one in portions])
    started = Started(
        turn_id=uuid7(),
        user_id=standing.principal.user_id,
        conversation_id=job.conversation_id,
        user_message_id=place.question,
        title=None,
        generations=[
            StartedGeneration(
                generation_id=generation_id,
                hold_id=admitted.hold_id,
                message_id=uuid7(),
                model=one.model,
                price=one.ask.price,
                prompt=[],
                prompt_estimate=one.fitted.weight.estimate,
                admitted=admitted,
                ask=one.ask,
                weight=one.fitted.weight,
            )
            for generation_id, one, admitted in zip(ids, portions, admissions, strict=True)
        ],
        quote=quote_of([one.max_tokens for one in admissions], [one.nano_usd for one in admissions]),
        context={
            "included_messages": min(one.included for one in portions),
            "omitted_messages": max(one.fitted.omitted for one in portions),
        },
    )
    if job.messages is None:
        if place.conversation is None:
            started.title = titles.from_words(job.content)
            started.conversation_id = uuid7()
            out.conversations.append(new_conversation(job, started, at))
        else:
            out.changed[place.conversation["id"]] = changed_conversation(job, place.conversation, started, at)
        if place.question is None:
            started.user_message_id = uuid7()
            out.messages.append(question(job, started, place.leaf, at))
            out.held += attachments.held_rows(started.user_message_id, job.attached)
    elif job.store:
        made, said = openai_store.begin(job, started, at)
        out.conversations.append(made)
        out.messages += said
    out.turns.append(turn_row(job, started, standing.principal.api_key_id, at))
    out.generations += generation_rows(job, started, at)
    if job.keeps_answer:
        out.kept += [kept_answers.opened(generation_id) for generation_id in ids]
    if job.idempotency_key is not None:
        # A second job with the same key in this very batch finds the turn, too.
        known = {"id": started.turn_id, "body_digest": job.body_digest}
        read.turns[started.user_id, job.idempotency_key] = known
    return started, portions


def _say(drafted: Sequence[tuple[Start, Started, list[Portion]]], out: _Rows, at: datetime) -> None:
    """Read the text of what was admitted, for the prompts and for the answers that begin with an older one."""
    said = tree.texts(
        message_id for _, _, portions in drafted for one in portions for message_id in turn_prompt.needed(one)
    )
    files = attached.read(
        [message_id for _, _, portions in drafted for one in portions for message_id in turn_prompt.holding(one)],
        [row["id"] for job, _, _ in drafted for row in job.attached],
    )
    for job, started, portions in drafted:
        for generation, one in zip(started.generations, portions, strict=True):
            generation.prompt = turn_prompt.prompt(job, one, said, files)
            if one.draft.prefix is not None and one.draft.prefix.size:
                generation.prefix = said[one.draft.prefix.id]
        if job.messages is None:
            out.messages += answers(job, started, started.user_message_id, at)
