"""The chat over a WebSocket: the stream's events in frames, and frames that are not right."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from chat.consumers import FRAME_LIMIT, MOST_REFUSED, MOST_TURNS
from tests.chat import endings
from tests.chat.client import Chat, Event, join_deltas, lines_of, read_events
from tests.chat.socket import ChatSocket, open_socket
from tests.servers.site import Site

SLOW = "sandbox/slow"  # ten tokens a second
UNKNOWN = "0198c0de-0000-7000-8000-000000000000"


@pytest.fixture
def chat(live_site: Site) -> Chat:
    return Chat(live_site, live_site.new_user("team"))


@pytest.fixture
def socket(live_site: Site, chat: Chat) -> Iterator[ChatSocket]:
    with open_socket(live_site, chat.user) as opened:
        yield opened


def texts(frames: list[dict[str, Any]]) -> str:
    return join_deltas([Event(frame["type"], frame["id"], frame["data"]) for frame in frames if "data" in frame])


@pytest.mark.parametrize(
    "model",
    [
        "openai/gpt-4o-mini",
        "sandbox/reasoning",
        "sandbox/line-separators",
        "sandbox/emoji",
        "sandbox/cut",
        "sandbox/http-500",
    ],
)
def test_a_turn_is_told_in_the_words_of_the_stream(socket: ChatSocket, chat: Chat, model: str) -> None:
    live = socket.turn(type="send", request_id="one", content="Tell me something.", model=model)
    turn_id = live.started["turn_id"]
    url = f"/api/chat/stream/{turn_id}"
    with chat.http.stream("GET", url) as response:
        lines = list(lines_of(response))
    streamed = list(read_events(iter(lines)))
    raw = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    socket.say(type="follow", turn_id=turn_id, request_id="two")
    followed = []
    while not followed or '"type":"turn.completed"' not in followed[-1][:40]:
        followed.append(str(socket.raw.recv(timeout=30)))
    heads = [
        f'{{"type":"{event.name}","id":"{event.id}","request_id":"two","data":{data}}}'
        for event, data in zip(streamed, raw, strict=True)
    ]
    # To the byte: the stream's data in the socket's frame.
    assert followed == heads
    assert live.text == "".join(event.data["text"] for event in streamed if event.name == "message.delta")
    # What was told piece by piece comes joined later; else it is the same, in the same order.
    assert list(dict.fromkeys(event.name for event in live.events)) == [event.name for event in streamed]
    assert live.closing.data == next(event.data for event in streamed if event.name == live.closing.name)


def test_several_turns_share_a_socket_and_one_too_many_is_refused(socket: ChatSocket) -> None:
    for number in range(MOST_TURNS):
        socket.say(type="send", request_id=f"r{number}", content="Tell me a long story.", model=SLOW, max_tokens=60)
    opened = {socket.next()["request_id"] for _ in range(MOST_TURNS)}
    socket.say(type="send", request_id="r0", content="Again.", model=SLOW)
    socket.say(type="send", request_id="more", content="One more.", model=SLOW)
    frames = socket.until(lambda frame: frame["type"] == "error" and frame["request_id"] == "more")
    assert frames[-1]["error"]["code"] == "too_many_generations"
    ended = {frame["request_id"] for frame in frames if frame["type"] == "turn.completed"}
    while len(ended) < MOST_TURNS:
        frames += socket.until(lambda frame: frame["type"] == "turn.completed")
        ended.add(frames[-1]["request_id"])
    assert ended == opened | ended == {f"r{number}" for number in range(MOST_TURNS)}
    for request_id in ended:
        mine = [frame for frame in frames if frame["request_id"] == request_id]
        assert len(texts([frame for frame in mine if frame["type"] != "error"])) > 40
    # And there is room again.
    assert socket.turn(type="send", request_id="more", content="Now.", model="openai/gpt-4o-mini").text


def test_a_stop_ends_the_turn_and_keeps_its_text(socket: ChatSocket, chat: Chat) -> None:
    socket.say(type="send", request_id="a", content="Tell me a very long story.", model=SLOW)
    seen = socket.until(lambda frame: frame["type"] == "message.delta")
    turn_id = seen[0]["data"]["turn_id"]
    socket.say(type="stop", turn_id=turn_id)
    seen += socket.until(lambda frame: frame["type"] == "turn.completed")
    closing = next(frame for frame in seen if frame["type"] == "message.completed")
    assert closing["data"]["finish_reason"] == "stop"
    assert chat.resume(turn_id).text == texts(seen)


def test_a_socket_that_leaves_changes_nothing_and_another_goes_on_without_a_gap(live_site: Site, chat: Chat) -> None:
    with open_socket(live_site, chat.user) as first:
        first.say(type="send", request_id="a", content="Tell me a story.", model=SLOW, max_tokens=30)
        seen = first.until(lambda frame: frame["type"] == "message.delta")
        turn_id = seen[0]["data"]["turn_id"]
    with open_socket(live_site, chat.user) as tab, open_socket(live_site, chat.user) as other:
        tab.say(type="follow", turn_id=turn_id, after=seen[-1]["id"])
        other.say(type="follow", turn_id=turn_id, request_id=None)
        rest = tab.until(lambda frame: frame["type"] == "turn.completed")
        whole = other.until(lambda frame: frame["type"] == "turn.completed")
    assert rest[0]["type"] != "turn.started"
    assert texts(seen + rest) == texts(whole) == chat.message(chat.resume(turn_id))["content"]
    assert rest[-2]["type"] == "message.completed"


@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        ({}, "missing_required_parameter", "type"),
        ({"type": "sing"}, "invalid_value", "type"),
        ({"type": 7}, "invalid_value", "type"),
        ({"type": ["send"]}, "invalid_value", "type"),
        ({"type": "send"}, "missing_required_parameter", "content"),
        ({"type": "send", "content": "hi", "wibble": 1}, "unknown_field", "wibble"),
        ({"type": "send", "content": "hi", "idempotency_key": "k"}, "unknown_field", "idempotency_key"),
        ({"type": "send", "content": "hi", "model": "nobody/nothing"}, "model_not_found", "model"),
        ({"type": "send", "content": "hi", "conversation_id": UNKNOWN}, "not_found", None),
        ({"type": "follow"}, "missing_required_parameter", "turn_id"),
        ({"type": "follow", "turn_id": "nonsense"}, "invalid_value", "turn_id"),
        ({"type": "follow", "turn_id": UNKNOWN, "since": 3}, "unknown_field", "since"),
        ({"type": "follow", "turn_id": UNKNOWN, "after": 3}, "invalid_value", "after"),
        ({"type": "follow", "turn_id": UNKNOWN}, "not_found", None),
        ({"type": "stop", "turn_id": UNKNOWN}, "not_found", None),
        ({"type": "stop", "turn_id": UNKNOWN, "message_id": 1}, "invalid_value", "message_id"),
    ],
)
def test_a_wrong_frame_is_refused_by_name(
    socket: ChatSocket, frame: dict[str, Any], code: str, param: str | None
) -> None:
    socket.say(**frame, request_id="mine")
    answer = socket.next()
    assert (answer["type"], answer["request_id"]) == ("error", "mine")
    assert (answer["error"]["code"], answer["error"]["param"]) == (code, param)
    assert answer["error"]["request_id"] == socket.raw.response.headers["x-request-id"]  # type: ignore[union-attr]


def test_a_wrong_place_is_refused(socket: ChatSocket) -> None:
    turn = socket.turn(type="send", content="Hello.", model="openai/gpt-4o-mini")
    for place in ("", "x", "1,2", "-1", "9" * 30):
        socket.say(type="follow", turn_id=turn.started["turn_id"], after=place)
        answer = socket.next()
        assert (answer["error"]["code"], answer["error"]["param"]) == ("invalid_value", "after"), place


def test_what_is_no_frame_is_refused_and_the_socket_goes_on(socket: ChatSocket) -> None:
    garbage: list[str | bytes] = [
        "", "{", "[]", "null", "7", '"text"', "\ufeff{}", '{"type":"send","content":"\\ud800"}', b"\x00\xff",
        b'{"type":"stop"}', '{"type":' + "[" * 40 + "]" * 40 + "}", '{"type":"send","request_id":{"a":1}}',
        json.dumps({"type": "send", "request_id": "x" * 300}),
    ]  # fmt: skip
    for frame in garbage:
        socket.raw.send(frame)
        answer = socket.next()
        assert (answer["type"], answer["request_id"]) == ("error", None), frame
        assert answer["error"]["code"] in {"invalid_json", "invalid_value", "unsupported_media_type"}, frame
    assert socket.turn(type="send", request_id="a", content="Hello.", model="openai/gpt-4o-mini").text


def test_too_many_refused_frames_close_the_socket(socket: ChatSocket) -> None:
    try:
        for _ in range(MOST_REFUSED + 5):
            socket.raw.send("garbage")
    except ConnectionClosed:
        pass
    frames = [socket.next()["error"]["code"] for _ in range(MOST_REFUSED)]
    assert set(frames) == {"invalid_json"}
    assert socket.next()["error"]["code"] == "rate_limited"
    assert socket.closed() == (1008, "rate_limited")


def test_a_frame_of_512_kib_is_read_and_a_larger_one_closes_the_socket(live_site: Site, chat: Chat) -> None:
    with open_socket(live_site, chat.user) as socket:
        frame = '{"type":"send","content":""}'
        socket.raw.send(frame.replace('""', '"' + "x" * (FRAME_LIMIT - len(frame)) + '"'))
        assert socket.next()["error"]["code"] == "message_too_long"
        with contextlib.suppress(ConnectionClosed):
            socket.raw.send(frame.replace('""', '"' + "x" * (FRAME_LIMIT - len(frame) + 1) + '"'))
        assert socket.closed()[0] == 1009
    with open_socket(live_site, chat.user) as socket:  # in pieces, too
        with contextlib.suppress(ConnectionClosed):  # it is closed before the last piece has left, now and then
            socket.raw.send(["x" * 65536] * 9)
        assert socket.closed()[0] == 1009


def test_anothers_turn_is_like_an_unknown_one(live_site: Site, socket: ChatSocket, chat: Chat) -> None:
    turn_id = chat.send("Mine.").started["turn_id"]
    with open_socket(live_site, live_site.new_user("pro")) as stranger:
        for kind in ("follow", "stop"):
            answers = []
            for identity in (turn_id, UNKNOWN):
                stranger.say(type=kind, turn_id=identity)
                answers.append(stranger.raw.recv(timeout=30))
            assert answers[0] == answers[1]
            assert json.loads(answers[0])["error"]["code"] == "not_found"


def test_a_send_after_the_key_is_revoked_starts_nothing_and_ends_the_socket(live_site: Site) -> None:
    user = live_site.new_user("pro")
    for frame in ({"type": "send", "content": "Hello."}, {"type": "follow", "turn_id": UNKNOWN}):
        key = live_site.command("create_api_key", user.email).strip().split()[-1]
        with ChatSocket(live_site, {"Authorization": f"Bearer {key}"}) as socket:
            endings.shell(live_site, user, f"apikeys.revoke(keys.filter(prefix={key[:16]!r}))")
            try:
                socket.say(**frame)
                assert socket.next()["error"]["code"] == "invalid_api_key"
            except ConnectionClosed:
                pass  # the look came first
            assert socket.closed()[0] == 4401
    assert Chat(live_site, user).http.get("/api/conversations").json()["results"] == []


def test_each_socket_has_one_line_in_the_access_log(live_site: Site, chat: Chat) -> None:
    with open_socket(live_site, chat.user) as socket:
        request_id = socket.raw.response.headers["x-request-id"]  # type: ignore[union-attr]
        secret = f"secret-{time.monotonic_ns()}"
        socket.turn(type="send", content=secret, model="openai/gpt-4o-mini")
        socket.raw.close(4000)
    lines = [line for line in live_site.lines_of(request_id) if line["logger"] == "access"]
    assert [(line["method"], line["path"], line["status"], line["code"]) for line in lines] == [
        ("WEBSOCKET", "/ws/chat", 101, 4000)
    ]
    assert lines[0]["ms"] > 0
    assert secret not in live_site.log()
    assert chat.user.api_key not in live_site.log()
