"""What the writer of turns is asked to do, and what it answers: jobs of the batcher."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from accounts.claims import Claim
from chat.catalog import CatalogModel
from chat.context import Weight
from chat.kept_answers import Kept
from quotas.ledger import Admitted, Ask, Charge, Price


class Kind(StrEnum):
    """What a turn does: asks something new, answers a question once more, or goes on with a cut answer."""

    SEND = "send"
    REGENERATE = "regenerate"
    CONTINUE = "continue"


@dataclass(slots=True, eq=False)
class Start:
    """A wish to start a turn: each of ``models`` answers, in this order, all or none.

    A turn of another kind than SEND is about ``message_id`` in ``conversation_id``; ``instruction`` goes with
    its question for this once. On ``/v1`` ``messages`` is the whole prompt, and ``store`` makes a conversation
    of it.
    """

    claim: Claim
    door: str
    worker: str
    models: list[CatalogModel]
    kind: Kind = Kind.SEND
    scope: str = "chat"
    content: str = ""
    attachments: tuple[UUID, ...] = ()
    conversation_id: UUID | None = None
    parent_message_id: UUID | None = None
    message_id: UUID | None = None
    instruction: str = ""
    system: str | None = None
    messages: list[dict[str, Any]] | None = None
    store: bool = False
    max_tokens: int | None = None
    params: dict[str, Any] = field(default_factory=dict)
    temporary: bool = False
    idempotency_key: str | None = None
    body_digest: str = ""
    withdrawn: bool = False  # set while it waits: its caller has been told that the database is away
    weight: Weight | None = None  # of what the request brings, once it is measured
    attached: list[dict[str, Any]] = field(default_factory=list)  # the rows of its attachments, once they are read

    @property
    def stored(self) -> bool:
        """Whether question and answer are messages of a conversation."""
        return self.messages is None or self.store

    @property
    def keeps_answer(self) -> bool:
        """Whether the answer is kept for a while, for whoever asks again with the same key."""
        return self.door == "v1" and self.idempotency_key is not None


@dataclass(slots=True, eq=False)
class StartedGeneration:
    """One model's part of a committed turn: its ids, what was admitted for it and the prompt to send.

    ``prefix`` is the text that the answer begins with: what a cut answer had said.
    """

    generation_id: UUID
    hold_id: UUID
    message_id: UUID
    model: CatalogModel
    price: Price
    prompt: list[dict[str, Any]]
    prompt_estimate: int
    admitted: Admitted
    ask: Ask
    weight: Weight
    prefix: str = ""


@dataclass(slots=True, eq=False)
class Started:
    """A committed turn: its ids, and its generations in the order in which they were asked for."""

    turn_id: UUID
    user_id: UUID
    conversation_id: UUID | None
    user_message_id: UUID | None
    title: str | None
    generations: list[StartedGeneration]
    quote: dict[str, Any]
    context: dict[str, int]

    @property
    def admitted(self) -> Admitted:
        """The last admission of the turn: its rates and what is left are those after all of them."""
        return self.generations[-1].admitted


@dataclass(frozen=True, slots=True)
class Attached:
    """The idempotency key is known: this is the turn that it started."""

    turn_id: UUID
    user_id: UUID


class Settling(StrEnum):
    """What happens to the hold at the end."""

    CHARGE = "charge"
    RELEASE = "release"
    NONE = "none"  # it is closed already
    LATER = "later"  # the upstream's figure is missing: the sweeper asks for it


@dataclass(slots=True, eq=False)
class Finish:
    """The end of a generation, or (``late``) the settling of one that has ended before.

    What its own producer says (``by_producer``) replaces the mark of a sweeper that could not hear it.
    """

    turn_id: UUID
    generation_id: UUID
    user_id: UUID
    hold_id: UUID
    state: str
    settling: Settling
    charge: Charge | None = None
    message_id: UUID | None = None
    content: str | None = None
    reasoning: str | None = None
    finish_reason: str = ""
    error: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    upstream_id: str = ""
    delivered_bytes: int = 0
    kept: Kept | None = None
    metadata: dict[str, Any] | None = None
    provider: str = ""
    late: bool = False
    by_producer: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """What an end did. ``settled`` is False when somebody else had closed the hold."""

    settled: bool
    limits: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Progress:
    """A running generation's text so far, and that its producer lives."""

    generation_id: UUID
    hold_id: UUID
    message_id: UUID | None
    content: str | None
    reasoning: str | None
    upstream_id: str
    delivered_bytes: int
    beat: bool
    kept: Kept | None = None
    provider: str = ""


@dataclass(slots=True, eq=False)
class Switch:
    """A wish to let ``model`` answer in place of ``generation``'s, which said nothing and failed with ``code``.

    ``tries`` are those of the generation's row with this one; ``metadata`` is its message's; ``charge`` is for
    the call that failed, None when none was made. ``gently``: only if the new model is admitted beside the old,
    which then has not failed but is spared.
    """

    start: Start
    started: Started
    generation: StartedGeneration
    model: CatalogModel
    code: str
    tries: list[dict[str, Any]]
    metadata: dict[str, Any]
    charge: Charge | None
    gently: bool = False

    @property
    def claim(self) -> Claim:
        return self.start.claim


@dataclass(frozen=True, slots=True)
class Switched:
    """What became of the wish: the generation as it goes on, or None. ``closed``: the old hold is."""

    generation: StartedGeneration | None
    closed: bool


@dataclass(slots=True, eq=False)
class Extend:
    """A wish to hold ``tokens`` more for a call that writes more than it was asked to. Numbered from 1 per hold."""

    user_id: UUID
    hold_id: UUID
    ask: Ask
    tokens: int
    sequence: int


@dataclass(slots=True, eq=False)
class Stop:
    """A person's wish to stop a turn, or one message of it."""

    user_id: UUID
    turn_id: UUID
    message_id: UUID | None = None
