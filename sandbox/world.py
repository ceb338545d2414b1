"""What the sandbox remembers while it runs: dispatches, faults to come, speed. All in memory, all bounded."""

from __future__ import annotations

import itertools
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from aiohttp import web

from .google.accounts import Sessions
from .mail.box import Mailbox
from .pace import PACES, Pace
from .razorpay.service import Service, Target

KEPT_DISPATCHES = 50_000


@dataclass(slots=True)
class Dispatch:
    """One chat completion that reached the imitated OpenRouter. Tokens and cost are what it bills."""

    generation_id: str
    requested: list[str]
    model: str
    provider: str
    scenario: str | None
    user: str | None
    session_id: str | None
    max_tokens: int | None
    streamed: bool
    created: float = field(default_factory=time.time)
    state: str = "running"
    http_status: int = 200
    finish_reason: str | None = None
    cancelled: bool = False
    disconnected_at: float | None = None
    ended: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    cost: Decimal = Decimal(0)
    lookups: int = 0
    metadata: Any = None
    lost: bool = False

    @property
    def interrupted(self) -> bool:
        """Whether the stream did not reach its reader's end: its record is slow to appear."""
        return self.disconnected_at is not None or self.state == "interrupted"

    def as_json(self) -> dict[str, Any]:
        """The dispatch for `/_control/dispatches`; cost is a decimal string in USD, times Unix seconds."""
        return {
            "generation_id": self.generation_id,
            "requested_models": self.requested,
            "model": self.model,
            "provider": self.provider,
            "scenario": self.scenario,
            "user": self.user,
            "session_id": self.session_id,
            "metadata": self.metadata,
            "max_tokens": self.max_tokens,
            "streamed": self.streamed,
            "state": self.state,
            "http_status": self.http_status,
            "finish_reason": self.finish_reason,
            "cancelled": self.cancelled,
            "disconnected": self.disconnected_at is not None,
            "created": self.created,
            "disconnected_at": self.disconnected_at,
            "ended": self.ended,
            "usage": {
                "prompt_tokens": self.prompt_tokens,
                "completion_tokens": self.completion_tokens,
                "reasoning_tokens": self.reasoning_tokens,
                "cached_tokens": self.cached_tokens,
                "total_tokens": self.prompt_tokens + self.completion_tokens,
                "cost": format(self.cost, "f"),
            },
            "lookups": self.lookups,
        }


@dataclass(slots=True)
class PlannedFault:
    """A scenario that takes over coming requests, ordered by `POST /_control/fault`."""

    scenario: str
    times: int
    model: str | None
    every: int
    seen: int = 0


class World:
    """The state behind every endpoint; one per process."""

    def __init__(self, pace: str = "human", webhooks: Target | None = None) -> None:
        self.first_pace = pace
        self.base_url = ""
        self.smtp_port = 0
        self.mailbox = Mailbox()
        self.google = Sessions()
        self.razorpay = Service(lambda: self.base_url, webhooks)
        self._numbers = itertools.count(1)
        self.reset()

    def reset(self) -> None:
        """Forgets everything but the addresses; a running stream keeps its own dispatch."""
        self.pace: Pace = PACES[self.first_pace]
        self.stall_seconds = 90.0
        self.dispatches: OrderedDict[str, Dispatch] = OrderedDict()
        self.faults: list[PlannedFault] = []
        self.key_fields: dict[str, Any] = {}
        self.spent = Decimal(0)
        self.mailbox.clear()
        self.google.clear()
        self.razorpay.reset()

    def new_generation_id(self) -> str:
        """An id as OpenRouter writes them; unique in this process and, by its random part, beyond it."""
        return f"gen-{int(time.time())}-{next(self._numbers):05d}{secrets.token_hex(5)}"

    def remember(self, dispatch: Dispatch) -> None:
        """Keeps a dispatch, and lets the oldest go beyond the bound."""
        self.dispatches[dispatch.generation_id] = dispatch
        while len(self.dispatches) > KEPT_DISPATCHES:
            self.dispatches.popitem(last=False)

    def bill(self, dispatch: Dispatch, cost: Decimal) -> None:
        """Fixes what a dispatch costs and adds it to what the key has spent."""
        self.spent += cost - dispatch.cost
        dispatch.cost = cost

    def falsify(self, dispatch: Dispatch, *, lose: bool, double: bool, factor: Decimal, tokens: int) -> None:
        """Makes the books wrong: the record is lost, billed twice, at another price, or for more tokens."""
        dispatch.lost = dispatch.lost or lose
        dispatch.completion_tokens += tokens
        self.bill(dispatch, dispatch.cost * factor)
        if double:
            self.spent += dispatch.cost

    def planned_fault(self, model: str) -> str | None:
        """The scenario that a control call ordered for this request, counted down; None without one."""
        for fault in list(self.faults):
            if fault.model is not None and fault.model != model:
                continue
            fault.seen += 1
            if fault.seen % fault.every:
                continue
            fault.times -= 1
            if fault.times <= 0:
                self.faults.remove(fault)
            return fault.scenario
        return None


WORLD: web.AppKey[World] = web.AppKey("world", World)
