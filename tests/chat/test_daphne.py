"""The site under Daphne: the chat by stream and by socket, together with a site under its own server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest

from tests.chat import endings
from tests.chat.browser import Browser
from tests.chat.client import Chat, join_deltas, lines_of, read_events
from tests.chat.socket import ChatSocket, Event, open_socket, refusal
from tests.servers.daphne import Daphne
from tests.servers.site import Site

pytestmark = pytest.mark.wire
SLOW = "sandbox/slow"


@pytest.fixture(scope="module")
def daphne(live_site: Site) -> Iterator[Daphne]:
    server = Daphne(live_site)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def chat(live_site: Site) -> Chat:
    return Chat(live_site, live_site.new_user("team"))


def socket_at(daphne: Daphne, chat: Chat) -> ChatSocket:
    return open_socket(cast(Site, daphne), chat.user)


def texts(frames: list[dict[str, Any]]) -> str:
    return join_deltas([Event(frame["type"], frame["id"], frame["data"]) for frame in frames])


def test_a_stream_and_a_socket_give_an_answer(daphne: Daphne, chat: Chat) -> None:
    body = {"content": "Hello.", "model": "openai/gpt-4o-mini"}
    headers = {"Authorization": f"Bearer {chat.user.api_key}"}
    with httpx.stream("POST", f"{daphne.url}/api/chat/stream", json=body, headers=headers, timeout=60) as response:
        assert response.status_code == 200
        assert response.headers["x-request-id"]
        streamed = list(read_events(lines_of(response)))
    assert streamed[-1].name == "turn.completed"
    with socket_at(daphne, chat) as socket:
        turn = socket.turn(type="send", request_id="a", content="Hello.", model="openai/gpt-4o-mini")
        assert turn.text == chat.message(turn)["content"]
        socket.raw.send("garbage")
        assert socket.next()["error"]["code"] == "invalid_json"
        socket.raw.send(b"\x00")
        assert socket.next()["error"]["code"] == "unsupported_media_type"
        socket.raw.send('"' + "x" * (512 * 1024) + '"')
        assert socket.next()["error"]["code"] == "payload_too_large"
        assert socket.closed()[0] == 4009


def test_a_turn_of_one_process_is_followed_in_another(daphne: Daphne, live_site: Site, chat: Chat) -> None:
    for here, there in (
        (lambda: open_socket(live_site, chat.user), lambda: socket_at(daphne, chat)),
        (lambda: socket_at(daphne, chat), lambda: open_socket(live_site, chat.user)),
    ):
        with here() as first, there() as second:
            first.say(type="send", request_id="a", content="Tell me a long story.", model=SLOW)
            seen = first.until(lambda frame: frame["type"] == "message.delta")
            turn_id = seen[0]["data"]["turn_id"]
            second.say(type="follow", turn_id=turn_id, request_id="b")
            followed = second.until(lambda frame: frame["type"] == "message.delta")
            second.say(type="stop", turn_id=turn_id)
            seen += first.until(lambda frame: frame["type"] == "turn.completed")
            followed += second.until(lambda frame: frame["type"] == "turn.completed")
        assert texts(seen) == texts(followed) == chat.resume(turn_id).text
        closing = [frame for frame in seen + followed if frame["type"] == "message.completed"]
        assert [frame["data"]["finish_reason"] for frame in closing] == ["stop", "stop"]


def test_a_handshake_is_refused(daphne: Daphne, live_site: Site, chat: Chat) -> None:
    def status(headers: dict[str, str], path: str = "/ws/chat") -> int:
        return refusal(cast(Site, daphne), headers, path)[0]

    cookies = Browser(live_site, chat.user).cookies
    assert status({"Cookie": cookies, "Origin": live_site.url}) == 101
    for headers in (
        {},
        {"Authorization": "Bearer nonsense"},
        {"Cookie": cookies},
        {"Cookie": cookies, "Origin": daphne.url},
        {"Cookie": cookies, "Origin": "https://evil.example"},
        {"Cookie": "session=" + "x" * 9000},
    ):
        assert status(headers) == 403, headers
    assert status({"Authorization": f"Bearer {chat.user.api_key}"}, "/ws/other") == 403


def test_what_is_open_ends_with_its_key(daphne: Daphne, live_site: Site, chat: Chat) -> None:
    with socket_at(daphne, chat) as socket:
        endings.shell(live_site, chat.user, "apikeys.revoke(keys)")
        ended = time.monotonic()
        assert socket.closed()[0] == 4401
    print(f"ended after {time.monotonic() - ended:.1f} s")


@pytest.mark.slow
def test_told_to_stop_it_lets_answers_end_before_it_goes(live_site: Site, chat: Chat) -> None:
    server = Daphne(live_site)
    server.start()
    with socket_at(server, chat) as socket:
        socket.say(type="send", request_id="a", content="Tell me a story.", model=SLOW, max_tokens=40)
        seen = socket.until(lambda frame: frame["type"] == "message.delta")
        server.terminate()
        seen += socket.until(lambda frame: frame["type"] == "turn.completed")
        completed = next(frame for frame in seen if frame["type"] == "message.completed")
        assert completed["data"]["finish_reason"] == "length"
        assert socket.closed()[0] == 4012
    server.stop()
    turn = chat.resume(seen[0]["data"]["turn_id"])
    assert turn.text == texts(seen)
    assert '"engine_stopped"' in server.log_path.read_text()
