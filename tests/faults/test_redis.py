"""Redis dies, hangs and comes back under load on four processes: nothing fails, and every limit is met to the call."""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis as Client

from tests.chat.client import Chat
from tests.concurrency.test_sends import settled
from tests.faults.load import Load, unlimited
from tests.servers.redis import Redis
from tests.servers.site import Newcomer, Site

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

CONTENT = "Tell me a long story."
HOLDS = 12
RATE = 30
MINUTE = 60  # whole seconds that an admission counts beyond its own
TIMES = """
from quotas.models import Hold
print([at.timestamp() for at in Hold.objects.filter(user__email="{}").values_list("created_at", flat=True)])
"""


@pytest.fixture
def redis() -> Iterator[Redis]:
    """A Redis that may be killed."""
    server = Redis()
    server.start()
    yield server
    server.stop()


def kill(redis: Redis) -> None:
    redis.kill()


def hang(redis: Redis) -> None:
    """Connections stay open and nothing answers."""
    assert redis._server is not None
    redis._server.send(signal.SIGSTOP)


def back_again(redis: Redis, trouble: Callable[[Redis], None]) -> None:
    if trouble is kill:
        redis.start()
    else:
        redis._server.send(signal.SIGCONT)


def held_turn(chat: Chat) -> tuple[int, str]:
    """Begin an answer that never ends: the status, and the turn's id or the code of the refusal."""
    with Chat(chat.site, chat.user).opened(CONTENT, "sandbox/stall", max_tokens=400) as (response, events):
        if response.status_code != 200:
            response.read()
            return response.status_code, response.json()["error"]["code"]
        return 200, next(events).data["turn_id"]


def quick(chat: Chat) -> tuple[int, str]:
    body = {"model": "sandbox/hello", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16}
    with Chat(chat.site, chat.user).http as http:
        answer = http.post("/v1/chat/completions", json=body)
    return answer.status_code, "" if answer.status_code == 200 else answer.json()["error"]["code"]


def with_quota_for(site: Site, user: Newcomer, holds: int) -> Chat:
    """The person's client, with a quota that so many answers fill."""
    chat = Chat(site, user)
    status, turn_id = held_turn(chat)
    assert status == 200, turn_id
    hold = chat.held
    chat.stop(turn_id)
    used = settled(chat)
    site.command("set_quota", user.email, "--model", "*", "--tokens", str(used + holds * hold), "--reason", "test")
    return chat


def busiest_minute(site: Site, user: Newcomer) -> int:
    """The most of the person's calls that counted at once."""
    said = site.command("shell", "-v", "0", "-c", TIMES.format(user.email)).strip().splitlines()[-1]
    seconds = [math.floor(float(each)) for each in said.strip("[]").split(",")]
    return max(sum(1 for each in seconds if begin <= each <= begin + MINUTE) for begin in seconds)


@pytest.mark.parametrize("trouble", [kill, pytest.param(hang, marks=pytest.mark.long)])
def test_nothing_fails_and_no_limit_is_missed_or_overshot(
    fresh_site: Callable[..., Site], redis: Redis, trouble: Callable[[Redis], None]
) -> None:
    site = fresh_site(processes=4, settings={"REDIS_URL": redis.url, "PLATFORM_DAILY_USD": "100000"})
    crowd = unlimited(site, 3)
    poor, slow = unlimited(site, 2)
    with_holds = with_quota_for(site, poor, HOLDS)
    site.command("set_rates", slow.email, "--rpm", str(RATE), "--reason", "test")
    limited = Chat(site, slow)

    async def under_load() -> tuple[Load, dict[str, list[tuple[int, str]]], float]:
        load = Load(site, crowd)
        load.start(streams=4, requests_a_second=4, content="Tell me.", model="sandbox/long", max_tokens=60)
        loop = asyncio.get_running_loop()
        found: dict[str, list[tuple[int, str]]] = {"holds": [], "rate": []}
        with ThreadPoolExecutor(12) as pool:

            async def burst() -> None:
                asked = [loop.run_in_executor(pool, held_turn, with_holds) for _ in range(HOLDS)]
                quickly = [loop.run_in_executor(pool, quick, limited) for _ in range(RATE)]
                found["holds"] += await asyncio.gather(*asked)
                found["rate"] += await asyncio.gather(*quickly)

            async with asyncio.timeout(60):
                while not served(redis):  # noqa: ASYNC110 (Redis tells nobody that it is used)
                    await asyncio.sleep(0.2)
            began = time.monotonic()
            running = asyncio.create_task(burst())
            await asyncio.sleep(0.5)
            trouble(redis)  # while half of what is asked for runs
            await running
            await burst()
            took = time.monotonic() - began
            await asyncio.to_thread(back_again, redis, trouble)
            await asyncio.sleep(1)
            await load.end()
        return load, found, took

    load, found, took = asyncio.run(under_load())
    assert load.failures == []
    assert load.answered > 10
    assert {turn.completed for turn in load.turns} == {True}
    # The quota: exactly as many as it has room for, and each other one refused by it.
    codes = Counter("" if status == 200 else code for status, code in found["holds"])
    assert codes == {"": HOLDS, "quota_exceeded": HOLDS}
    # The rate: never more in any minute; exactly as many where it all happened within one.
    codes = Counter(code for _, code in found["rate"])
    assert set(codes) <= {"", "rate_limit_exceeded"}
    assert busiest_minute(site, slow) == RATE
    if took < MINUTE:
        assert codes == {"": RATE, "rate_limit_exceeded": RATE}
    for status, turn_id in found["holds"]:
        if status == 200:
            with_holds.stop(turn_id)
    settled(with_holds)
    assert "0 differences" in site.manage("audit_ledger")


def served(redis: Redis) -> int:
    """How many letters it has carried."""
    with Client.from_url(redis.url) as connection:
        statistics: Any = connection.info("commandstats")
    return int(statistics.get("cmdstat_publish", {}).get("calls", 0)) + int(
        statistics.get("cmdstat_subscribe", {}).get("calls", 0)
    )
