"""A process of the drill, on the scratch database: ``python -m adminpanel.drill.act ROLE [POINT]``.

``prepare`` makes the person and the model; ``work POINT`` runs turns through the product's own engine and
kills itself at the point; ``heal`` does what any living worker does, and answers on stdout when asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import django

django.setup()

from django.db import transaction  # noqa: E402

from accounts import apikeys  # noqa: E402
from accounts.claims import Claim  # noqa: E402
from accounts.models import User  # noqa: E402
from adminpanel.drill import upstream  # noqa: E402
from chat import catalog, engine, sweeper, turns  # noqa: E402
from chat.attempt import Attempt  # noqa: E402
from chat.keeping import Keeper  # noqa: E402
from chat.models import AIModel, ModelPrice  # noqa: E402
from chat.runner import Producer  # noqa: E402
from chat.turn_jobs import Finish, Start  # noqa: E402
from oneai.kit.clock import now  # noqa: E402
from quotas import allowances, invariants  # noqa: E402
from quotas.audit import accounts  # noqa: E402
from quotas.models import Hold, UsageRecord  # noqa: E402
from quotas.policy import RATES  # noqa: E402

MODEL: Final = "drill/model"
EMAIL: Final = "drill@oneai.invalid"
AT_ONCE: Final = 4
POINTS: Final = {
    "before_hold": "before the hold is committed",
    "after_hold": "after the hold is committed, before the upstream is called",
    "after_call": "when the upstream has said its first word",
    "mid_stream": "in mid-stream, the generation's id saved",
    "before_settle": "before the end is committed",
    "after_settle": "after the end is committed",
}


def die(*_: Any) -> None:
    """As the machine would: no handler runs, nothing is flushed."""
    os.kill(os.getpid(), signal.SIGKILL)


def prepare() -> None:
    """A person whom no limit stops, and the model of the drill's upstream."""
    user = User.objects.create_user(EMAIL)
    with transaction.atomic():
        allowances.set_rates(user.pk, dict.fromkeys(RATES), "drill", "drill")
        allowances.set_limit(user.pk, "*", {"tokens": 10**9, "nano_usd": 10**12}, "drill", "drill")
    model = AIModel.objects.create(slug=MODEL, upstream_slug=MODEL, name="Drill", context_length=8192, max_output=256)
    model.price = ModelPrice.objects.create(
        model=model,
        version=1,
        prompt_pico_usd=upstream.PICO_PROMPT,
        completion_pico_usd=upstream.PICO_COMPLETION,
    )
    model.save()


def arm(point: str) -> None:
    """Let this process die at ``point``, the first time that it is reached."""
    kind = {"before_hold": Start, "before_settle": Finish}.get(point)
    if kind is not None:
        _after(turns, "_apply", lambda _, args: any(isinstance(job, kind) for job in args[0]))
    elif point == "after_hold":
        engine.Engine._produce = die  # type: ignore[method-assign, assignment]
    elif point == "after_call":
        _after(Attempt, "_say", lambda _, args: True)
    elif point == "mid_stream":
        _after(Keeper, "save", lambda _, args: args[0].has_saved_the_id and args[0].delivered_bytes > 60)
    else:
        _after_async(Producer, "_commit")


def _after(owner: Any, name: str, reached: Callable[[Any, tuple[Any, ...]], bool]) -> None:
    real = getattr(owner, name)

    def armed(*args: Any, **named: Any) -> Any:
        result = real(*args, **named)
        if reached(result, args):
            die()
        return result

    setattr(owner, name, armed)


def _after_async(owner: Any, name: str) -> None:
    real = getattr(owner, name)

    async def armed(*args: Any, **named: Any) -> None:
        await real(*args, **named)
        die()

    setattr(owner, name, armed)


async def work(point: str) -> None:
    """Some turns at once, until the process is dead."""
    user = await asyncio.to_thread(User.objects.get, email=EMAIL)
    _, plaintext = await asyncio.to_thread(apikeys.mint, user, scopes=["chat"])
    running = engine.Engine()
    await running.start(lifespan=True)
    await asyncio.to_thread(catalog.refresh)
    arm(point)
    claim = Claim(digest=apikeys.digest_of(plaintext) or "", address="127.0.0.1")
    model = catalog.usable(MODEL)
    starts = [
        Start(claim=claim, door="api", worker=running.worker, models=[model], content="Drill.") for _ in range(AT_ONCE)
    ]
    for start in starts:
        await running.start_turn(start)
    await asyncio.sleep(60)


def heal() -> None:
    """Sweep as every worker does. For each line on stdin, one of JSON when nothing is open any more."""
    for line in sys.stdin:
        begun = time.monotonic()
        patience = float(line)
        while Hold.objects.filter(state__in=["held", "orphaned"]).exists() and time.monotonic() - begun < patience:
            sweeper.sweep_once()
            time.sleep(0.2)
        left = Hold.objects.filter(state__in=["held", "orphaned"]).count()
        sys.stdout.write(json.dumps({"open": left, **_books()}) + "\n")
        sys.stdout.flush()


def _books() -> dict[str, Any]:
    report = invariants.check(accounts())
    records = UsageRecord.objects.order_by("id").values_list("upstream_id", "tokens", "nano_usd", "source")
    return {
        "at": now().isoformat(),
        "differences": [invariants.as_json(each) for each in report.differences],
        "records": [list(record) for record in records],
    }


def main() -> None:
    role = sys.argv[1]
    if role == "prepare":
        prepare()
    elif role == "work":
        asyncio.run(work(sys.argv[2]))
    else:
        heal()


if __name__ == "__main__":
    main()
