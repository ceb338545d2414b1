"""Bodies and heads that choke a server: who may send one, how long it may take, how much is held (F-21)."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from itertools import repeat

import httpx
import psutil
import pytest

from tests.kit.wire import CHUNK, Wire, code_of, status_of, timed
from tests.servers.site import Newcomer, Site

pytestmark = pytest.mark.wire
MIB = 1024 * 1024
TURN = "0198c0de-0000-7000-8000-000000000000"
HOT = ["/api/chat/stream", f"/api/chat/stream/{TURN}/stop", "/v1/chat/completions"]
DJANGO = ["/api/conversations", "/api/user/quota"]
UNKNOWN_KEY = "oneai_IM67Zr1ZaV_0000000000000000000000000000000000000000000"
JSON = ("Content-Type", "application/json")


@pytest.fixture(scope="module")
def user(live_site: Site) -> Newcomer:
    return live_site.new_user("pro")


def bearer(user: Newcomer) -> tuple[str, str]:
    return "Authorization", f"Bearer {user.api_key}"


@pytest.mark.parametrize("path", HOT + DJANGO)
@pytest.mark.parametrize(
    "credential",
    [
        (),
        (("Authorization", "Bearer oneai_nonsense"),),
        (("Authorization", "Bearer a.b.c"),),
        (("Authorization", ""),),
        (("Cookie", "session=abcdefabcdefabcdefabcdefabcdefab"),),
    ],
)
def test_a_large_body_is_not_read_before_its_sender_is_known(
    live_site: Site, path: str, credential: tuple[tuple[str, str], ...]
) -> None:
    with Wire(live_site, seconds=5) as wire:
        wire.send(wire.head("POST", path, [JSON, ("Content-Length", str(MIB - 10)), *credential]))
        status, headers, body = wire.answer()  # not a byte of the body was sent
    assert (status, headers["connection"]) == (401, "close")
    assert code_of(body) in {"not_authenticated", "invalid_api_key", "invalid_token"}


@pytest.mark.parametrize("path", HOT)
def test_without_any_credential_a_small_body_is_not_waited_for_either(live_site: Site, path: str) -> None:
    with Wire(live_site, seconds=5) as wire:
        wire.send(wire.head("POST", path, [JSON, ("Content-Length", "100")]))
        assert wire.answer()[0] == 401


@pytest.mark.parametrize("path", [HOT[0], DJANGO[0]])
def test_whoever_is_refused_while_sending_is_not_cut_off_under_the_answer(live_site: Site, path: str) -> None:
    with Wire(live_site, seconds=10) as wire:
        wire.send(wire.head("POST", path, [JSON, ("Content-Length", str(MIB - 10))]))
        assert select.select([wire.socket], [], [], 10)[0]  # the answer has come, and nothing was read of the body
        for _ in range(8):
            assert wire.send(b" " * 32_768)
        assert wire.answer()[0] == 401
        assert wire.socket.recv(1) == b""


def test_a_revoked_key_opens_the_door_for_no_body(live_site: Site) -> None:
    user = live_site.new_user()
    live_site.command(
        "shell",
        "-c",
        f"from accounts.models import ApiKey; from accounts.apikeys import revoke; "
        f"revoke(ApiKey.objects.filter(user__email={user.email!r}))",
    )
    for path in HOT + DJANGO:
        with Wire(live_site, seconds=5) as wire:
            wire.send(wire.head("POST", path, [JSON, bearer(user), ("Transfer-Encoding", "chunked")]))
            assert wire.answer()[0] == 401, path


def chunks() -> Iterator[bytes]:
    """100 MiB that never say how long they are."""
    return repeat(CHUNK, 1600)


def test_what_is_too_large_or_too_deep_is_cut_and_leaves_no_trace_in_memory(live_site: Site, user: Newcomer) -> None:
    """F-21. The times are printed, the rest is asserted."""
    process = psutil.Process(live_site.web_pid).children()[0]
    wire = Wire(live_site)
    wire.socket.close()

    def head(path: str, *headers: tuple[str, str]) -> bytes:
        return wire.head("POST", path, [JSON, bearer(user), *headers])

    def with_body(path: str, body: bytes) -> bytes:
        return head(path, ("Content-Length", str(len(body)))) + body

    chunked = ("Transfer-Encoding", "chunked")
    deep = b'{"content":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    cases: dict[str, tuple[set[int], list[bytes | Iterator[bytes]]]] = {}
    for path in ("/v1/chat/completions", "/api/chat/stream", "/api/conversations", "/login"):
        cases[f"100 MiB chunked to {path}"] = {413}, [head(path, chunked), chunks()]
        cases[f"100 MiB announced to {path}"] = {413}, [head(path, ("Content-Length", str(100 * MIB)))]
        cases[f"10,000 headers to {path}"] = {431}, [head(path, *((f"x{i}", "1") for i in range(10_000)))]
        cases[f"101 headers to {path}"] = {431}, [head(path, *((f"x{i}", "1") for i in range(101)))]
        cases[f"64 MiB of one header to {path}"] = {431}, [b"POST / HTTP/1.1\r\nx: ", repeat(b"y" * 65_536, 1000)]
        cases[f"64 MiB of trailers to {path}"] = (
            {400, 401, 408},
            [head(path, chunked), b"0\r\nx: ", repeat(b"y" * 65_536, 1000)],
        )
        cases[f"64 MiB of chunk extensions to {path}"] = (
            {400},
            [head(path, chunked), b"1;", repeat(b"y" * 65_536, 1000)],
        )
        cases[f"10 announced, 100 MiB sent to {path}"] = (
            {400, 403, 404, 415},
            [head(path, ("Content-Length", "10")), chunks()],
        )
        cases[f"a length that is no number to {path}"] = {400}, [head(path, ("Content-Length", "1e3"))]
        cases[f"a length of 5,000 digits to {path}"] = {400, 413}, [head(path, ("Content-Length", "9" * 5000))]
    for path in ("/v1/chat/completions", "/api/chat/stream", "/api/conversations"):
        cases[f"depth 10,000 to {path}"] = {400}, [with_body(path, deep)]
        cases[f"a number of 100,000 digits to {path}"] = (
            {400},
            [with_body(path, b'{"content":' + b"9" * 100_000 + b"}")],
        )
        cases[f"350,000 dictionaries to {path}"] = (
            {400},
            [with_body(path, b'{"content":[' + b"{}," * 349_000 + b"{}]}"[:MIB])],
        )
    bomb = b'{"messages":[' + b"{}," * 2_790_000 + b"{}]}"
    cases["2.8 million dictionaries to /v1/chat/completions"] = {400}, [with_body("/v1/chat/completions", bomb)]
    for path in ("/v1/chat/completions", "/api/chat/stream", "/api/conversations", "/login"):
        # The first large body of a process warms its allocator and its threads.
        status_of(live_site, with_body(path, b'{"content":[' + b"{}," * 90_000 + b"1" * 700_000 + b"]}"))
    status_of(live_site, with_body("/v1/chat/completions", b"[" + b" " * (8 * MIB - 10) + b"]"))
    first = process.memory_info().rss
    for name, (allowed, parts) in cases.items():
        began, before = time.perf_counter(), process.memory_info().rss
        status = status_of(live_site, *parts)
        after = process.memory_info().rss
        print(f"{name}: {status} in {timed(began)}, {(after - before) / MIB:+.1f}, {(after - first) / MIB:+.1f} MiB")
        assert status in allowed, name
        assert after - before <= 16 * MIB, name
    assert process.memory_info().rss - first <= 32 * MIB  # of fifty attacks together, not one after the other
    assert httpx.get(live_site.url + "/readyz").status_code == 200


def test_what_follows_a_chunked_body_is_no_header(live_site: Site, user: Newcomer) -> None:
    with Wire(live_site) as wire:
        wire.send(wire.head("POST", "/api/conversations", [JSON, ("Transfer-Encoding", "chunked")]))
        wire.send(b"2\r\n{}\r\n0\r\nAuthorization: Bearer " + user.api_key.encode() + b"\r\n\r\n")
        assert wire.answer()[0] == 401


@pytest.mark.slow
def test_bodies_and_heads_that_trickle_in_are_cut(live_site: Site, user: Newcomer) -> None:
    """Slow senders at once, on every kind of route: the first ten seconds are free, then it must come on."""
    wires: dict[str, tuple[Wire, int]] = {}
    for path in (*HOT, "/api/conversations", "/login"):
        wire = Wire(live_site, seconds=25)
        wire.send(wire.head("POST", path, [JSON, bearer(user), ("Content-Length", "60000")]) + b"{")
        wires[path] = wire, 408
    wires["head"] = Wire(live_site, seconds=25), 408
    wires["head"][0].send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    wires["silence"] = Wire(live_site, seconds=25), 0
    for wire, _ in wires.values():
        time.sleep(0.2)
        if wire is not wires["silence"][0]:
            wire.send(b" ")
    seen = {name: wire.answer() for name, (wire, _) in wires.items()}
    assert {name: status for name, (status, _, _) in seen.items()} == {
        name: status for name, (_, status) in wires.items()
    }
    assert code_of(seen["/api/conversations"][2]) == code_of(seen["head"][2]) == "request_timeout"
    for wire, _ in wires.values():
        wire.socket.close()


def test_bodies_in_flight_have_a_limit_for_one_sender_and_for_all(live_site: Site) -> None:
    """24 MiB for one, 48 MiB of large ones for all; small bodies still come in, and what is over is forgotten."""
    part = b"x" * MIB
    users = [live_site.new_user("pro") for _ in range(3)]

    def large(user: Newcomer, *, seconds: float = 0.5) -> tuple[Wire, int]:
        """A connection that has sent 7 of its 8 MiB; the status that it got for that, 0 while none in so long."""
        wire = Wire(live_site)
        headers = [JSON, bearer(user), ("Content-Length", str(8 * MIB))]
        wire.send(wire.head("POST", "/v1/chat/completions", headers))
        sent = all(wire.send(part) for _ in range(7))
        wire.socket.settimeout(seconds if sent else 20)
        try:
            return wire, wire.answer()[0]
        except TimeoutError:
            return wire, 0

    held = [*(large(users[0]) for _ in range(3)), large(users[0], seconds=20)]
    assert [status for _, status in held] == [0, 0, 0, 429]
    held += [*(large(users[1]) for _ in range(3)), large(users[2], seconds=20)]
    assert [status for _, status in held][4:] == [0, 0, 0, 503]
    body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    key = {"Authorization": f"Bearer {users[2].api_key}"}
    assert httpx.post(live_site.url + "/v1/chat/completions", json=body, headers=key, timeout=30).status_code == 200
    for wire, _ in held:
        wire.socket.close()
    deadline = time.monotonic() + 30
    while (status := large(users[0])[1]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert status == 0


def test_a_large_body_of_a_known_sender_is_answered(live_site: Site, user: Newcomer) -> None:
    body = b'{"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]' + b" " * (3 * MIB) + b"}"
    headers = dict([bearer(user), JSON])
    answer = httpx.post(live_site.url + "/v1/chat/completions", content=body, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text[:300]
