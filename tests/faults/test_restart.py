"""Web processes that are replaced under load: nobody who asks, and nobody who reads, notices."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from tests.chat.client import Chat, dispatches
from tests.faults.load import Followed, Load, unlimited
from tests.servers.site import Site

pytestmark = [pytest.mark.faults, pytest.mark.wire]
MUCH = {"PLATFORM_DAILY_USD": "100000"}


def workers(site: Site) -> list[int]:
    """The web processes that the supervisor has now."""
    return [child.pid for child in psutil.Process(site.web_pid).children()]


def ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def until(true: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait for something; how long it took. Fails when it does not come."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds} s"
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def renew_by_term(site: Site) -> None:
    """What an operator's script does: TERM to each process, the next one when the last has a successor."""
    for pid in workers(site):
        serving = site.log().count("process_serving")
        os.kill(pid, signal.SIGTERM)
        await until(lambda: site.log().count("process_serving") > serving, 60, "a successor serves")  # noqa: B023
        await until(lambda: ended(pid), 30, "a process ends after TERM")  # noqa: B023


async def renew_by_hup(site: Site) -> None:
    """One signal to the supervisor, which does them one after the other."""
    old = workers(site)
    os.kill(site.web_pid, signal.SIGHUP)
    await until(lambda: all(map(ended, old)), 60.0 * len(old), "every process is replaced after HUP")


async def answered_by_the_end_of(pids: list[int], load: Load) -> list[int]:
    """How many requests had been answered when each of these processes was gone."""
    left, counts = set(pids), []
    while left:
        for pid in [pid for pid in left if ended(pid)]:
            left.remove(pid)
            counts.append(load.answered)
        await asyncio.sleep(0.05)
    return counts


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("processes", "renew"), [(1, renew_by_hup), (4, renew_by_term)], ids=["one process by HUP", "four by TERM"]
)
def test_no_request_fails_and_every_stream_is_whole_while_all_processes_are_replaced(
    fresh_site: Callable[..., Site], full: bool, processes: int, renew: Callable[[Site], Awaitable[None]]
) -> None:
    processes = processes if full else min(processes, 2)
    site = fresh_site(processes=processes, settings=MUCH)
    users = unlimited(site, 5)
    old = workers(site)

    async def renewed_under_load() -> tuple[Load, list[int]]:
        load = Load(site, users)
        if full:
            load.start(streams=100, requests_a_second=50, content="Tell me.", model="sandbox/slow", max_tokens=80)
        else:
            load.start(streams=12, requests_a_second=20, content="Tell me.", model="sandbox/slow", max_tokens=30)
        await asyncio.sleep(2)
        counting = asyncio.create_task(answered_by_the_end_of(old, load))
        await renew(site)
        counts = await counting
        await load.end()
        return load, counts

    load, counts = asyncio.run(renewed_under_load())
    print(f"{load.answered} requests ({counts} by each end), {len(load.turns)} streams, {len(load.failures)} failures")
    assert load.failures == []
    assert all(before < after for before, after in pairwise([0, *counts])), "nobody asked while a process was replaced"
    assert {turn.closing.name for turn in load.turns if turn.closing} == {"message.completed"}
    assert len(workers(site)) == processes
    assert not set(old) & set(workers(site))
    chats = [Chat(site, user) for user in users]
    assert sum(chat.held for chat in chats) == 0
    site.command("audit_ledger")


def producing(site: Site) -> int:
    """The process that streams from the upstream now; fails unless there is exactly one."""
    port = int(site.sandbox_url.rpartition(":")[2])

    def streams(pid: int) -> bool:
        found = psutil.Process(pid).net_connections("tcp")
        return any(one.raddr and one.raddr.port == port and one.status == "ESTABLISHED" for one in found)

    [pid] = [pid for pid in workers(site) if streams(pid)]
    return pid


def test_an_answer_that_outlasts_the_drain_is_marked_and_its_readers_everywhere_are_told(
    fresh_site: Callable[..., Site],
) -> None:
    site = fresh_site(processes=2, pace="human", worker=False)
    user = site.new_user("pro")
    chat = Chat(site, user)

    async def handed_over() -> tuple[Followed, list[Followed]]:
        load = Load(site, [user])
        first = Followed()
        body = chat.body("Tell me a very long story.", "sandbox/long")
        async with load.client(user, keep=False) as client:
            reading = asyncio.create_task(load.follow(client, first, body))
            await until(lambda: len(first.text) > 200, 30, "the answer begins")
            # Some of these are in the other process.
            others = [Followed(started=first.started) for _ in range(6)]
            others_reading = [asyncio.create_task(load.follow(client, other, {})) for other in others]
            await asyncio.sleep(1)
            pid = producing(site)
            os.kill(pid, signal.SIGTERM)
            took = await until(lambda: ended(pid), 30, "the process ends")
            assert took > 15, "it did not wait for what it was running"
            await asyncio.gather(reading, *others_reading)
        return first, others

    first, others = asyncio.run(handed_over())
    url = f"/api/conversations/{first.started['conversation_id']}/messages"
    stored = chat.http.get(url).json()["results"][-1]
    assert stored["status"] == "interrupted"
    for turn in [first, *others]:
        assert not turn.trouble
        assert turn.closing is not None
        assert turn.closing.name == "message.failed"
        assert turn.closing.data["error"]["code"] == "restarted"
        assert turn.text == stored["content"]
    end = time.monotonic() + 30
    while chat.held and time.monotonic() < end:
        time.sleep(0.2)
    [billed] = dispatches(site)
    assert chat.held == 0
    assert chat.used == billed["usage"]["total_tokens"]
    site.command("audit_ledger")


def test_a_site_that_is_told_to_stop_says_that_it_is_not_ready_and_still_serves_for_a_while(
    fresh_site: Callable[..., Site],
) -> None:
    site = fresh_site(processes=2, worker=False, settings={"DRAIN_NOTICE": "10"})
    chat = Chat(site, site.new_user("pro"))
    os.kill(site.web_pid, signal.SIGTERM)
    began = time.monotonic()
    while chat.http.get("/readyz").status_code != 503:
        time.sleep(0.05)
    turn = chat.send("Hello", "sandbox/hello")
    assert turn.closing.name == "message.completed"
    assert turn.headers["connection"] == "close"
    asyncio.run(until(lambda: ended(site.web_pid), 40, "the site ends"))
    assert time.monotonic() - began > 10


def test_a_process_that_is_killed_is_replaced_and_one_that_cannot_start_ends_a_renewal(
    fresh_site: Callable[..., Site], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x" * 60)
    settings = {"SECRET_KEY": "", "SECRET_KEY_FILE": str(secret)}
    site = fresh_site(processes=2, worker=False, settings=settings)
    asyncio.run(until(lambda: site.log().count("process_serving") == 2, 60, "both serve"))
    old = workers(site)
    os.kill(old[0], signal.SIGKILL)
    asyncio.run(until(lambda: site.log().count("process_serving") == 3, 60, "a killed process is replaced"))
    secret.write_text("too short")
    os.kill(site.web_pid, signal.SIGHUP)
    asyncio.run(until(lambda: "renewal_given_up" in site.log(), 60, "the new process does not start"))
    (line,) = (line for line in site.log().splitlines() if "renewal_given_up" in line)
    assert '"level": "warning"' in line
    assert site.ready()
    assert old[1] in workers(site)
    assert len(workers(site)) == 2
