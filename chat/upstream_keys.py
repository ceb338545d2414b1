"""The watch over our keys at upstreams: what each has used and has left, and whether it is still taken.

Any number of workers may watch; each look at a key is claimed. The owners hear of a change for the worse once,
from a look or from a call that was refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from django.db import transaction

from accounts.owners import tell_owners
from chat.models import UpstreamKey
from chat.upstreams import Upstream, key_name, upstreams
from oneai.kit.clock import now
from oneai.kit.http import HTTPFailure, fetch_json
from oneai.kit.money import NANO, nano_from_usd, usd_string

log = structlog.get_logger("keys")

State = UpstreamKey.State

EVERY: Final = timedelta(minutes=10)
LOW_NANO: Final = 5 * NANO
LOW_PART: Final = 10  # a tenth of its limit
TIMEOUT: Final = 10.0

_PROBLEMS: Final = {
    "upstream_unconfigured": "it is not accepted (status 401)",
    "upstream_unpaid": "the provider wants payment (status 402)",
}


@dataclass(frozen=True, slots=True)
class Look:
    """What an upstream says of a key."""

    state: State
    problem: str = ""
    label: str = ""
    limit: int | None = None
    remaining: int | None = None
    used: int | None = None
    used_today: int | None = None


def _nano(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return nano_from_usd(value)
    except ValueError:
        return 0 if value < 0 else None


def read(answer: Any) -> Look:
    """A look from the answer of ``GET /key``, in which nothing is certain."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        return Look(State.GOOD)
    label = data.get("label")
    limit, remaining = _nano(data.get("limit")), _nano(data.get("limit_remaining"))
    low = remaining is not None and remaining < max(LOW_NANO, (limit or 0) // LOW_PART)
    return Look(
        state=State.LOW if low else State.GOOD,
        problem=f"${usd_string(remaining)} are left of its limit" if low and remaining is not None else "",
        label=label[:80] if isinstance(label, str) and label.isprintable() else "",
        limit=limit,
        remaining=remaining,
        used=_nano(data.get("usage")),
        used_today=_nano(data.get("usage_daily")),
    )


def look(upstream: Upstream, key: str) -> Look | None:
    """What the upstream says of ``key``; None when nobody could say."""
    try:
        return read(fetch_json(f"{upstream.base_url}/key", headers=upstream.headers(key), timeout=TIMEOUT))
    except HTTPFailure as failure:
        if failure.status in {401, 403}:
            return Look(State.REFUSED, f"it is not accepted (status {failure.status})")
        log.warning("key_not_seen", upstream=upstream.name, status=failure.status)
        return None


def watch() -> int:
    """Look at every key that is due; returns how many were looked at."""
    at = now()
    seen = 0
    configured = []
    for upstream in upstreams().values():
        if upstream.kind != "openrouter":
            continue
        for key in upstream.keys:
            row, _ = UpstreamKey.objects.get_or_create(upstream=upstream.name, name=key_name(key))
            configured.append(row.pk)
            # Whoever moves the moment on has the look.
            if not UpstreamKey.objects.filter(pk=row.pk, due_at__lte=at).update(due_at=at + EVERY, is_configured=True):
                continue
            found = look(upstream, key)
            seen += 1
            if found is not None:
                _note(row, found)
    UpstreamKey.objects.filter(is_configured=True).exclude(pk__in=configured).update(is_configured=False)
    return seen


def _note(row: UpstreamKey, look: Look) -> None:
    with transaction.atomic():
        # A key that a call was refused with a moment ago may still be shown as good here.
        UpstreamKey.objects.filter(pk=row.pk).update(
            label=look.label or row.label,
            limit_nano_usd=look.limit,
            remaining_nano_usd=look.remaining,
            used_nano_usd=look.used,
            used_today_nano_usd=look.used_today,
            checked_at=now(),
        )
        _turn(row, look.state, look.problem)


def _turn(row: UpstreamKey, state: State, problem: str) -> None:
    """Let the key be in ``state``; the owners are told by whoever made it worse."""
    if not UpstreamKey.objects.filter(pk=row.pk).exclude(state=state).update(state=state, problem=problem):
        UpstreamKey.objects.filter(pk=row.pk).exclude(problem=problem).update(problem=problem)
        return
    row.refresh_from_db()
    log.warning("key_changed", upstream=row.upstream, key=row.name, state=str(state))
    if state != State.GOOD:
        tell_owners(
            f"a key at {row.upstream} needs you",
            f"The key {row.label or row.name} at {row.upstream}: {problem}.\n\n"
            "Answers go on with the other keys, if there are any. Put a new one into OPENROUTER_API_KEY; where that "
            "is a file, no restart is needed.",
        )


def refused(upstream: str, name: str, code: str) -> None:
    """A call was refused for its key: it is seen again in ten minutes, and until then counts as refused."""
    with transaction.atomic():
        row, _ = UpstreamKey.objects.get_or_create(upstream=upstream, name=name)
        UpstreamKey.objects.filter(pk=row.pk).update(due_at=now() + EVERY)
        _turn(row, State.REFUSED, _PROBLEMS.get(code, "a call with it was refused"))
