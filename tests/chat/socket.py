"""A client of the chat's WebSocket as a program would write it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.chat.client import Event, Turn
from tests.servers.site import Newcomer, Site


class ChatSocket:
    """An open socket; frames come and go as dictionaries."""

    def __init__(self, site: Site, headers: Mapping[str, str], *, path: str = "/ws/chat", **options: Any) -> None:
        self._connecting = connect(
            f"ws://localhost:{site.port}{path}",
            additional_headers=list(headers.items()),
            max_size=None,
            proxy=None,
            **options,
        )

    def __enter__(self) -> ChatSocket:
        """Raises InvalidStatus when the handshake is refused."""
        self.raw: ClientConnection = self._connecting.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._connecting.__exit__(None, None, None)

    def say(self, **frame: Any) -> None:
        self.raw.send(json.dumps(frame))

    def next(self, seconds: float = 30) -> dict[str, Any]:
        """The next frame. Raises ConnectionClosed."""
        return dict(json.loads(self.raw.recv(timeout=seconds)))

    def until(self, done: Callable[[dict[str, Any]], bool], seconds: float = 60) -> list[dict[str, Any]]:
        """Frames up to the one that is ``done``."""
        frames = [self.next(seconds)]
        while not done(frames[-1]):
            frames.append(self.next(seconds))
        return frames

    def turn(self, **frame: Any) -> Turn:
        """Send a frame and read its turn to the end, as a Turn of the stream; no other may run."""
        self.say(**frame)
        frames = self.until(lambda each: each["type"] in {"turn.completed", "error"})
        if frames[-1]["type"] == "error":
            return Turn(0, error=frames[-1]["error"])
        assert {each["request_id"] for each in frames} == {frame.get("request_id")}
        return Turn(200, [Event(each["type"], each["id"], each["data"]) for each in frames])

    def closed(self, seconds: float = 30) -> tuple[int, str]:
        """The code and reason of the close, after whatever else still comes."""
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                self.raw.recv(timeout=seconds)
        assert closed.value.rcvd is not None, closed.value
        return closed.value.rcvd.code, closed.value.rcvd.reason


def open_socket(site: Site, user: Newcomer, **options: Any) -> ChatSocket:
    """A socket by the user's API key."""
    return ChatSocket(site, {"Authorization": f"Bearer {user.api_key}"}, **options)


def refusal(site: Site, headers: Mapping[str, str], path: str = "/ws/chat") -> tuple[int, str]:
    """Status and error code of a handshake that is refused; (101, "") when it is not."""
    try:
        with ChatSocket(site, headers, path=path):
            pass
    except InvalidStatus as error:
        refused = error
    else:
        return 101, ""
    if "x-request-id" not in refused.response.headers:
        return refused.response.status_code, ""  # a server that can't send more than a status
    body = json.loads(refused.response.body or b"")
    assert body["error"]["request_id"] == refused.response.headers["x-request-id"]
    return refused.response.status_code, body["error"]["code"]
