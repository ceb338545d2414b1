"""A client of the chat stream as a program would write it: httpx, an API key, and the contract."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.servers.site import Newcomer, Site


@dataclass
class Event:
    """One server-sent event."""

    name: str
    id: str
    data: dict[str, Any]


def lines_of(response: httpx.Response) -> Iterator[str]:
    """The lines of a response, cut at LF alone: httpx also cuts at U+2028, which belongs to the text."""
    rest = b""
    for data in response.iter_raw():
        *whole, rest = (rest + data).split(b"\n")
        yield from (line.decode() for line in whole)


def read_events(lines: Iterator[str]) -> Iterator[Event]:
    """The events in the lines of a response."""
    name, identity, data = "", "", ""
    for line in lines:
        if line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("id:"):
            identity = line[3:].strip()
        elif line.startswith("data:"):
            data = line[5:].strip()
        elif not line and data:
            yield Event(name, identity, json.loads(data))
            name = identity = data = ""


@dataclass
class Turn:
    """What one send gave: the events in order, or the refusal."""

    status: int
    events: list[Event] = field(default_factory=list)
    error: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def one(self, name: str) -> dict[str, Any]:
        assert self.status == 200, self.error
        found = [event.data for event in self.events if event.name == name]
        assert len(found) == 1, f"{len(found)} {name} in {[event.name for event in self.events]}"
        return found[0]

    @property
    def started(self) -> dict[str, Any]:
        return self.one("turn.started")

    @property
    def text(self) -> str:
        return join_deltas(self.events)

    @property
    def closing(self) -> Event:
        return next(event for event in self.events if event.name in {"message.completed", "message.failed"})

    @property
    def message_id(self) -> str:
        return str(self.started["messages"][0]["message_id"])


def join_deltas(events: list[Event]) -> str:
    """The text of all deltas by offset; fails on a gap or a double."""
    text = ""
    for event in events:
        if event.name == "message.delta":
            assert event.data["offset"] == len(text), "a gap or a double"
            text += event.data["text"]
            assert event.id.split(",")[0] == str(len(text))
    return text


class Chat:
    """A user's API client of one site."""

    def __init__(self, site: Site, user: Newcomer, *, timeout: float = 60) -> None:
        self.site, self.user = site, user
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{site.port}",
            headers={"Authorization": f"Bearer {user.api_key}", "Host": f"localhost:{site.port}"},
            timeout=timeout,
        )

    def body(self, content: str, model: str | None, **fields: Any) -> dict[str, Any]:
        return {"content": content, "model": model, **fields}

    @contextmanager
    def opened(
        self,
        content: str,
        model: str | None = "openai/gpt-4o-mini",
        *,
        headers: dict[str, str] | None = None,
        **fields: Any,
    ) -> Iterator[tuple[httpx.Response, Iterator[Event]]]:
        """An open stream and its events as they come."""
        with self.http.stream(
            "POST", "/api/chat/stream", json=self.body(content, model, **fields), headers=headers
        ) as response:
            yield response, read_events(lines_of(response))

    def send(
        self,
        content: str,
        model: str | None = "openai/gpt-4o-mini",
        *,
        headers: dict[str, str] | None = None,
        **fields: Any,
    ) -> Turn:
        """Send and read to the end."""
        with self.opened(content, model, headers=headers, **fields) as (response, events):
            if response.status_code != 200:
                return Turn(
                    response.status_code, error=json.loads(response.read())["error"], headers=dict(response.headers)
                )
            return Turn(200, list(events), headers=dict(response.headers))

    def resume(self, turn_id: str, after: str | None = None) -> Turn:
        headers = {} if after is None else {"Last-Event-ID": after}
        with self.http.stream("GET", f"/api/chat/stream/{turn_id}", headers=headers) as response:
            if response.status_code != 200:
                return Turn(response.status_code, error=json.loads(response.read())["error"])
            return Turn(200, list(read_events(lines_of(response))))

    def stop(self, turn_id: str) -> httpx.Response:
        return self.http.post(f"/api/chat/stream/{turn_id}/stop")

    def message(self, turn: Turn) -> dict[str, Any]:
        """The stored answer."""
        url = f"/api/conversations/{turn.started['conversation_id']}/messages"
        found = self.http.get(url, params={"limit": 100}).json()["results"]
        return next(message for message in found if message["id"] == turn.message_id)

    def quota(self) -> dict[str, Any]:
        answer = self.http.get("/api/user/quota")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def limit(self, unit: str = "tokens", scope: str = "*") -> dict[str, Any]:
        return next(row for row in self.quota()["limits"] if (row["unit"], row["scope"]) == (unit, scope))

    @property
    def used(self) -> int:
        return int(self.limit()["used"])

    @property
    def held(self) -> int:
        return int(self.limit()["held"])


def dispatches(site: Site) -> list[dict[str, Any]]:
    """What the sandbox saw arrive at its OpenRouter, with what it billed."""
    answer = httpx.get(f"{site.sandbox_url}/_control/dispatches", timeout=20).json()
    return list(answer["dispatches"] if isinstance(answer, dict) else answer)


_RECORDS = """
import json; from quotas.models import UsageRecord
found = UsageRecord.objects.filter(user__email__in={emails})
print(json.dumps([[str(one.hold_id), one.upstream_id, one.tokens] for one in found]))
"""


def records(chats: list[Chat]) -> dict[str, tuple[str, int]]:
    """The usage records of these users: by our name for the call, the upstream's name for it and its tokens."""
    emails = [chat.user.email for chat in chats]
    said = chats[0].site.command("shell", "-v", "0", "-c", _RECORDS.format(emails=emails))
    return {call: (upstream_id, tokens) for call, upstream_id, tokens in json.loads(said.strip().splitlines()[-1])}


def duration_seconds(value: str) -> float:
    """A header such as ``12s`` in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)s", value)
    assert match, value
    return float(match.group(1))
