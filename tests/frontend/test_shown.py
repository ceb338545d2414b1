"""Versions and columns as the server draws them, and the form that chooses among them."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from chat.models import Conversation, Generation, Message, Turn
from oneai.kit.clock import uuid7
from tests.chat.people import conversation, message

pytestmark = pytest.mark.django_db
MOST_QUERIES = 10


def browser(user: User, **settings: bool) -> Client:
    client = Client(raise_request_exception=False, **settings)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def reader() -> User:
    return User.objects.create_user("reader@example.com", "a long enough password")


@pytest.fixture
def talk(reader: User) -> Conversation:
    return conversation(reader, "A talk", model="maker/one")


def compared(talk: Conversation, count: int) -> list[Message]:
    """A question of ``talk`` with ``count`` answers of one turn; the first is the one that is shown."""
    question = message(talk, "Which?", talk.active_message_id and Message.objects.get(pk=talk.active_message_id))
    turn = Turn.objects.create(user_id=talk.user_id, conversation=talk, user_message_id=question.pk, door="api")
    answers = []
    for position in range(count):
        generation = Generation.objects.create(
            turn=turn, user_id=talk.user_id, position=position, model_id=f"maker/{position}", hold_id=uuid7()
        )
        answers.append(
            message(
                talk,
                f"answer {position}",
                question,
                role="assistant",
                model_id=f"maker/{position}",
                generation_id=generation.pk,
            )
        )
    talk.active_message_id = answers[0].pk
    talk.save()
    return answers


def page(client: Client, talk: Conversation) -> str:
    return client.get(f"/c/{talk.pk}").content.decode()


def active(talk: Conversation) -> UUID | None:
    return Conversation.objects.get(pk=talk.pk).active_message_id


def test_a_message_says_its_place_among_its_versions_and_its_neighbours(reader: User, talk: Conversation) -> None:
    question = message(talk, "What?")
    first, second, third = (message(talk, f"answer {n}", question, role="assistant") for n in range(3))
    client = browser(reader)
    client.post(f"/c/{talk.pk}/show", {"message": str(second.pk)})
    shown = page(client, talk)
    assert "answer 1" in shown
    assert "2/3" in shown
    assert f'value="{first.pk}" aria-label="Previous version"' in shown
    assert f'value="{third.pk}" aria-label="Next version"' in shown
    assert shown.count('class="switch"') == 1


def test_a_branch_is_shown_down_to_its_newest_end(reader: User, talk: Conversation) -> None:
    old = message(talk, "First words")
    below = message(talk, "an answer", old, role="assistant")
    message(talk, "Other words")
    response = browser(reader).post(f"/c/{talk.pk}/show", {"message": str(old.pk)})
    assert response.status_code == 302
    assert response.headers["Location"] == f"/c/{talk.pk}#m-{old.pk}"
    assert active(talk) == below.pk


def test_answers_of_one_turn_stand_side_by_side_until_one_is_kept(reader: User, talk: Conversation) -> None:
    answers = compared(talk, 3)
    client = browser(reader)
    shown = page(client, talk)
    assert shown.count('<article class="msg msg--answer"') == 3
    assert shown.count("data-keep") == 3
    kept = client.post(f"/c/{talk.pk}/show?part=thread", {"keep": str(answers[2].pk)}).content.decode()
    for html in (kept, page(client, talk)):
        assert html.count('<article class="msg msg--answer"') == 1
        assert "answer 2" in html
        assert "3/3" in html
        assert "data-keep" not in html
    assert active(talk) == answers[2].pk
    assert Conversation.objects.get(pk=talk.pk).model == "maker/2"
    client.post(f"/c/{talk.pk}/show", {"message": str(answers[0].pk)})
    assert "data-keep" not in page(client, talk)


def test_a_comparison_that_was_written_past_is_closed(reader: User, talk: Conversation) -> None:
    answers = compared(talk, 2)
    message(talk, "And on", answers[0])
    assert "data-keep" not in page(browser(reader), talk)


def test_answers_of_several_turns_are_versions_and_no_comparison(reader: User, talk: Conversation) -> None:
    answers = compared(talk, 1)
    generation = Generation.objects.get(pk=answers[0].generation_id)
    turn = Turn.objects.create(user=reader, conversation=talk, door="api")
    again = Generation.objects.create(turn=turn, user=reader, model_id="maker/0", hold_id=uuid7())
    question = Message.objects.get(pk=answers[0].parent_message_id)
    message(talk, "again", question, role="assistant", generation_id=again.pk)
    shown = page(browser(reader), talk)
    assert generation.turn_id != turn.pk
    assert shown.count('<article class="msg msg--answer"') == 1
    assert "2/2" in shown


@pytest.mark.parametrize("versions", [2, 4])
def test_queries_do_not_grow_with_versions(reader: User, talk: Conversation, versions: int) -> None:
    for _ in range(20):
        compared(talk, versions)
    client = browser(reader)
    page(client, talk)
    with CaptureQueriesContext(connection) as queries:
        page(client, talk)
    assert len(queries) <= MOST_QUERIES


def test_only_the_owner_switches_and_only_by_a_form_of_the_site(reader: User, talk: Conversation) -> None:
    answers = compared(talk, 2)
    path, form = f"/c/{talk.pk}/show", {"message": str(answers[1].pk)}
    stranger = browser(User.objects.create_user("stranger@example.com", "a long enough password"))
    elsewhere = message(conversation(reader, "Another"), "Not here")
    assert stranger.post(path, form).status_code == 404
    assert browser(reader).post(path, {"message": str(elsewhere.pk)}).status_code == 404
    assert browser(reader).post(path, {"message": "nothing"}).status_code == 404
    assert browser(reader).get(path).status_code == 405
    assert browser(reader, enforce_csrf_checks=True).post(path, form).status_code == 403
    assert Client().post(path, form).status_code == 302
    assert active(talk) == answers[0].pk


@pytest.mark.parametrize(
    ("columns", "says", "continues"),
    [
        ({"status": "stopped"}, "You stopped this answer.", True),
        ({"status": "interrupted"}, "What had arrived is kept.", True),
        ({"finish_reason": "length"}, "limit of tokens", True),
        ({"finish_reason": "quota"}, "Your quota ended here", True),
        ({"finish_reason": "stop"}, "", False),
        ({"status": "failed", "content": ""}, "No answer came.", False),
    ],
)
def test_an_answer_that_was_cut_says_why_and_offers_to_go_on(
    reader: User, talk: Conversation, columns: dict[str, str], says: str, continues: bool
) -> None:
    question = message(talk, "Go on?")
    message(talk, columns.pop("content", "half an ans"), question, role="assistant", **columns)
    shown = page(browser(reader), talk)
    assert says in shown
    assert ('data-act="continue"' in shown) is continues
    assert ('href="/pricing"' in shown) is (says == "Your quota ended here")


def test_a_model_that_took_over_is_told_with_the_reason(reader: User, talk: Conversation) -> None:
    question = message(talk, "Who?")
    given_way = {"instead_of": "maker/first", "because": "upstream_overloaded"}
    message(talk, "me", question, role="assistant", model_id="maker/second", metadata=given_way)
    shown = page(browser(reader), talk)
    assert '<span data-model="maker/first">maker/first</span> could not answer: it is overloaded.' in shown
