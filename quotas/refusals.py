"""The refusals of an admission, with what programs need to act on them.

``asked`` in the details is the least that would have done, in the unit of what refused.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Final

from oneai.kit.errors import Refusal
from quotas.policy import OF_CALLER, PLAN_WIDE, TOKENS

BUSY_RETRY_SECONDS: Final = 2


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def limit_json(
    scope: str, unit: str, limit: int | None, used: int, held: int, extra: int, reset_at: datetime, *, team: str = ""
) -> dict[str, Any]:
    """A limit as the API shows it. ``remaining`` never falls below 0; unlimited is None.

    ``extra``, what top-ups add less what is owed, is in ``remaining`` alone. Where a ``team`` pays, its quota has
    its name, and ``shared`` tells what all members use together from what one member may use of it.
    """
    shared = {"shared": not scope.startswith(OF_CALLER)} if team and not scope.startswith("key:") else {}
    return {
        "scope": named(scope, team),
        "unit": unit,
        "limit": limit,
        "used": used,
        "held": held,
        "remaining": remaining(limit, used, held, extra),
        "reset_at": _text(reset_at),
        **shared,
    }


def named(scope: str, team: str) -> str:
    """The scope as it is told to who draws on ``team``: what is plan-wide there is the team's."""
    return team if team and scope == PLAN_WIDE else scope


def remaining(limit: int | None, used: int, held: int, extra: int) -> int | None:
    """What may still be used: of the limit, and of what comes to it. None: unlimited."""
    return None if limit is None else max(0, max(0, limit - used - held) + extra)


def exceeded(
    scope: str,
    unit: str,
    limit: int,
    used: int,
    held: int,
    extra: int,
    asked: int,
    *,
    at: datetime,
    reset_at: datetime,
    team: str = "",
) -> Refusal:
    """A limit that does not cover the call, named."""
    what = "tokens" if unit == TOKENS else "cost"
    where = f" ({scope})"
    if scope in (PLAN_WIDE, team):
        where = "" if not team else " of your team" if scope == PLAN_WIDE else " that your team gives you"
    headers = {"X-Quota-Remaining-Tokens": str(remaining(limit, used, held, extra))} if unit == TOKENS else {}
    return Refusal(
        "quota_exceeded",
        f"What is left of the {what} quota{where} does not cover this call.",
        details={"limit": limit_json(scope, unit, limit, used, held, extra, reset_at, team=team), "asked": asked},
        retry_after=max(1, math.ceil((reset_at - at).total_seconds())),
        headers=headers,
    )


def rate_exceeded(scope: str, name: str, limit: int, remaining: int, wait: int, asked: int = 1) -> Refusal:
    """A rate that has no room for the call for another ``wait`` seconds."""
    rate = {"scope": scope, "name": name, "limit": limit, "remaining": remaining, "reset_seconds": wait}
    what = "requests" if name == "requests_per_minute" else "tokens"
    suffix = "Requests" if what == "requests" else "Tokens"
    return Refusal(
        "rate_limited",
        f"The limit is {limit:,} {what} a minute. Try again in {wait} s.",
        details={"rate": rate, "asked": asked},
        retry_after=wait,
        headers={
            f"X-RateLimit-Limit-{suffix}": str(limit),
            f"X-RateLimit-Remaining-{suffix}": str(remaining),
            f"X-RateLimit-Reset-{suffix}": f"{wait}s",
        },
    )


def too_many_running(limit: int, running: int, scope: str = PLAN_WIDE, asked: int = 1) -> Refusal:
    """All the answers that may run at once do."""
    rate = {"scope": scope, "name": "concurrent_generations", "limit": limit, "running": running}
    return Refusal(
        "too_many_generations",
        f"At most {limit} answers may run at once.",
        details={"rate": rate, "asked": asked},
        retry_after=BUSY_RETRY_SECONDS,
    )
