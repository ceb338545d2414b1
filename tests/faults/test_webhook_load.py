"""Two hundred webhooks a second for a minute: each is kept, and acknowledged long before Razorpay's five seconds."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import aiohttp
import psycopg
import pytest

from tests.billing.inbox import DOORS, event, headers, new_id
from tests.faults.test_outage import MIGRATED, own_postgres
from tests.servers.postgres import Postgres
from tests.servers.site import Site

__all__ = ["own_postgres"]

A_SECOND, SECONDS = 200, 60
BOUND = 0.25  # seconds, of 99 in a hundred


async def flood(url: str) -> tuple[Counter[int], list[float]]:
    """Send at a steady pace, however long the answers take: the statuses, and seconds from when each was due."""
    statuses, waits = Counter[int](), []

    async def send(client: aiohttp.ClientSession, number: int, due: float) -> None:
        body = event("payment.captured", payload={"payment": {"entity": {"id": f"pay_load{number:06}"}}})
        async with client.post(url, data=body, headers=headers(body, new_id())) as answer:
            await answer.read()
        statuses[answer.status] += 1
        waits.append(time.monotonic() - due)

    connections = aiohttp.TCPConnector(limit=0, force_close=True)  # as if each came from another machine
    async with aiohttp.ClientSession(connector=connections) as client, asyncio.TaskGroup() as running:
        began = time.monotonic()
        for number in range(A_SECOND * SECONDS):
            due = began + number / A_SECOND
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            running.create_task(send(client, number, due))
    return statuses, sorted(waits)


@pytest.mark.long
@pytest.mark.postgresql
@pytest.mark.timeout(300)
def test_two_hundred_webhooks_a_second_are_acknowledged_at_once(
    own_postgres: Postgres, fresh_site: Callable[..., Site]
) -> None:
    url = own_postgres.create_database("load", template=MIGRATED)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE load SET synchronous_commit = on")  # as servers have it, but those of tests
    site = fresh_site(processes=2, worker=False, database_url=url)
    statuses, waits = asyncio.run(flood(f"http://127.0.0.1:{site.port}{DOORS[0]}"))
    of = {each: waits[int(len(waits) * each / 1000)] for each in (500, 950, 990, 999)}
    print(", ".join(f"p{each / 10:g} {seconds * 1000:.0f} ms" for each, seconds in of.items()))
    assert statuses == {200: A_SECOND * SECONDS}
    with psycopg.connect(url) as connection:
        kept = connection.execute("SELECT count(DISTINCT event_id) FROM webhook_events").fetchone()
    assert kept == (A_SECOND * SECONDS,)
    assert of[990] <= BOUND
