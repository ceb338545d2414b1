"""What is open ends when the credential that opened it does: revoked, expired, signed out, disabled."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from tests.chat import endings
from tests.chat.client import Chat, lines_of, read_events
from tests.chat.endings import Way
from tests.servers.site import Newcomer, Site

SLOW = "sandbox/slow"
PROMPT = "Tell me a very long story."
PATIENCE = 20  # seconds that an open reader may take to notice, at the very worst


@pytest.fixture
def user(live_site: Site) -> Callable[[], Newcomer]:
    return lambda: live_site.new_user("pro")


def ended_within(ways: dict[str, Way], opened: dict[str, Future[float]]) -> dict[str, float]:
    """End every credential, and say how long each reader went on after that."""
    ends: dict[str, float] = {}
    for name, way in ways.items():
        way.end()
        ends[name] = time.monotonic()
    return {name: future.result(PATIENCE + 20) - ends[name] for name, future in opened.items()}


def test_readers_of_the_stream_end_with_their_credential(live_site: Site, user: Callable[[], Newcomer]) -> None:
    ways = endings.sessions(live_site, user) | endings.keys_and_tokens(live_site, user)
    turns: dict[str, str] = {}
    names: dict[str, list[str]] = {name: [] for name in ways}

    deadline = time.monotonic() + PATIENCE + 20

    def read(name: str) -> float:
        with httpx.stream(
            "POST",
            f"{live_site.url}/api/chat/stream",
            json={"content": PROMPT, "model": SLOW, "max_tokens": 400},
            headers=ways[name].headers,
            timeout=60,
        ) as response:
            assert response.status_code == 200, (name, response.read())
            for event in read_events(lines_of(response)):
                names[name].append(event.name)
                turns.setdefault(name, event.data.get("turn_id", ""))
                assert time.monotonic() < deadline
        return time.monotonic()

    with ThreadPoolExecutor(len(ways)) as pool:
        opened = {name: pool.submit(read, name) for name in ways}
        wait_for(lambda: all("message.delta" in seen for seen in names.values()))
        seconds = ended_within(ways, opened)
    print({name: round(took, 1) for name, took in seconds.items()})
    assert max(seconds.values()) < PATIENCE
    for name, way in ways.items():
        assert "turn.completed" not in names[name], name
        if way.refused:
            again = httpx.get(f"{live_site.url}/api/chat/stream/{turns[name]}", headers=way.headers, timeout=60)
            assert again.json()["error"]["code"] == way.refused, name


@pytest.mark.slow
def test_completions_end_with_their_credential_and_stop_the_upstream(
    live_site: Site, user: Callable[[], Newcomer]
) -> None:
    ways = endings.keys_and_tokens(live_site, user)
    told: dict[str, str] = {}
    begun: set[str] = set()

    deadline = time.monotonic() + PATIENCE + 20

    def read(name: str) -> float:
        body = {
            "model": SLOW,
            "max_tokens": 400,
            "stream": True,
            "messages": [{"role": "user", "content": PROMPT}],
        }
        with httpx.stream(
            "POST", f"{live_site.url}/v1/chat/completions", json=body, headers=ways[name].headers, timeout=60
        ) as response:
            assert response.status_code == 200, (name, response.read())
            for line in lines_of(response):
                begun.add(name)
                assert time.monotonic() < deadline
                if '"error"' in line:
                    told[name] = json.loads(line.removeprefix("data: "))["error"]["code"]
                assert line != "data: [DONE]", name
        return time.monotonic()

    with ThreadPoolExecutor(len(ways)) as pool:
        opened = {name: pool.submit(read, name) for name in ways}
        wait_for(lambda: len(begun) == len(ways))
        seconds = ended_within(ways, opened)
    print({name: round(took, 1) for name, took in seconds.items()})
    assert max(seconds.values()) < PATIENCE
    openai = {"invalid_token": "invalid_api_key", "account_disabled": "invalid_api_key"}
    assert told == {name: openai.get(way.refused, way.refused) for name, way in ways.items()}


@pytest.mark.slow
def test_a_whole_completion_is_refused_when_its_key_is_revoked_meanwhile(
    live_site: Site, user: Callable[[], Newcomer]
) -> None:
    person = user()
    other = live_site.command("create_api_key", person.email).strip().split()[-1]
    way = endings.by_key(live_site, person, f"apikeys.revoke(keys.filter(prefix={person.api_key[:16]!r}))")
    with ThreadPoolExecutor(1) as pool:
        body = {"model": SLOW, "messages": [{"role": "user", "content": PROMPT}]}
        waiting = pool.submit(
            httpx.post, f"{live_site.url}/v1/chat/completions", json=body, headers=way.headers, timeout=60
        )
        owner = Chat(live_site, Newcomer(person.email, person.password, other))
        wait_for(lambda: owner.held > 0)
        way.end()
        answer = waiting.result()
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    wait_for(lambda: owner.held == 0)
    assert owner.used > 0


def wait_for(done: Callable[[], bool], seconds: float = 30) -> None:
    """Until ``done``; fails when it takes longer."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
