"""What somebody prefers, where a request leaves it open: which values there are, and how they come to a turn."""

from __future__ import annotations

from typing import Any, Final

from accounts import preferences
from accounts.models import User
from chat import catalog, requests
from chat.turn_jobs import Start
from oneai.kit.errors import Refusal

WARMEST: Final = 2.0


def check_model(slug: str) -> None:
    """Refusal ``model_not_found`` or ``model_not_usable`` unless the model can be asked; empty is no preference."""
    if not slug:
        return
    try:
        catalog.usable(slug)
    except Refusal as refusal:
        refusal.param = "default_model"
        raise


def fill(job: Start, row: dict[str, Any]) -> None:
    """Put what the person of the user's ``row`` prefers where ``job`` says nothing; /v1 says all itself.

    A conversation that is there keeps its own system prompt, also an empty one.
    """
    kept = row.get("preferences")
    if job.messages is not None or not isinstance(kept, dict) or not kept:
        return
    chosen = preferences.of(User(preferences=kept))
    if job.system is None and job.conversation_id is None:
        job.system = chosen["system"][: requests.LONGEST_SYSTEM] or None
    most = chosen["max_tokens"]
    if job.max_tokens is None and isinstance(most, int) and 1 <= most <= requests.MOST_TOKENS:
        job.max_tokens = most
    given = dict(job.params)
    warmth, effort = chosen["temperature"], chosen["reasoning_effort"]
    if "temperature" not in given and warmth is not None and 0 <= warmth <= WARMEST:
        given["temperature"] = float(warmth)
    if "reasoning_effort" not in given and effort in requests.EFFORTS:
        given["reasoning_effort"] = effort
    job.params = given
