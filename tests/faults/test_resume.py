"""Readers that leave and come back at random, on four processes, with Redis and without: every byte once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis as client

from tests.chat.client import Chat
from tests.chat.sockets import Connection, Followed, Refused, restless
from tests.faults.load import unlimited
from tests.servers.redis import Redis
from tests.servers.site import Newcomer, Site

MODELS = (["sandbox/emoji"], ["sandbox/long"], ["sandbox/long", "sandbox/emoji"], ["sandbox/reasoning"])
SEED = int(os.environ.get("RESUME_SEED", "7"))


def stored(site: Site, user: Newcomer, turn: Followed) -> list[str]:
    found = Chat(site, user).http.get(
        f"/api/conversations/{turn.conversation_id}/messages", params={"tree": 1, "limit": 100}
    )
    texts = {message["id"]: message["content"] for message in found.json()["results"]}
    return [texts[identity] for identity in turn.message_ids]


async def drive(
    site: Site,
    user: Newcomer,
    *,
    turns: int,
    cuts: int,
    max_tokens: int,
    meanwhile: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> list[Followed]:
    """So many restless readers at once, each with a turn of its own; what they had."""
    seconds = max_tokens / 40  # at a human pace
    work = [
        restless(
            site,
            user,
            MODELS[number % len(MODELS)],
            cuts=cuts,
            seconds=seconds,
            seed=SEED * 1000 + number,
            max_tokens=max_tokens,
        )
        for number in range(turns)
    ]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
        if meanwhile is not None:
            group.create_task(meanwhile())
    return [task.result() for task in tasks]


def warm(site: Site, user: Newcomer) -> None:
    """Have every process open its connections to the database, which takes long on a busy machine."""

    async def ask() -> None:
        with suppress(Refused):
            await Connection.open(site, user, f"/api/chat/stream/{uuid4()}")

    async def ask_all() -> None:
        await asyncio.gather(*(ask() for _ in range(32)))

    asyncio.run(ask_all())


def check(site: Site, user: Newcomer, found: list[Followed], least: int) -> None:
    comings_back = sum(turn.connections - 1 for turn in found)
    print(f"{len(found)} turns, {comings_back} times left and come back, longest live delta {_longest(found)}")
    assert comings_back >= least
    for turn in found:
        assert turn.texts == stored(site, user, turn)
        assert turn.closed == ["message.completed"] * len(turn.message_ids)
        assert all(turn.texts)


def _longest(found: list[Followed]) -> int:
    return max(turn.longest for turn in found)


def published(url: str) -> int:
    """How many messages went through this Redis."""
    with client.Redis.from_url(url) as connection:
        return int(connection.info("commandstats").get("cmdstat_publish", {}).get("calls", 0))


@pytest.mark.faults
@pytest.mark.parametrize("ground", ["database", "redis"])
def test_what_restless_readers_had_is_what_is_stored(
    ground: str, fresh_site: Callable[..., Site], redis_server: Redis
) -> None:
    settings = {"REDIS_URL": redis_server.url} if ground == "redis" else {}
    site = fresh_site(processes=2, pace="human", settings=settings, worker=False)
    (user,) = unlimited(site, 1)
    before = published(redis_server.url)
    found = asyncio.run(drive(site, user, turns=8, cuts=7, max_tokens=120))
    check(site, user, found, 40)
    assert (published(redis_server.url) > before) is (ground == "redis")


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("ground", ["database", "redis"])
def test_a_thousand_times_left_and_come_back(ground: str, fresh_site: Callable[..., Site], redis_server: Redis) -> None:
    settings = {"REDIS_URL": redis_server.url} if ground == "redis" else {}
    site = fresh_site(processes=4, pace="human", settings=settings, worker=False)
    (user,) = unlimited(site, 1)
    found = asyncio.run(drive(site, user, turns=100, cuts=24, max_tokens=800))
    check(site, user, found, 1000)


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_redis_may_die_pause_and_forget_in_the_middle(fresh_site: Callable[..., Site]) -> None:
    redis = Redis()
    redis.start()
    try:
        site = fresh_site(processes=4, pace="human", settings={"REDIS_URL": redis.url}, worker=False)
        (user,) = unlimited(site, 1)
        warm(site, user)
        again = 0

        async def chaos() -> None:
            nonlocal again
            async with asyncio.timeout(60):
                while not published(redis.url):  # noqa: ASYNC110 (Redis tells nobody of its first letter)
                    await asyncio.sleep(0.2)
            redis.kill()
            async with httpx.AsyncClient(headers={"Host": f"localhost:{site.port}"}) as http:
                for _ in range(20):  # whatever else is asked meanwhile is answered
                    answer = await http.get(f"http://127.0.0.1:{site.port}/readyz", timeout=20)
                    assert answer.status_code == 200
                    await asyncio.sleep(0.05)
            await asyncio.to_thread(redis.start)
            async with asyncio.timeout(60):
                while not (again := published(redis.url)):  # noqa: ASYNC110 (as above)
                    await asyncio.sleep(0.2)
            with client.Redis.from_url(redis.url) as connection:
                connection.flushall()
                with suppress(client.RedisError):
                    connection.execute_command("CLIENT", "PAUSE", "2500", "ALL")

        found = asyncio.run(drive(site, user, turns=10, cuts=10, max_tokens=500, meanwhile=chaos))
        check(site, user, found, 30)
        assert again > 0, "it was not used again"
    finally:
        redis.stop()
