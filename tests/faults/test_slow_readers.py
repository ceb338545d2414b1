"""Two hundred readers that take a byte a second: what waits for them is small, and nobody else notices.

How soon others get their first token is compared with a second site that nobody reads slowly, turn by turn: what else
the machine has to do concerns both.
"""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.chat.client import Chat
from tests.faults.load import unlimited
from tests.servers.site import Newcomer, Site

READERS = 200
MIB = 1024 * 1024
WATCHED_SECONDS = 20.0


def resident(site: Site) -> int:
    """Bytes of memory that all of the site's web processes have."""
    first = psutil.Process(site.web_pid)
    return sum(process.memory_info().rss for process in [first, *first.children(recursive=True)])


def first_token_seconds(chat: Chat) -> float:
    began = time.perf_counter()
    with chat.opened("Say hello.", "sandbox/split-utf8", max_tokens=16) as (response, events):
        assert response.status_code == 200
        next(event for event in events if event.name == "message.delta")
        took = time.perf_counter() - began
        assert [event.name for event in events][-1] == "turn.completed"
    return took


@contextmanager
def a_byte_a_second(site: Site, user: Newcomer, turn_id: str, count: int) -> Iterator[list[socket.socket]]:
    """So many readers of one turn, in a thread, until the block ends."""
    request = (
        f"GET /api/chat/stream/{turn_id} HTTP/1.1\r\nHost: localhost:{site.port}\r\n"
        f"Authorization: Bearer {user.api_key}\r\n\r\n"
    ).encode()
    readers = []
    for _ in range(count):
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", site.port))
        reader.sendall(request)
        assert reader.recv(12) == b"HTTP/1.1 200"
        readers.append(reader)
    done = threading.Event()

    def read() -> None:
        while not done.wait(1):
            for reader in readers:
                assert len(reader.recv(1)) == 1, "it was cut off"

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield readers
    finally:
        done.set()
        thread.join()
        for reader in readers:
            reader.close()


@pytest.mark.long
@pytest.mark.timeout(400)
def test_readers_of_a_byte_a_second_cost_little_memory_and_nobody_else(fresh_site: Callable[..., Site]) -> None:
    site, free = fresh_site(), fresh_site()
    (user,), (elsewhere,) = unlimited(site, 1), unlimited(free, 1)
    chat, chat_elsewhere = Chat(site, user), Chat(free, elsewhere)
    # What is asked comes back as JSON, where each of these takes six characters.
    long = chat.send("\x01" * 99_000, "sandbox/echo-request")
    stored = long.text
    weight = len(stored.encode())
    assert weight > MIB / 2
    turn_id = long.started["turn_id"]
    assert chat.resume(turn_id).text == stored
    for _ in range(5):
        first_token_seconds(chat)
        first_token_seconds(chat_elsewhere)
    before = resident(site)
    with a_byte_a_second(site, user, turn_id, READERS) as readers:
        beside_them, without_them, most = [], [], 0
        ends = time.monotonic() + WATCHED_SECONDS
        while time.monotonic() < ends:
            for _ in range(5):
                beside_them.append(first_token_seconds(chat))
                without_them.append(first_token_seconds(chat_elsewhere))
            most = max(most, resident(site))
            # Whoever reads at a better pace gets it all.
            assert chat.resume(turn_id).text == stored
        # A slow one may leave and come back as quick as any other.
        readers[0].setblocking(False)
    middle = [statistics.median(times) * 1000 for times in (without_them, beside_them)]
    print(
        f"{READERS} readers of {weight / MIB:.1f} MiB: resident {before / MIB:.0f} MiB before, {most / MIB:.0f} MiB at "
        f"most; first token of others {middle[0]:.1f} ms without them, {middle[1]:.1f} ms beside them "
        f"({len(beside_them)} turns)"
    )
    assert most - before <= 64 * MIB
    assert middle[1] <= 1.1 * middle[0]
