"""How a dispatch ends: its state, and what it bills."""

from __future__ import annotations

import time

from sandbox.world import Dispatch, World

from .bill import Bill


def _settle(world: World, dispatch: Dispatch, bill: Bill, state: str, reason: str | None) -> None:
    dispatch.prompt_tokens = bill.prompt_tokens
    dispatch.completion_tokens = bill.completion_tokens
    dispatch.reasoning_tokens = bill.reasoning_tokens
    dispatch.cached_tokens = bill.cached_tokens
    dispatch.finish_reason = reason
    dispatch.state = state
    dispatch.ended = time.time()
    world.bill(dispatch, bill.cost)


def completed(world: World, dispatch: Dispatch, bill: Bill, reason: str | None) -> None:
    """The model came to its end."""
    _settle(world, dispatch, bill, "completed", reason)


def cancelled(world: World, dispatch: Dispatch, bill: Bill) -> None:
    """The reader left and the provider stopped: billed is what was written; nothing, when nothing was."""
    bill.free = bill.completion_tokens == 0
    dispatch.cancelled = True
    _settle(world, dispatch, bill, "cancelled", None)


def interrupted(world: World, dispatch: Dispatch, bill: Bill) -> None:
    """The connection broke on the upstream's side."""
    bill.free = bill.completion_tokens == 0
    _settle(world, dispatch, bill, "interrupted", None)


def failed(world: World, dispatch: Dispatch, bill: Bill) -> None:
    """The provider failed: what was written is billed, an empty failure is not."""
    bill.free = bill.completion_tokens == 0
    _settle(world, dispatch, bill, "failed", "error")
