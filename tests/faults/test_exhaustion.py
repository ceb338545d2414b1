"""Too many clients, and clients who come and go: file descriptors that run short, and none that leaks."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.chat.client import Chat
from tests.faults.load import GONE, Load, unlimited
from tests.servers.site import Site

pytestmark = [pytest.mark.faults, pytest.mark.wire]
MUCH = {"PLATFORM_DAILY_USD": "100000"}


def renewed(site: Site) -> int:
    """TERM to the only web process; its successor, once it serves and the old one is gone."""
    [old] = psutil.Process(site.web_pid).children()
    serving = site.log().count("process_serving")
    old.send_signal(signal.SIGTERM)
    end = time.monotonic() + 60
    while site.log().count("process_serving") == serving or old.is_running():
        assert time.monotonic() < end, "no successor"
        time.sleep(0.05)
    [new] = psutil.Process(site.web_pid).children()
    return int(new.pid)


async def ask(site: Site, key: str, body: dict[str, Any]) -> str:
    """One client on a connection of its own: how it ended, `whole`, a status, or what broke."""
    document = json.dumps(body).encode()
    head = (
        f"POST /api/chat/stream HTTP/1.1\r\nHost: localhost:{site.port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(document)}\r\nConnection: close\r\n\r\n"
    )
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(head.encode() + document)
        answer = await asyncio.wait_for(reader.read(-1), 90)
        writer.close()
    except (OSError, TimeoutError) as error:
        return repr(error)
    status = answer[9:12].decode()
    if status == "200" and b"event: turn.completed" in answer and b"event: message.completed" in answer:
        return "whole"
    if status == "503" and b'"code":"unavailable"' in answer and b"retry-after" in answer.lower():
        return "503"
    return f"{status}: {re.findall(rb'message.failed.{400}', answer, re.DOTALL) or answer[-300:]!r}"


@pytest.mark.timeout(300)
def test_six_hundred_clients_of_a_process_with_512_descriptors_are_served_or_told_to_wait(
    fresh_site: Callable[..., Site],
) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    site = fresh_site(worker=False, settings=MUCH)
    users = unlimited(site, 5)
    resource.prlimit(site.web_pid, resource.RLIMIT_NOFILE, (512, 512))
    pid = renewed(site)  # what the supervisor may have, its processes inherit
    assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (512, 512)
    body = {"content": "Tell me.", "model": "sandbox/slow", "max_tokens": 30}

    async def crowd() -> Counter[str]:
        # Some connect and never ask: they must not keep the others out.
        idle = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(100)]
        ends = await asyncio.gather(*(ask(site, users[n % 5].api_key, body) for n in range(600)))
        for _, writer in idle:
            writer.close()
        return Counter(ends)

    ends = asyncio.run(crowd())
    print(dict(ends))
    assert set(ends) <= {"whole", "503"}, ends
    assert ends["whole"] >= 100
    turn = Chat(site, users[0]).send("Hello", "sandbox/hello")
    assert turn.closing.name == "message.completed"
    assert descriptors(pid) < 200
    chats = [Chat(site, user) for user in users]
    assert sum(chat.held for chat in chats) == 0
    site.command("audit_ledger")


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def mixed(load: Load, count: int, dice: random.Random) -> None:
    """Turns of every kind and fate, twenty at a time, and many readers who leave in the middle."""
    gate = asyncio.Semaphore(20)
    models = ["sandbox/hello", "sandbox/slow", "sandbox/cut", "sandbox/http-500", "sandbox/midstream-error"]

    async def one(number: int) -> None:
        async with gate, load.client(load.users[number % len(load.users)], keep=bool(number % 2)) as client:
            model = dice.choice(models)
            leaves = dice.random() < 0.5
            try:
                if number % 3:
                    body: dict[str, Any] = {"content": "Tell me.", "model": model, "max_tokens": 20}
                    path = "/api/chat/stream"
                else:
                    said = [{"role": "user", "content": "Tell me."}]
                    body = {"messages": said, "model": model, "max_tokens": 20, "stream": bool(number % 2)}
                    path = "/v1/chat/completions"
                async with client.stream("POST", path, json=body, timeout=1 if leaves else 60) as response:
                    async for _ in response.aiter_raw():
                        if leaves:
                            break
            except GONE:
                assert leaves  # it waited for a second and left

    await asyncio.gather(*(one(number) for number in range(count)))


@pytest.mark.long
@pytest.mark.timeout(300)
def test_three_hundred_turns_and_readers_who_leave_cost_no_task_and_no_descriptor(
    fresh_site: Callable[..., Site],
) -> None:
    seed = int(os.environ.get("ONEAI_SEED") or random.randrange(2**32))
    print(f"seed {seed}")
    dice = random.Random(seed)
    site = fresh_site(worker=False, settings=MUCH)
    load = Load(site, unlimited(site, 3))
    chats = [Chat(site, user) for user in load.users]
    [process] = psutil.Process(site.web_pid).children()

    def settled(most: int) -> int:
        """The process's descriptors, once there are few enough; connections to upstreams are kept for 30 s."""
        end = time.monotonic() + 60
        while (now := descriptors(process.pid)) > most and time.monotonic() < end:
            time.sleep(0.5)
        return now

    def rest() -> None:
        """Wait for the turns whose readers have left, and for the ends of their connections upstream."""
        end = time.monotonic() + 60
        while sum(chat.held for chat in chats) and time.monotonic() < end:
            time.sleep(0.2)
        time.sleep(2)

    asyncio.run(mixed(load, 40, dice))
    rest()
    before, threads = descriptors(process.pid), process.num_threads()
    asyncio.run(mixed(load, 300, dice))
    rest()
    after = settled(before)
    assert after <= before, f"{after} descriptors, before {before}"
    assert process.num_threads() <= threads + 2
    renewed(site)
    asyncio.run(mixed(load, 1, dice))
    rest()
    renewed(site)
    used, fresh = (int(found) for found in re.findall(r'"tasks":(\d+),"event":"draining"', site.log()))
    assert used <= fresh, f"{used} tasks at the end, {fresh} in a new process"
    site.command("audit_ledger")
