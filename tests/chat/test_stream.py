"""The chat stream of the contract, from outside: events, offsets, resume, stop, refusals."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.chat.client import Chat, duration_seconds, read_events
from tests.servers.site import Site

SLOW = "sandbox/slow"  # ten tokens a second


@pytest.fixture
def chat(live_site: Site) -> Chat:
    return Chat(live_site, live_site.new_user("pro"))


def wait_until_settled(chat: Chat, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while chat.held and time.monotonic() < deadline:
        time.sleep(0.1)
    assert chat.held == 0


def test_a_turn_gives_the_events_of_the_contract_in_order(chat: Chat) -> None:
    turn = chat.send("Say hello in one sentence.")
    names = [event.name for event in turn.events]
    assert names[0] == "turn.started"
    assert names[-2:] == ["message.completed", "turn.completed"]
    assert set(names) == {
        "turn.started",
        "conversation.updated",
        "message.delta",
        "message.completed",
        "turn.completed",
    }
    started = turn.started
    assert set(started) == {"turn_id", "conversation_id", "user_message_id", "messages", "quote", "context"}
    assert started["context"] == {"included_messages": 1, "omitted_messages": 0}
    assert started["quote"]["max_tokens"] > 0
    completed = turn.one("message.completed")
    assert completed["finish_reason"] == "stop"
    usage = completed["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["estimated"] is False
    assert turn.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert int(turn.headers["x-ratelimit-remaining-requests"]) < int(turn.headers["x-ratelimit-limit-requests"])
    assert duration_seconds(turn.headers["x-ratelimit-reset-requests"]) <= 61


def test_the_deltas_join_to_the_stored_text_and_the_quota_moves_by_the_usage(chat: Chat) -> None:
    before = chat.used
    turn = chat.send("Explain binary search with code and a table.")
    stored = chat.message(turn)
    assert turn.text == stored["content"] != ""
    assert stored["status"] == "complete"
    usage = turn.one("message.completed")["usage"]
    assert chat.used - before == usage["total_tokens"] == stored["tokens_used"]
    assert chat.held == 0
    limits = turn.one("turn.completed")["quota"]
    assert next(row for row in limits if row["unit"] == "tokens")["used"] == chat.used


@pytest.mark.parametrize(
    "slug",
    [
        "split-utf8",
        "emoji",
        "line-separators",
        "crlf",
        "packed",
        "comments-first",
        "bad-utf8",
        "nul",
        "usage-old-shape",
    ],
)
def test_text_arrives_whole_however_the_upstream_cuts_it(chat: Chat, slug: str) -> None:
    turn = chat.send("Write something with many alphabets.", f"sandbox/{slug}")
    assert turn.closing.name == "message.completed"
    assert turn.text == chat.message(turn)["content"] != ""
    assert "\0" not in turn.text
    if slug == "emoji":
        assert any(ord(letter) > 0xFFFF for letter in turn.text)


def test_a_conversation_goes_on_and_the_model_is_given_its_history(chat: Chat) -> None:
    first = chat.send("The secret word is marmalade.", "sandbox/echo-request")
    conversation = first.started["conversation_id"]
    second = chat.send("What is the secret word?", "sandbox/echo-request", conversation_id=conversation)
    assert second.started["conversation_id"] == conversation
    assert second.started["context"]["included_messages"] == 3
    assert "The secret word is marmalade." in second.text
    assert "max_completion_tokens" in second.text
    assert "context-compression" in second.text
    assert chat.user.email not in second.text
    seen = second.text.lower()
    assert '"http-referer"' in seen and chat.site.url in seen
    assert '"x-openrouter-title"' in seen


def test_a_reader_that_leaves_changes_nothing(chat: Chat) -> None:
    with chat.opened("long", SLOW, max_tokens=25) as (_, events):
        started = next(events).data
    turn = chat.resume(started["turn_id"])
    assert turn.closing.name == "message.completed"
    assert turn.text == chat.message(turn)["content"]


def test_a_cut_reader_resumes_by_last_event_id_without_a_gap_or_a_double(chat: Chat) -> None:
    with chat.opened("Tell me a long story.", SLOW, max_tokens=25) as (_, events):
        seen = []
        for event in events:
            seen.append(event)
            if len([e for e in seen if e.name == "message.delta"]) == 5:
                break
    turn_id = seen[0].data["turn_id"]
    rest = chat.resume(turn_id, seen[-1].id)
    assert rest.events[0].name != "turn.started"
    text = "".join(e.data["text"] for e in seen + rest.events if e.name == "message.delta")
    whole = chat.resume(turn_id)
    assert text == whole.text


def test_a_finished_turn_replays_its_end_and_only_what_is_missing(chat: Chat) -> None:
    turn = chat.send("Count to ten.")
    last = turn.events[-1].id
    again = chat.resume(turn.started["turn_id"], last)
    assert [event.name for event in again.events] == ["message.completed", "turn.completed"]
    assert again.events[-1].id == last
    middle = chat.resume(turn.started["turn_id"], "3")
    assert "".join(e.data["text"] for e in middle.events if e.name == "message.delta") == turn.text[3:]


def test_stop_keeps_the_text_and_settles_what_was_used(chat: Chat) -> None:
    before = chat.used
    with chat.opened("Tell me a very long story.", SLOW) as (_, events):
        seen = [next(events)]
        for event in events:
            seen.append(event)
            if len([e for e in seen if e.name == "message.delta"]) == 4:
                assert chat.stop(seen[0].data["turn_id"]).status_code == 202
    closing = next(event for event in seen if event.name == "message.completed")
    text = "".join(e.data["text"] for e in seen if e.name == "message.delta")
    turn = chat.resume(seen[0].data["turn_id"])
    assert closing.data["finish_reason"] == "stop"
    stored = chat.message(turn)
    assert stored["status"] == "stopped"
    assert stored["content"] == text
    wait_until_settled(chat)
    stored = chat.message(turn)
    assert stored["usage"]["estimated"] is False
    assert chat.used - before == stored["usage"]["total_tokens"]


def test_the_same_idempotency_key_attaches_and_charges_once(chat: Chat) -> None:
    key = {"Idempotency-Key": f"key-{time.monotonic_ns()}"}
    first = chat.send("Say it once.", headers=key)
    used = chat.used
    second = chat.send("Say it once.", headers=key)
    assert second.started["turn_id"] == first.started["turn_id"]
    assert second.text == first.text
    assert chat.used == used
    other = chat.send("Say something else.", headers=key)
    assert (other.status, other.error["code"]) == (409, "idempotency_conflict")


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({}, 400, "missing_required_parameter", "content"),
        ({"content": ""}, 400, "invalid_value", "content"),
        ({"content": "   \n"}, 400, "invalid_value", "content"),
        ({"content": 7}, 400, "invalid_value", "content"),
        ({"content": ["x"]}, 400, "invalid_value", "content"),
        ({"content": "x" * 100_001}, 400, "message_too_long", "content"),
        ({"content": "a\0b"}, 400, "invalid_value", "content"),
        ({"content": "hi", "wibble": 1}, 400, "unknown_field", "wibble"),
        ({"content": "hi", "model": "nobody/nothing"}, 404, "model_not_found", "model"),
        ({"content": "hi", "model": 3}, 400, "invalid_value", "model"),
        ({"content": "hi", "temperature": 9}, 400, "invalid_value", "temperature"),
        ({"content": "hi", "temperature": "warm"}, 400, "invalid_value", "temperature"),
        ({"content": "hi", "max_tokens": 0}, 400, "invalid_value", "max_tokens"),
        ({"content": "hi", "max_tokens": True}, 400, "invalid_value", "max_tokens"),
        ({"content": "hi", "max_tokens": 1.5}, 400, "invalid_value", "max_tokens"),
        ({"content": "hi", "conversation_id": "not-an-id"}, 400, "invalid_value", "conversation_id"),
        ({"content": "hi", "conversation_id": "0198c0de-0000-7000-8000-000000000000"}, 404, "not_found", None),
        ({"content": "hi", "temporary": "yes"}, 400, "invalid_value", "temporary"),
        ({"content": "hi", "reasoning_effort": "heroic"}, 400, "invalid_value", "reasoning_effort"),
    ],
)
def test_a_bad_body_is_refused_by_name_and_nothing_is_kept(
    chat: Chat, body: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    answer = chat.http.post("/api/chat/stream", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert error["request_id"] == answer.headers["x-request-id"]
    assert chat.http.get("/api/conversations").json()["results"] == []
    assert chat.held == 0


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid_json"),
        (b"[]", "application/json", 400, "invalid_json"),
        (b"", "application/json", 400, "invalid_json"),
        (b'{"content": "' + b"[" * 50 + b'"}', "text/plain", 415, "unsupported_media_type"),
        (b'{"content":' + b"[" * 40 + b"]" * 40 + b"}", "application/json", 400, "invalid_json"),
        (b'{"content": "' + b"x" * (1024 * 1024) + b'"}', "application/json", 413, "payload_too_large"),
    ],
)
def test_a_body_that_is_not_json_is_refused(chat: Chat, content: bytes, kind: str, status: int, code: str) -> None:
    answer = chat.http.post("/api/chat/stream", content=content, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_body_over_its_limit_is_refused_also_without_a_length(chat: Chat) -> None:
    def endless() -> Any:
        for _ in range(40):
            yield b"x" * 65536

    answer = chat.http.post("/api/chat/stream", content=endless(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")


def test_a_foreign_conversation_and_turn_are_like_unknown_ones(chat: Chat, live_site: Site) -> None:
    turn = chat.send("Mine.")
    stranger = Chat(live_site, live_site.new_user("pro"))
    known, unknown = turn.started["conversation_id"], "0198c0de-0000-7000-8000-000000000000"
    answers = [stranger.send("Give me.", conversation_id=identity).error for identity in (known, unknown)]
    for error in answers:
        error.pop("request_id")
    assert answers[0] == answers[1]
    assert stranger.resume(turn.started["turn_id"]).status == 404
    assert stranger.stop(turn.started["turn_id"]).status_code == 404
    assert stranger.resume("not-an-id").status == 404
    assert [stranger.resume(identity).error["code"] for identity in (turn.started["turn_id"], unknown)] == [
        "not_found",
        "not_found",
    ]


def test_who_may_not_is_told_before_what_is_wrong_with_the_body(chat: Chat, live_site: Site) -> None:
    url = f"{chat.http.base_url}/api/chat/stream"
    for headers in ({}, {"Authorization": "Bearer oneai_nonsense"}, {"Authorization": "Basic abc"}):
        for body in ({}, {"content": "hi", "model": "openai/gpt-4o-mini"}):
            answer = httpx.post(url, json=body, headers=headers)
            assert answer.status_code == 401, (headers, body)
            assert answer.headers["www-authenticate"].startswith("Bearer")
    expired = live_site.command("create_api_key", chat.user.email, "--expires", "1").strip()
    live_site.manage(
        "shell",
        "-c",
        "from accounts.models import ApiKey; from oneai.kit.clock import now;"
        "ApiKey.objects.filter(expires_at__isnull=False).update(expires_at=now())",
    )
    headers = {"Authorization": f"Bearer {expired}"}
    answer = httpx.post(url, json={"content": "hi", "model": "openai/gpt-4o-mini"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    narrow = live_site.command("create_api_key", chat.user.email, "--scopes", "usage").strip()
    answer = httpx.post(
        url, json={"content": "hi", "model": "openai/gpt-4o-mini"}, headers={"Authorization": f"Bearer {narrow}"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")


def test_an_empty_quota_refuses_with_the_limit_that_binds(live_site: Site) -> None:
    chat = Chat(live_site, live_site.new_user())
    live_site.command("set_quota", chat.user.email, "--model", "*", "--tokens", "40", "--reason", "test")
    refused = chat.send("x" * 200)
    assert (refused.status, refused.error["code"], refused.error["type"]) == (
        429,
        "quota_exceeded",
        "insufficient_quota",
    )
    limit = refused.error["details"]["limit"]
    assert (limit["scope"], limit["unit"], limit["limit"]) == ("*", "tokens", 40)
    assert int(refused.headers["retry-after"]) > 0


def test_events_of_a_stream_can_be_read_by_a_plain_parser(chat: Chat) -> None:
    with chat.opened("Write lines\r\nand more\n\ndata: forged\n\n", "sandbox/line-separators") as (response, _):
        raw = response.read().decode()
    names = {event.name for event in read_events(iter(raw.split("\n")))}
    assert "forged" not in names
    assert all(line.startswith(("event: ", "id: ", "data: {")) for line in raw.split("\n") if line)
