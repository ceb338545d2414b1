"""Two hundred sockets that take a byte a second: little waits for them, and a revoked key still ends them all."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Callable

import pytest

from chat.consumers import MOST_SOCKETS, MOST_TURNS
from tests.chat import endings
from tests.chat.client import Chat
from tests.chat.socket import open_socket, refusal
from tests.chat.test_watching import PATIENCE, wait_for
from tests.faults.load import unlimited
from tests.faults.test_slow_readers import MIB, READERS, resident
from tests.servers.site import Newcomer, Site


def masked(text: str) -> bytes:
    """A text frame as a client sends it (RFC 6455, 5.2)."""
    payload = text.encode()
    key = os.urandom(4)
    head = b"\x81" + (bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack("!H", len(payload)))
    return head + key + bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))


def opened(site: Site, user: Newcomer) -> socket.socket:
    """A socket with next to no room to receive in, past its handshake."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect(("127.0.0.1", site.port))
    reader.sendall(
        f"GET /ws/chat HTTP/1.1\r\nHost: localhost:{site.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Authorization: Bearer {user.api_key}\r\n\r\n".encode()
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += reader.recv(1)
    assert answer.startswith(b"HTTP/1.1 101")
    return reader


def ended_by(site: Site, code: int) -> int:
    lines = [json.loads(line) for line in site.log().splitlines() if '"WEBSOCKET"' in line]
    return sum(line["code"] == code for line in lines)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_sockets_of_a_byte_a_second_cost_little_memory_and_end_with_their_key(fresh_site: Callable[..., Site]) -> None:
    site = fresh_site()
    (user,) = unlimited(site, 1)
    chat = Chat(site, user)
    long = chat.send("\x01" * 99_000, "sandbox/echo-request")
    follow = masked(json.dumps({"type": "follow", "turn_id": long.started["turn_id"]}))
    assert chat.resume(long.started["turn_id"]).text == long.text
    before = resident(site)
    readers = [opened(site, user) for _ in range(READERS)]
    most = 0
    for second in range(15):
        for reader in readers:
            if second == 0:
                reader.sendall(follow)
            elif second == 5:
                reader.sendall(follow * (MOST_TURNS - 1))
            assert len(reader.recv(1)) == 1, "it was cut off"
        if second == 4:
            one_each = resident(site) - before
        most = max(most, resident(site) - before)
        assert chat.send("Say hello.", "sandbox/hello").text
        time.sleep(0.5)
    print(
        f"{READERS} sockets of a byte a second: {one_each / MIB:.0f} MiB with one turn each, {most / MIB:.0f} MiB with "
        f"{MOST_TURNS} each of {len(long.text.encode()) / MIB:.1f} MiB"
    )
    assert one_each <= 64 * MIB
    assert most <= 2 * 64 * MIB
    readers += [opened(site, user) for _ in range(MOST_SOCKETS - READERS)]
    assert refusal(site, {"Authorization": f"Bearer {user.api_key}"}) == (429, "rate_limited")
    endings.shell(site, user, "apikeys.revoke(keys)")
    began = time.monotonic()
    wait_for(lambda: ended_by(site, 4401) == MOST_SOCKETS, PATIENCE)  # each a line of the access log
    print(f"all of them ended {time.monotonic() - began:.1f} s after the key")
    for reader in readers:
        reader.close()


@pytest.mark.faults
@pytest.mark.wire
def test_a_site_that_stops_tells_its_sockets_to_come_again(fresh_site: Callable[..., Site]) -> None:
    site = fresh_site(worker=False)
    user = site.new_user("pro")
    with open_socket(site, user) as socket:
        socket.say(type="send", request_id="a", content="Tell me a story.", model="sandbox/slow", max_tokens=30)
        seen = socket.until(lambda frame: frame["type"] == "message.delta")
        site.terminate()
        assert socket.closed()[0] == 1012
    site.start()
    with open_socket(site, user) as socket:
        socket.say(type="follow", turn_id=seen[0]["data"]["turn_id"])
        frames = socket.until(lambda frame: frame["type"] == "turn.completed")
    assert {frame["type"] for frame in frames} & {"message.completed", "message.failed"}
