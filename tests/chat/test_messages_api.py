"""Messages and history over the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from chat.models import Message
from tests.chat.people import Api, conversation, message, thread

pytestmark = pytest.mark.django_db

SHAPE = {
    "id", "role", "content", "status", "model", "parent_message_id", "finish_reason", "tokens_used", "usage",
    "attachments", "created_at",
}  # fmt: skip


def contents(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["content"] for row in response.json()["results"]]


def refused(response: Any) -> tuple[int, str, str | None]:
    body = response.json()["error"]
    return response.status_code, body["code"], body["param"]


def test_messages_have_exactly_the_contract_s_shape(as_alice: Api, alice: User) -> None:
    talk = conversation(alice)
    first = message(talk, "  q\n")
    usage = {
        "prompt_tokens": 5, "completion_tokens": 7, "reasoning_tokens": 0, "cached_tokens": 0, "total_tokens": 12,
        "cost_usd": "0.0001", "estimated": False,
    }  # fmt: skip
    answer = message(
        talk, "a", first, role="assistant", model_id="a/b", finish_reason="stop", tokens_used=12, usage=usage,
        reasoning="private", metadata={"private": True},
    )  # fmt: skip
    rows = as_alice.get(f"/api/conversations/{talk.pk}/messages").json()["results"]
    assert [set(row) for row in rows] == [SHAPE, SHAPE]
    assert rows[0] | {"content": "  q\n", "model": None, "finish_reason": None, "usage": None} == rows[0]
    assert rows[1] | {"id": str(answer.pk), "model": "a/b", "usage": usage, "tokens_used": 12} == rows[1]
    assert rows[1]["parent_message_id"] == str(first.pk)
    assert rows[1]["attachments"] == []


def test_the_branch_that_is_shown_comes_oldest_first_and_the_tree_whole(as_alice: Api, alice: User) -> None:
    talk = conversation(alice)
    first = message(talk, "q")
    left = message(talk, "left", first, role="assistant", model_id="m/left")
    message(talk, "right", first, role="assistant", model_id="m/right")
    path = f"/api/conversations/{talk.pk}/messages"
    assert contents(as_alice.get(path)) == ["q", "right"]
    assert contents(as_alice.get(path, tree=1)) == ["q", "left", "right"]
    as_alice.patch(f"/api/conversations/{talk.pk}", {"active_message_id": str(left.pk)})
    assert contents(as_alice.get(path)) == ["q", "left"]
    assert contents(as_alice.get(path, role="user")) == ["q"]
    assert contents(as_alice.get(path, model="m/right")) == []
    assert contents(as_alice.get(path, tree=1, model="m/right")) == ["right"]
    assert contents(as_alice.get(path, tree=1, role="assistant", q="LEF")) == ["left"]
    assert refused(as_alice.get(path, role="system")) == (400, "invalid_value", "role")


def test_a_conversation_without_messages_has_an_empty_list(as_alice: Api, alice: User) -> None:
    body = as_alice.get(f"/api/conversations/{conversation(alice).pk}/messages").json()
    assert body == {"results": [], "next": None, "previous": None}


@pytest.mark.parametrize("tree", ["0", "1"])
def test_pages_of_messages_hold_each_once_in_order(as_alice: Api, alice: User, tree: str) -> None:
    made = thread(conversation(alice), 23)
    seen: list[str] = []
    url = f"/api/conversations/{made[0].conversation_id}/messages?limit=5&tree={tree}"
    while url:
        page = as_alice.get(url).json()
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
        if page["previous"]:
            assert as_alice.get(page["previous"]).status_code == 200
    assert seen == [str(row.pk) for row in made]


@pytest.mark.parametrize("tree", ["0", "1"])
def test_two_hundred_messages_cost_no_more_queries_than_two(
    as_alice: Api, alice: User, django_assert_num_queries: DjangoAssertNumQueries, tree: str
) -> None:
    few, many = thread(conversation(alice), 2), thread(conversation(alice), 200)
    as_alice.get("/api/conversations")  # a key's first use is written down
    for made in (few, many):
        with django_assert_num_queries(3 if tree == "1" else 4):
            as_alice.get(f"/api/conversations/{made[0].conversation_id}/messages", limit=100, tree=tree)


class TestHistory:
    def test_everything_that_was_said_comes_newest_first(self, as_alice: Api, alice: User, bob: User) -> None:
        one, two = conversation(alice), conversation(alice)
        message(one, "first")
        message(two, "second", role="assistant", model_id="a/b")
        message(one, "third %")
        message(conversation(bob), "theirs")
        message(conversation(alice, temporary=True), "not kept")
        assert contents(as_alice.get("/api/chat/history")) == ["third %", "second", "first"]
        assert contents(as_alice.get("/api/chat/history", model="a/b")) == ["second"]
        assert contents(as_alice.get("/api/chat/history", q="%")) == ["third %"]
        assert contents(as_alice.get("/api/chat/history", conversation=str(one.pk))) == ["third %", "first"]
        assert set(as_alice.get("/api/chat/history").json()["results"][0]) == SHAPE

    def test_a_span_of_time_holds_both_its_ends(self, as_alice: Api, alice: User) -> None:
        talk = conversation(alice)
        for day in (1, 2, 3):
            message(talk, f"day {day}", created_at=datetime(2026, 3, day, 23, 59, 59, 999999, tzinfo=UTC))
        get = as_alice.get
        assert contents(get("/api/chat/history", **{"from": "2026-03-02"})) == ["day 3", "day 2"]
        assert contents(get("/api/chat/history", to="2026-03-02")) == ["day 2", "day 1"]
        assert contents(get("/api/chat/history", **{"from": "2026-03-02", "to": "2026-03-02"})) == ["day 2"]
        assert contents(get("/api/chat/history", to="2026-03-02T12:00:00Z")) == ["day 1"]
        assert contents(get("/api/chat/history", **{"from": "2026-03-03T05:00:00+05:30"})) == ["day 3", "day 2"]

    @pytest.mark.parametrize("name", ["from", "to"])
    @pytest.mark.parametrize("value", ["yesterday", "2026-13-01", "2026-02-30", "0001-01-01T00:00:00+14:00", "9" * 100])
    def test_a_moment_that_is_none_is_refused(self, as_alice: Api, name: str, value: str) -> None:
        assert refused(as_alice.get("/api/chat/history", **{name: value})) == (400, "invalid_value", name)

    def test_its_cost_does_not_grow(
        self, as_alice: Api, alice: User, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        thread(conversation(alice), 200)
        as_alice.get("/api/conversations")
        with django_assert_num_queries(2):
            assert len(contents(as_alice.get("/api/chat/history", limit=100))) == 100

    def test_pages_hold_each_once(self, as_alice: Api, alice: User) -> None:
        made = thread(conversation(alice), 12)
        Message.objects.update(created_at=made[0].created_at)  # no order by time is left
        seen: list[str] = []
        url = "/api/chat/history?limit=5"
        while url:
            page = as_alice.get(url).json()
            seen += [row["id"] for row in page["results"]]
            url = page["next"]
        assert seen == [str(row.pk) for row in reversed(made)]
