"""Web processes killed one after the other in mid-stream: nothing acknowledged is lost, nothing charged twice.

Whoever serves may be hit, also the last one. Thirty kills by default, five hundred with --full,
ONEAI_KILLS of them when it is set. The seed is printed; ONEAI_SEED repeats a run.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest

from tests.chat.client import Chat, dispatches
from tests.faults.load import Followed, Load, unlimited
from tests.servers.site import Site

pytestmark = pytest.mark.faults

PROCESSES = 4
STREAMS = 12
# What the rows say in the end; nothing over HTTP tells a hold's end or lists every usage record.
ROWS = """
import json
from chat.models import Generation, Message
from quotas.models import Hold, UsageRecord
holds = {hold.id: hold for hold in Hold.objects.all()}
records = {}
for record in UsageRecord.objects.all():
    records.setdefault(record.hold_id, []).append(
        {"tokens": record.tokens, "nano_usd": record.nano_usd, "source": record.source})
contents = dict(Message.objects.values_list("id", "content"))
print("ROWS " + json.dumps([
    {"turn_id": str(one.turn_id), "question": contents.get(one.turn.user_message_id), "state": one.state,
     "content": contents.get(one.message_id), "upstream_id": one.upstream_id, "delivered": one.delivered_bytes,
     "pid": int(one.worker.split(":")[1]), "began": one.created_at.timestamp(),
     "hold_id": str(one.hold_id), "hold": holds[one.hold_id].state, "looks": holds[one.hold_id].checks,
     "ended": one.finished_at.timestamp() if one.finished_at else None,
     "closed": holds[one.hold_id].closed_at.timestamp() if holds[one.hold_id].closed_at else None,
     "records": records.get(one.hold_id, [])}
    for one in Generation.objects.select_related("turn")]))
