"""Full-text search over the API: found in every script, whatever the query holds, and no trace of what is deleted."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from accounts.models import User
from chat import search
from chat.models import Message, SearchEntry
from oneai.kit import clock
from tests.chat.people import Api, conversation, message

pytestmark = pytest.mark.django_db


def found(api: Api, q: str) -> list[str]:
    response = api.get("/api/conversations", q=q)
    assert response.status_code == 200, response.content
    return [row["title"] for row in response.json()["results"]]


def history(api: Api, q: str, **more: str) -> list[dict[str, Any]]:
    response = api.get("/api/chat/history", q=q, **more)
    assert response.status_code == 200, response.content
    rows: list[dict[str, Any]] = response.json()["results"]
    return rows


def matches(parts: list[dict[str, Any]]) -> list[str]:
    return [part["text"] for part in parts if part["match"]]


@pytest.mark.parametrize(
    ("said", "q"),
    [
        ("Die Größe der Häuser", "GROSSE haus"),
        ("मुझे हिन्दी में बताओ", "हिन्दी"),
        ("मुझे ज़मीन चाहिए", "जमीन मुझे"),
        ("東京タワーに行きたい", "京タ"),
        ("use os.path.join() here", "path.join"),
        ("it's 3.14", "3.1"),
    ],
)
def test_words_are_found_by_their_beginnings_in_any_order(as_alice: Api, alice: User, said: str, q: str) -> None:
    message(conversation(alice, "this one"), said)
    message(conversation(alice, "another"), "nothing of the kind")
    assert found(as_alice, q) == ["this one"]
    (row,) = history(as_alice, q)
    assert row["content"] == said
    assert matches(row["highlights"])


def test_all_the_words_must_be_in_one_message(as_alice: Api, alice: User) -> None:
    talk = conversation(alice, "talk")
    message(talk, "only apples", message(talk, "only pears"))
    assert found(as_alice, "apples pears") == []
    assert found(as_alice, "apples only") == ["talk"]


def test_a_match_says_where_it_is(as_alice: Api, alice: User) -> None:
    talk = conversation(alice, "Hash maps explained")
    message(talk, "an older hash")
    newest = message(talk, "about <b>hash</b> functions")
    (row,) = as_alice.get("/api/conversations", q="hash").json()["results"]
    title, said = row["highlights"]
    assert (title["field"], title["message_id"], matches(title["parts"])) == ("title", None, ["Hash"])
    assert (said["field"], said["message_id"], matches(said["parts"])) == ("content", str(newest.pk), ["hash"])
    assert "".join(part["text"] for part in said["parts"]) == "about <b>hash</b> functions"


@pytest.mark.parametrize(
    "q",
    [
        '"', "'", "a' OR '1'='1", "NEAR(a b)", "words : a", "owner:x", "a:*", "* ", "^a", "-a", "a AND NOT b", "(",
        "a & !b", "a <-> b", "\\", "'; DROP TABLE chat_messages; --", "{a}", "a'':*", "%", "_", "\u200d",
        "💥", "o:0", "a\nb",
    ],
)  # fmt: skip
def test_no_sign_in_a_query_is_syntax(as_alice: Api, as_bob: Api, alice: User, q: str) -> None:
    message(conversation(alice, "mine"), "a b near words owner x or drop table")
    assert found(as_alice, q) in ([], ["mine"])
    assert history(as_bob, q) == found(as_bob, q) == []
    assert Message.objects.count() == 1


def test_nobody_finds_what_another_said(as_bob: Api, alice: User, bob: User) -> None:
    message(conversation(alice, "hers"), "a secret word")
    message(conversation(bob, "his"), f"o:{alice.pk.hex} {alice.pk.hex} and a word")
    assert found(as_bob, "secret") == []
    assert found(as_bob, "word") == ["his"]


def test_what_is_deleted_leaves_the_index_and_comes_back_with_its_conversation(as_alice: Api, alice: User) -> None:
    talk = conversation(alice, "talk")
    first = message(talk, "apples")
    message(talk, "pears", first)
    assert found(as_alice, "apples") == ["talk"]
    path = f"/api/conversations/{talk.pk}"
    as_alice.delete(path)
    assert SearchEntry.objects.count() == words_kept() == 0
    assert found(as_alice, "apples") == []
    as_alice.post(f"{path}/restore")
    assert found(as_alice, "pears") == ["talk"]
    as_alice.delete(f"/api/messages/{first.pk}")  # and what is below it
    assert SearchEntry.objects.count() == words_kept() == 0
    assert found(as_alice, "apples") == []


def words_kept() -> int:
    """How many messages have words in the index itself."""
    table = "message_words" if connection.vendor == "sqlite" else "search_entries WHERE words IS NOT NULL"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608
        return int(cursor.fetchone()[0])


def test_an_answer_is_found_once_it_has_ended_and_as_it_ended(as_alice: Api, alice: User) -> None:
    talk = conversation(alice, "talk")
    answer = message(talk, "half", role="assistant", status="streaming")
    assert found(as_alice, "half") == []
    Message.objects.filter(pk=answer.pk).update(content="half an answer", status="interrupted")
    assert found(as_alice, "half") == ["talk"]
    # Its producer is heard again, and writes the rest.
    Message.objects.filter(pk=answer.pk).update(status="streaming")
    Message.objects.filter(pk=answer.pk).update(content="half an answer made whole", status="complete")
    assert found(as_alice, "whole") == ["talk"]


def test_a_temporary_conversation_is_not_indexed(as_alice: Api, alice: User) -> None:
    message(conversation(alice, "gone", temporary=True), "unsaid")
    assert search.index_waiting() == 1
    assert SearchEntry.objects.count() == words_kept() == 0


def test_the_worker_takes_what_waits_of_everybody(alice: User, bob: User) -> None:
    for number in range(60):
        message(conversation(alice if number % 2 else bob), f"word{number}")
    assert search.index_waiting() == 60
    assert search.index_waiting() == 0
    assert words_kept() == 60


def test_history_narrows_a_search_by_its_other_filters(as_alice: Api, alice: User) -> None:
    one, other = conversation(alice), conversation(alice)
    message(one, "apples", model_id="a/b", role="assistant")
    message(other, "apples")
    assert len(history(as_alice, "apple")) == 2
    assert len(history(as_alice, "apple", model="a/b")) == 1
    assert len(history(as_alice, "apple", conversation=str(other.pk))) == 1
    tomorrow = clock.utc_text(clock.now())[:4]
    assert history(as_alice, "apple", **{"from": f"{int(tomorrow) + 1}-01-01"}) == []
