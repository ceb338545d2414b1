"""Several models asked at once: one stream, and each with its own hold, failure and stop."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chat.client import Chat, Event
from tests.servers.site import Site

SLOW = "sandbox/slow"
QUICK = "openai/gpt-4o-mini"
OTHER = "deepseek/deepseek-chat"


@pytest.fixture
def chat(live_site: Site) -> Chat:
    return Chat(live_site, live_site.new_user("pro"))


def texts(events: list[Event]) -> dict[str, str]:
    """The text of each message by its deltas; fails on a gap or a double, or a vector that disagrees."""
    found: dict[str, str] = {}
    order = [row["message_id"] for row in events[0].data["messages"]]
    for event in events:
        if event.name == "message.delta":
            key = event.data["message_id"]
            assert event.data["offset"] == len(found.get(key, "")), "a gap or a double"
            found[key] = found.get(key, "") + event.data["text"]
        assert event.id == ",".join(str(len(found.get(key, ""))) for key in order)
    return found


def tree(chat: Chat, conversation_id: str) -> dict[str, dict[str, Any]]:
    url = f"/api/conversations/{conversation_id}/messages"
    found = chat.http.get(url, params={"tree": "1", "limit": 100}).json()["results"]
    return {message["id"]: message for message in found}


def send(chat: Chat, content: str, models: list[str], **fields: Any) -> Any:
    return chat.send(content, None, models=models, **fields)


def test_each_model_answers_in_one_stream_in_the_order_asked(chat: Chat) -> None:
    before = chat.used
    turn = send(chat, "Say hello.", [QUICK, "sandbox/echo-request", OTHER])
    started = turn.started
    assert [row["model"] for row in started["messages"]] == [QUICK, "sandbox/echo-request", OTHER]
    said = texts(turn.events)
    completed = [event.data for event in turn.events if event.name == "message.completed"]
    assert {row["message_id"]: row["model"] for row in completed} == {
        row["message_id"]: row["model"] for row in started["messages"]
    }
    assert [event.name for event in turn.events].count("turn.completed") == 1
    assert turn.events[-1].name == "turn.completed"
    stored = tree(chat, started["conversation_id"])
    assert len(stored) == 4
    for row in started["messages"]:
        answer = stored[row["message_id"]]
        assert answer["parent_message_id"] == started["user_message_id"]
        assert (answer["content"], answer["model"]) == (said[row["message_id"]], row["model"])
    assert chat.used - before == sum(row["usage"]["total_tokens"] for row in completed)
    assert chat.held == 0
    talk = chat.http.get(f"/api/conversations/{started['conversation_id']}").json()
    assert talk["message_count"] == 4
    assert talk["active_message_id"] == started["messages"][0]["message_id"]


def test_one_that_fails_leaves_the_others_alone(chat: Chat) -> None:
    turn = send(chat, "Say hello.", ["sandbox/http-500", QUICK])
    broken, whole = (row["message_id"] for row in turn.started["messages"])
    ends = {e.data["message_id"]: e for e in turn.events if e.name in {"message.completed", "message.failed"}}
    assert ends[broken].name == "message.failed"
    assert ends[whole].name == "message.completed"
    stored = tree(chat, turn.started["conversation_id"])
    assert (stored[broken]["status"], stored[whole]["status"]) == ("failed", "complete")
    assert chat.held == 0
    again = chat.resume(turn.started["turn_id"], turn.events[-1].id)
    assert [event.name for event in again.events] == ["message.failed", "message.completed", "turn.completed"]


def test_one_is_stopped_and_the_other_goes_on(chat: Chat) -> None:
    seen: list[Event] = []
    with chat.opened("Tell me a long story.", None, models=[SLOW, "sandbox/echo-request"]) as (_, events):
        for event in events:
            seen.append(event)
            if event.name == "message.delta" and event.data["message_id"] == first(seen) and event.data["offset"] > 5:
                break
        turn_id = seen[0].data["turn_id"]
        answer = chat.http.post(f"/api/chat/stream/{turn_id}/stop", json={"message_id": first(seen)})
        assert answer.status_code == 202
        seen += list(events)
    stored = tree(chat, seen[0].data["conversation_id"])
    statuses = [stored[row["message_id"]]["status"] for row in seen[0].data["messages"]]
    assert statuses == ["stopped", "complete"]
    assert texts(seen) == {row["message_id"]: stored[row["message_id"]]["content"] for row in seen[0].data["messages"]}
    unknown = chat.http.post(f"/api/chat/stream/{turn_id}/stop", json={"message_id": turn_id})
    assert unknown.status_code == 404


def first(seen: list[Event]) -> str:
    return str(seen[0].data["messages"][0]["message_id"])


def test_a_reader_resumes_each_text_at_its_own_place(chat: Chat) -> None:
    seen: list[Event] = []
    with chat.opened("long", None, models=[SLOW, OTHER], max_tokens=20) as (_, events):
        for event in events:
            seen.append(event)
            if len(seen) == 8:
                break
    rest = chat.resume(seen[0].data["turn_id"], seen[-1].id)
    assert rest.events[0].name != "turn.started"
    stored = tree(chat, seen[0].data["conversation_id"])
    assert texts(seen + rest.events) == {
        row["message_id"]: stored[row["message_id"]]["content"] for row in seen[0].data["messages"]
    }


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": QUICK, "models": [QUICK, OTHER]}, "models"),
        ({"models": []}, "models"),
        ({"models": [QUICK]}, "models"),
        ({"models": [QUICK, QUICK]}, "models"),
        ({"models": [QUICK, 7]}, "models"),
        ({"models": QUICK}, "models"),
        ({"models": [QUICK, OTHER, "a/b", "c/d", "e/f"]}, "models"),
    ],
)
def test_a_list_of_models_that_is_none_is_refused(chat: Chat, fields: dict[str, Any], param: str) -> None:
    answer = chat.http.post("/api/chat/stream", json={"content": "hi", **fields})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_value", param)


def test_all_are_admitted_or_none(chat: Chat, live_site: Site) -> None:
    refused = send(chat, "hi", [QUICK, "nobody/nothing"])
    assert (refused.status, refused.error["code"], refused.error["param"]) == (404, "model_not_found", "models")
    poor = Chat(live_site, live_site.new_user("pro"))
    live_site.command("set_quota", poor.user.email, "--model", OTHER, "--tokens", "10", "--reason", "test")
    before = poor.quota()["limits"]
    refused = send(poor, "hi", [QUICK, OTHER])
    assert (refused.status, refused.error["code"]) == (429, "quota_exceeded")
    assert refused.error["details"]["limit"]["scope"] == OTHER
    assert poor.http.get("/api/conversations").json()["results"] == []
    assert poor.quota()["limits"] == before


def test_a_quota_that_covers_the_inputs_is_shared_out_evenly(live_site: Site) -> None:
    chat = Chat(live_site, live_site.new_user("pro"))
    live_site.command("set_quota", chat.user.email, "--model", "*", "--tokens", "400", "--reason", "test")
    turn = send(chat, "Tell me a long story.", [QUICK, OTHER])
    assert turn.status == 200, turn.error
    assert turn.started["quote"]["max_tokens"] < 400
    used = [e.data["usage"]["completion_tokens"] for e in turn.events if e.name == "message.completed"]
    assert len(used) == 2
    assert max(used) - min(used) <= max(used) // 2, "one had nearly all of it"
    assert chat.used <= 400


def test_every_answer_counts_as_one_that_runs(live_site: Site) -> None:
    chat = Chat(live_site, live_site.new_user("pro"))
    live_site.command("set_rates", chat.user.email, "--concurrent", "3", "--reason", "test")
    with chat.opened("long", None, models=[SLOW, "sandbox/stall"]) as (_, events):
        turn_id = next(events).data["turn_id"]
        refused = send(chat, "hi", [QUICK, OTHER])
        assert (refused.status, refused.error["code"]) == (429, "too_many_generations")
        assert chat.send("hi").status == 200
        chat.stop(turn_id)
    rates = chat.send("hi").headers
    assert int(rates["x-ratelimit-limit-requests"]) - int(rates["x-ratelimit-remaining-requests"]) == 3