"""


@dataclass(frozen=True)
class Death:
    """When a process was killed: on the clock that the readers have, and on the one that rows have."""

    pid: int
    monotonic: float = field(default_factory=time.monotonic)
    wall: float = field(default_factory=time.time)


def death_of(row: dict[str, Any], deaths: list[Death]) -> Death | None:
    """How the process died in which a generation began; numbers of processes are used again."""
    return next((death for death in deaths if death.pid == row["pid"] and death.wall > row["began"]), None)


def rows(site: Site) -> list[dict[str, Any]]:
    """Every generation of the site with its texts, its hold and its usage records."""
    said = site.manage("shell", "--no-imports", "-c", ROWS)
    [line] = [line for line in said.splitlines() if line.startswith("ROWS ")]
    return list(json.loads(line[5:]))


def serving(site: Site) -> list[psutil.Process]:
    """The web processes that have said that they serve and are still there."""
    log = site.log()
    children = [one for one in psutil.Process(site.web_pid).children() if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in children if f'"process_serving", "pid": {one.pid},' in log]


async def kill(site: Site, count: int, dice: random.Random) -> list[Death]:
    """Kill so many processes at random moments, mostly one, sometimes several at once; how each died."""
    deaths: list[Death] = []
    dead: set[psutil.Process] = set()  # tells two processes of the same number apart
    while len(deaths) < count:
        await asyncio.sleep(dice.uniform(0.05, 1.2))
        alive = [process for process in serving(site) if process not in dead]
        for process in dice.sample(alive, min(dice.choice((1, 1, 1, 2, 3, 4)), len(alive), count - len(deaths))):
            deaths.append(Death(process.pid))
            process.kill()
            dead.add(process)
            if len(deaths) % 50 == 0:
                print(f"{len(deaths)} killed", flush=True)
    return deaths


def lost_seconds(turn: Followed, stored: str, death: Death) -> float:
    """For how long, when its process died, the reader had had the oldest text that the database has not."""
    return max((death.monotonic - at for at, length in turn.heard if length > len(stored)), default=0.0)


@pytest.mark.timeout(5400)
def test_processes_killed_in_mid_stream_lose_no_question_and_at_most_a_second_of_an_answer(
    fresh_site: Callable[..., Site], full: bool
) -> None:
    seed = int(os.environ.get("ONEAI_SEED") or random.randrange(2**32))
    count = int(os.environ.get("ONEAI_KILLS") or (500 if full else 30))
    print(f"seed {seed}")
    site = fresh_site(processes=PROCESSES, settings={"PLATFORM_DAILY_USD": "100000"})
    users = unlimited(site, 4)
    before = len(dispatches(site))

    async def under_fire() -> tuple[Load, list[Death]]:
        load = Load(site, users, patient=True)
        load.start(streams=STREAMS, requests_a_second=0, content="Tell me.", model="sandbox/slow", max_tokens=60)
        await asyncio.sleep(1)
        deaths = await kill(site, count, random.Random(seed))
        await load.end()
        return load, deaths

    load, deaths = asyncio.run(under_fire())
    chats = [Chat(site, user) for user in users]
    end = time.monotonic() + 30
    while sum(chat.held for chat in chats) and time.monotonic() < end:
        time.sleep(0.3)
    assert sum(chat.held for chat in chats) == 0, "not settled within 30 s of the last turn's end"
    found = rows(site)
    site.command("audit_ledger")

    # Every turn that a reader was told of is there, whole but for the last second before its process died.
    assert load.failures == []
    assert len(load.turns) >= STREAMS
    generations = {row["turn_id"]: row for row in found}
    losses = [0.0]
    for turn in load.turns:
        row = generations[turn.started["turn_id"]]
        assert row["question"] == "Tell me."
        shared = min(len(turn.text), len(row["content"]))
        assert turn.text[:shared] == row["content"][:shared]
        if row["state"] == "complete":
            assert turn.text == row["content"]
        else:
            death = death_of(row, deaths)
            assert death is not None, "interrupted, and nobody had died"
            losses.append(lost_seconds(turn, row["content"], death))

    # Also a turn that nobody was told of ends, and its hold with it, within 30 s of its process.
    ends, settled, late = [0.0], [0.0], []
    for row in found:
        assert row["state"] in {"complete", "interrupted"}
        death = death_of(row, deaths)
        if row["state"] == "interrupted":
            assert death is not None, "interrupted, and nobody had died"
            ends.append(row["ended"] - death.wall)
            settled.append(row["closed"] - death.wall)
            if settled[-1] > 20:
                late.append((round(ends[-1], 1), round(settled[-1], 1), row["looks"], row["records"][0]["source"]))

    # Each call that the upstream saw has one record, of what it billed. A record without a call is of a process
    # that died between its hold and its call, and nothing was charged.
    calls = {one["metadata"]["call"]: one for one in dispatches(site)[before:]}
    assert len(calls) == len(dispatches(site)) - before
    kinds: Counter[str] = Counter()
    for row in found:
        [record] = row["records"]
        call = calls.pop(row["hold_id"], None)
        kinds[record["source"] if record["tokens"] else "free" if call else "never called"] += 1
        if record["source"] != "local_estimate":
            assert call is not None
            assert record["tokens"] == call["usage"]["total_tokens"]
        elif not record["tokens"]:
            assert not row["delivered"], "text was delivered for nothing"
        if call is None:
            assert (record["tokens"], record["nano_usd"], row["upstream_id"]) == (0, 0, "")
            assert row["state"] == "interrupted"
    assert not calls, "calls without a record"
    figures = {
        "kills": len(deaths),
        "turns": len(load.turns),
        "broken": sum(bool(turn.broken) for turn in load.turns),
        "states": dict(Counter(row["state"] for row in found)),
        "records": dict(kinds),
        "text lost, s": round(max(losses), 2),
        "to the end of a turn, s": round(max(ends), 1),
        "to the end of its hold, s": round(max(settled), 1),
        "the latest: end, settled, looks, source": sorted(late, key=lambda one: -one[1])[:5],
    }
    print(json.dumps(figures))
    assert max(losses) <= 1.0
    assert max(ends) <= 30
    assert max(settled) <= 30
