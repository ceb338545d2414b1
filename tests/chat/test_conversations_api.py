"""Conversations over the API: what goes in comes out, what is wrong is named, what is another's is not there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils.dateparse import parse_datetime
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from chat.models import Conversation
from oneai.kit import clock
from tests.chat.people import Api, conversation, message, thread
from tests.chat.upstream_catalogue import UpstreamCatalogue

pytestmark = pytest.mark.django_db

SHAPE = {
    "id", "title", "model", "system", "folder", "tags", "pinned", "archived", "message_count", "active_message_id",
    "created_at", "last_message_at", "metadata",
}  # fmt: skip


def error(response: Any) -> tuple[int, str, str | None]:
    body = response.json()["error"]
    return response.status_code, body["code"], body["param"]


def test_a_new_conversation_is_empty_and_exactly_the_contract_s_shape(as_alice: Api, alice: User) -> None:
    response = as_alice.post("/api/conversations", {})
    made = response.json()
    assert response.status_code == 201
    assert set(made) == SHAPE
    assert (made["title"], made["model"], made["system"], made["folder"]) == ("", None, None, None)
    assert (made["tags"], made["metadata"], made["message_count"]) == ([], {}, 0)
    assert (made["active_message_id"], made["last_message_at"]) == (None, None)
    assert parse_datetime(made["created_at"]) is not None and made["created_at"].endswith("Z")
    assert Conversation.objects.get(pk=made["id"]).user == alice


def test_everything_that_may_be_given_is_kept(as_alice: Api, models: UpstreamCatalogue) -> None:
    given = {
        "title": "Häuser 🏠",
        "model": "cheap/small",
        "system": " Be brief.\n",
        "metadata": {"a": [1, {"b": None}]},
    }
    made = as_alice.post("/api/conversations", given).json()
    assert made | given == made
    assert as_alice.get(f"/api/conversations/{made['id']}").json() == made


def test_null_counts_as_left_out(as_alice: Api) -> None:
    given = {"title": None, "model": None, "system": None, "metadata": None}
    assert as_alice.post("/api/conversations", given).status_code == 201


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"titel": "x"}, (400, "unknown_field", "titel")),
        ({"user_id": "x"}, (400, "unknown_field", "user_id")),
        ({"message_count": 5}, (400, "unknown_field", "message_count")),
        ({"deleted_at": None}, (400, "unknown_field", "deleted_at")),
        ({"title": 5}, (400, "invalid_value", "title")),
        ({"title": ""}, (400, "invalid_value", "title")),
        ({"title": ["x"]}, (400, "invalid_value", "title")),
        ({"title": "x" * 201}, (400, "invalid_value", "title")),
        ({"title": "a\u0000b"}, (400, "invalid_value", "title")),
        ({"system": {"a": 1}}, (400, "invalid_value", "system")),
        ({"system": "x" * 32_001}, (400, "invalid_value", "system")),
        ({"model": "nobody/nothing"}, (404, "model_not_found", "model")),
        ({"metadata": []}, (400, "invalid_value", "metadata")),
        ({"metadata": {"a": "x" * 17_000}}, (400, "invalid_value", "metadata")),
        ({"metadata": {"a": "\u0000"}}, (400, "invalid_value", "metadata")),
        ([], (400, "invalid_request", None)),
        ("text", (400, "invalid_request", None)),
        (b"{", (400, "invalid_json", None)),
        (b" ", (400, "invalid_json", None)),
        (b'{"title": "\\ud800"}', (400, "invalid_json", None)),
        (b"\xff", (400, "invalid_json", None)),
    ],
)
def test_a_body_that_is_wrong_is_refused_with_the_field_s_name(
    as_alice: Api, models: UpstreamCatalogue, body: Any, expected: Any
) -> None:
    assert error(as_alice.post("/api/conversations", body)) == expected
    assert not Conversation.objects.exists()


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"title": " New "}, {"title": "New"}),
        ({"pinned": True, "archived": True}, {"pinned": True, "archived": True}),
        ({"tags": ["b", "a", "b"]}, {"tags": ["b", "a"]}),
        ({"tags": []}, {"tags": []}),
        ({"metadata": {"k": 1}}, {"metadata": {"k": 1}}),
        ({"system": ""}, {"system": None}),
        ({"model": ""}, {"model": None}),
        ({"pinned": None}, {"pinned": False}),
        ({}, {}),
    ],
)
def test_a_change_changes_what_is_given_and_nothing_else(as_alice: Api, alice: User, body: Any, shown: Any) -> None:
    talk = conversation(alice, "Old", model="a/b", system="s", tags=["t"])
    before = as_alice.get(f"/api/conversations/{talk.pk}").json()
    response = as_alice.patch(f"/api/conversations/{talk.pk}", body)
    assert response.status_code == 200
    assert response.json() == before | shown
    assert as_alice.get(f"/api/conversations/{talk.pk}").json() == before | shown


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"pinned": "true"}, (400, "invalid_value", "pinned")),
        ({"archived": 1}, (400, "invalid_value", "archived")),
        ({"tags": "x"}, (400, "invalid_value", "tags")),
        ({"tags": [1]}, (400, "invalid_value", "tags.0")),
        ({"tags": [""]}, (400, "invalid_value", "tags.0")),
        ({"tags": [str(n) for n in range(21)]}, (400, "invalid_value", "tags")),
        ({"id": "x"}, (400, "unknown_field", "id")),
        ({"last_message_at": "2020-01-01"}, (400, "unknown_field", "last_message_at")),
        ({"active_message_id": 5}, (400, "invalid_value", "active_message_id")),
        ({"active_message_id": "nonsense"}, (404, "not_found", "active_message_id")),
    ],
)
def test_a_change_that_is_wrong_changes_nothing(as_alice: Api, alice: User, body: Any, expected: Any) -> None:
    talk = conversation(alice, "Old")
    assert error(as_alice.patch(f"/api/conversations/{talk.pk}", {"title": "New"} | body)) == expected
    talk.refresh_from_db()
    assert talk.title == "Old"


def test_a_branch_is_chosen_by_a_message_of_this_conversation_alone(as_alice: Api, alice: User) -> None:
    talk, other = conversation(alice), conversation(alice)
    first = message(talk, "q")
    answer = message(talk, "a", first, role="assistant")
    message(talk, "another question")
    foreign = message(other, "elsewhere")
    path = f"/api/conversations/{talk.pk}"
    assert as_alice.patch(path, {"active_message_id": str(first.pk)}).json()["active_message_id"] == str(answer.pk)
    assert error(as_alice.patch(path, {"active_message_id": str(foreign.pk)}))[0] == 404


def test_renaming_needs_a_title(as_alice: Api, alice: User) -> None:
    path = f"/api/conversations/{conversation(alice).pk}/title"
    assert as_alice.patch(path, {"title": "Named"}).json()["title"] == "Named"
    assert error(as_alice.patch(path, {})) == (400, "missing_required_parameter", "title")
    assert error(as_alice.patch(path, {"title": "x", "model": "y"})) == (400, "unknown_field", "model")
    assert Conversation.objects.get().title_source == "user"


def test_a_deleted_conversation_is_gone_until_it_is_restored(as_alice: Api, alice: User) -> None:
    talk = conversation(alice, "Mine")
    message(talk, "hello")
    path = f"/api/conversations/{talk.pk}"
    before = as_alice.get(path).json()
    assert as_alice.delete(path).status_code == 204
    for response in (
        as_alice.get(path),
        as_alice.delete(path),
        as_alice.patch(path, {}),
        as_alice.get(f"{path}/messages"),
    ):
        assert error(response) == (404, "not_found", None)
    assert as_alice.get("/api/conversations").json()["results"] == []
    assert as_alice.get("/api/chat/history").json()["results"] == []
    assert as_alice.post(f"{path}/restore").json() == before
    assert as_alice.get(path).json() == before
    assert as_alice.post(f"{path}/restore").status_code == 200


class TestList:
    def titles(self, api: Api, **parameters: Any) -> list[str]:
        response = api.get("/api/conversations", **parameters)
        assert response.status_code == 200, response.content
        return [row["title"] for row in response.json()["results"]]

    def test_the_last_used_one_comes_first(self, as_alice: Api, alice: User) -> None:
        start = clock.now()
        for number, title in enumerate(["b", "a", "c"]):
            conversation(alice, title, last_message_at=start + timedelta(minutes=number))
        assert self.titles(as_alice) == ["c", "a", "b"]
        assert self.titles(as_alice, sort="last_message_at") == ["b", "a", "c"]
        assert self.titles(as_alice, sort="title") == ["a", "b", "c"]
        assert self.titles(as_alice, sort="-title") == ["c", "b", "a"]
        assert self.titles(as_alice, sort="-created_at") == ["c", "a", "b"]

    def test_filters(self, as_alice: Api, alice: User) -> None:
        conversation(alice, "plain")
        conversation(alice, "pinned", pinned=True, tags=["work"])
        conversation(alice, "archived", archived=True, tags=["work", 'a"b'])
        conversation(alice, "temporary", temporary=True)
        assert set(self.titles(as_alice)) == {"plain", "pinned", "archived"}
        assert self.titles(as_alice, pinned="true") == ["pinned"]
        assert set(self.titles(as_alice, archived="0")) == {"plain", "pinned"}
        assert set(self.titles(as_alice, tag="work")) == {"pinned", "archived"}
        assert self.titles(as_alice, tag='a"b') == ["archived"]
        assert self.titles(as_alice, tag="wor") == []

    def test_search_finds_titles_and_text_literally(self, as_alice: Api, alice: User, bob: User) -> None:
        by_title = conversation(alice, "100% sure_thing")
        by_text = conversation(alice, "other")
        message(by_text, "back\\slash and Größe")
        message(conversation(bob, "100%"), "back\\slash")
        assert self.titles(as_alice, q="100%") == [by_title.title]
        assert self.titles(as_alice, q="SURE_T") == [by_title.title]
        assert self.titles(as_alice, q="sureXthing") == []
        assert self.titles(as_alice, q="back\\sl") == [by_text.title]
        assert self.titles(as_alice, q="Größe") == [by_text.title]
        assert self.titles(as_alice, q="%") == [by_title.title]
        assert self.titles(as_alice, q="nothing") == []

    @pytest.mark.parametrize("sort", ["-last_message_at", "title", "created_at"])
    def test_pages_hold_everything_once_in_order(self, as_alice: Api, alice: User, sort: str) -> None:
        at = clock.now()
        for number in range(11):
            conversation(alice, f"t{number % 3}", last_message_at=at - timedelta(seconds=number // 4))
        seen, url = [], f"/api/conversations?limit=3&sort={sort}"
        pages: list[Any] = []
        while url:
            page = as_alice.get(url).json()
            seen += [row["id"] for row in page["results"]]
            pages.append(page)
            url = page["next"]
        whole = [row["id"] for row in as_alice.get("/api/conversations", sort=sort).json()["results"]]
        assert seen == whole
        assert len(set(seen)) == 11
        assert pages[0]["previous"] is None
        assert as_alice.get(pages[1]["previous"]).json()["results"] == pages[0]["results"]

    @pytest.mark.parametrize("pinned", ["perhaps", "2"])
    def test_a_flag_that_is_neither_yes_nor_no_is_refused(self, as_alice: Api, pinned: str) -> None:
        assert error(as_alice.get("/api/conversations", pinned=pinned)) == (400, "invalid_value", "pinned")

    def test_a_search_longer_than_200_characters_is_refused(self, as_alice: Api) -> None:
        assert error(as_alice.get("/api/conversations", q="x" * 201)) == (400, "invalid_value", "q")

    def test_a_thousand_conversations_cost_no_more_queries_than_three(
        self, as_alice: Api, alice: User, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for _ in range(3):
            conversation(alice)
        as_alice.get("/api/conversations")  # a key's first use is written down
        with django_assert_num_queries(2):
            as_alice.get("/api/conversations", limit=100)
        Conversation.objects.bulk_create(Conversation(user=alice) for _ in range(997))
        with django_assert_num_queries(2):
            assert len(as_alice.get("/api/conversations", limit=100).json()["results"]) == 100

    def test_no_page_is_longer_than_a_hundred(self, as_alice: Api, alice: User) -> None:
        Conversation.objects.bulk_create(Conversation(user=alice) for _ in range(120))
        assert len(as_alice.get("/api/conversations", limit=5000).json()["results"]) == 100
        assert len(as_alice.get("/api/conversations").json()["results"]) == 25


def test_reading_one_costs_the_same_queries_whatever_its_length(
    as_alice: Api, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    talk = conversation(alice)
    thread(talk, 200)
    as_alice.get("/api/conversations")
    with django_assert_num_queries(2):
        assert as_alice.get(f"/api/conversations/{talk.pk}").json()["message_count"] == 200
