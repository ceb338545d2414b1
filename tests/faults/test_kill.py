"""A server killed in mid-stream: the text is there, the message says so, the hold is settled."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.chat.client import Chat, dispatches
from tests.faults.load import unlimited
from tests.servers.sandbox import Sandbox
from tests.servers.site import Site

pytestmark = pytest.mark.faults


def read_for(chat: Chat, model: str, seconds: float) -> tuple[str, str, str]:
    """Read a stream until some seconds before it breaks: (turn id, conversation id, text seen)."""
    text = ""
    with chat.opened("Tell me a very long story.", model) as (_, events):
        started = next(events).data
        deadline = time.monotonic() + seconds
        for event in events:
            if event.name == "message.delta":
                text += event.data["text"]
            if time.monotonic() > deadline:
                break
    return started["turn_id"], started["conversation_id"], text


@pytest.mark.parametrize(
    "worker", [pytest.param(False, id="web alone", marks=pytest.mark.core), pytest.param(True, id="with a worker")]
)
def test_kill_9_in_mid_stream_loses_at_most_a_second_and_settles(fresh_site: Callable[..., Site], worker: bool) -> None:
    site = fresh_site(worker=worker, pace="human")
    chat = Chat(site, site.new_user("pro"))
    turn_id, conversation, seen = read_for(chat, "sandbox/long", 4)
    time.sleep(1.3)  # what was seen is at least a second old when the server dies
    site.kill()
    site.start()
    deadline = time.monotonic() + 30
    while chat.held and time.monotonic() < deadline:
        time.sleep(0.3)
    assert chat.held == 0, "not settled within 30 s"
    stored = chat.http.get(f"/api/conversations/{conversation}/messages").json()["results"][-1]
    assert stored["status"] == "interrupted"
    assert stored["content"].startswith(seen)
    assert len(seen) > 0
    turn = chat.resume(turn_id)
    assert turn.closing.name == "message.failed"
    assert turn.closing.data["error"]["code"] == "interrupted"
    assert turn.text == stored["content"]
    billed = dispatches(site)[-1]["usage"]["total_tokens"]
    assert chat.used == stored["usage"]["total_tokens"] == billed
    site.command("audit_ledger")


def test_without_a_record_a_crash_costs_what_was_delivered_where_the_provider_stops(
    fresh_site: Callable[..., Site],
) -> None:
    site = fresh_site(pace="human")
    chat = Chat(site, site.new_user("pro"))
    _, conversation, seen = read_for(chat, "sandbox/long", 3)
    identity = dispatches(site)[-1]["generation_id"]
    httpx.post(f"{site.sandbox_url}/_control/record", json={"generation_id": identity, "lose": True}).raise_for_status()
    site.kill()
    site.start()
    deadline = time.monotonic() + 40
    while chat.held and time.monotonic() < deadline:
        time.sleep(0.3)
    assert chat.held == 0
    stored = chat.http.get(f"/api/conversations/{conversation}/messages").json()["results"][-1]
    assert stored["usage"]["estimated"] is True
    assert 0 < stored["usage"]["completion_tokens"] <= len(stored["content"].encode()) // 4 + 1
    assert stored["content"].startswith(seen[: len(seen) // 4])


def test_term_lets_running_answers_finish_and_takes_no_new_ones(fresh_site: Callable[..., Site]) -> None:
    site = fresh_site(worker=False)
    chat = Chat(site, site.new_user("pro"))
    with chat.opened("Tell me a story.", "sandbox/slow", max_tokens=40) as (_, events):
        seen = [next(events)]
        import signal

        site.send(signal.SIGTERM)
        seen += list(events)
    assert seen[-1].name == "turn.completed"
    assert any(event.name == "message.completed" for event in seen)
    started = time.monotonic()
    site.terminate()
    assert time.monotonic() - started < 30
    with pytest.raises(httpx.HTTPError):
        chat.quota()
    site.start()
    turn = chat.resume(seen[0].data["turn_id"])
    assert turn.text == "".join(event.data["text"] for event in seen if event.name == "message.delta")


def test_a_reader_follows_a_turn_of_another_process(fresh_site: Callable[..., Site]) -> None:
    site = fresh_site(processes=2, worker=False)
    user = site.new_user("pro")
    chat = Chat(site, user)
    with chat.opened("Tell me a story.", "sandbox/slow", max_tokens=40) as (_, events):
        started = next(events).data
        # Many new connections: with two processes some of them land on the other one.
        turns = [Chat(site, user).resume(started["turn_id"]) for _ in range(8)]
        own = list(events)
    text = "".join(event.data["text"] for event in own if event.name == "message.delta")
    assert {turn.text for turn in turns} == {text}
    assert {turn.closing.name for turn in turns} == {"message.completed"}


class Mute(ThreadingHTTPServer):
    """An upstream with the sandbox's models that writes a word now and then, and never says what it billed."""

    daemon_threads = True

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(("127.0.0.1", 0), _Mute)
        self.sandbox = sandbox.settings()["OPENROUTER_BASE_URL"]
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Mute(BaseHTTPRequestHandler):
    server: Mute

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if "/generation" in self.path:
            time.sleep(60)
            return
        found = httpx.get(f"{self.server.sandbox}{self.path}", headers={"Authorization": self.headers["Authorization"]})
        self._begin(found.headers["content-type"])
        self.wfile.write(found.content)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._begin("text/event-stream")
        chunk = json.dumps({"id": "gen-mute", "choices": [{"delta": {"content": "word "}}]})
        try:
            while True:
                self.wfile.write(f"data: {chunk}\n\n".encode())
                time.sleep(0.2)
        except OSError:
            pass

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()


@pytest.mark.long
def test_readers_are_told_in_time_though_the_upstream_does_not_say_what_it_billed(
    fresh_site: Callable[..., Site], sandbox: Sandbox
) -> None:
    upstream = Mute(sandbox)
    url = f"http://127.0.0.1:{upstream.server_address[1]}"
    site = fresh_site(settings={"OPENROUTER_BASE_URL": url})
    (user,) = unlimited(site, 1)
    turns = []
    with ExitStack() as stack:
        for _ in range(40):
            _, events = stack.enter_context(Chat(site, user).opened("Tell me.", "sandbox/slow"))
            turns.append(next(events).data["turn_id"])
            next(event for event in events if event.name == "message.delta")
        site.kill()
    killed = time.monotonic()
    site.start()
    endings = [Chat(site, user).resume(turn).closing for turn in turns]
    took = time.monotonic() - killed
    print(f"forty readers were told {took:.1f} s after the kill")
    assert {ending.data["error"]["code"] for ending in endings} == {"interrupted"}
    assert took <= 30
    upstream.shutdown()
    upstream.server_close()
