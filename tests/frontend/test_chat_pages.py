"""The chat's pages as the server makes them: whose they are, what they hold, how many queries they cost (S8)."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from chat.markdown import RENDER_VERSION
from chat.models import Conversation, Message
from oneai.kit.clock import now

pytestmark = pytest.mark.django_db
MOST_QUERIES = 8


@pytest.fixture
def reader() -> User:
    return User.objects.create_user("reader@example.com", "a long enough password")


@pytest.fixture
def browser_of(reader: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(reader, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def conversation_of(user: User, turns: int, *, text: str = "**bold** answer") -> Conversation:
    """A conversation of `turns` questions and answers, one after the other."""
    conversation = Conversation.objects.create(user=user, title="A talk", model="maker/model", last_message_at=now())
    parent: Message | None = None
    rows: list[Message] = []
    for number in range(turns):
        for role in ("user", "assistant"):
            parent = Message(
                conversation=conversation,
                user=user,
                role=role,
                content=f"question {number} <b>" if role == "user" else text,
                parent_message=parent,
                model_id="maker/model" if role == "assistant" else "",
            )
            rows.append(parent)
    Message.objects.bulk_create(rows)
    conversation.active_message_id = rows[-1].pk
    conversation.save()
    return conversation


def many_conversations(user: User, count: int) -> None:
    Conversation.objects.bulk_create(
        Conversation(user=user, title=f"Talk {number}", last_message_at=now() - timedelta(hours=number))
        for number in range(count)
    )


@pytest.mark.parametrize(("turns", "conversations"), [(1, 1), (100, 1000)])
def test_queries_do_not_grow_with_messages_and_conversations(
    reader: User, browser_of: Client, turns: int, conversations: int
) -> None:
    """S8, on the first look (when answers are rendered and kept) and on later ones."""
    many_conversations(reader, conversations)
    path = f"/c/{conversation_of(reader, turns).pk}"
    browser_of.get("/usage")  # the first request of a session writes down where it is signed in
    for _ in range(2):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            response = browser_of.get(path)
        assert response.status_code == 200
        assert response.content.count(b'<article class="msg') == 2 * turns
        assert len(queries) <= MOST_QUERIES


def test_answers_are_rendered_once_and_again_when_rendering_changes(
    reader: User, browser_of: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = conversation_of(reader, 1)
    assert b"<strong>bold</strong> answer" in browser_of.get(f"/c/{conversation.pk}").content
    answer = Message.objects.get(conversation=conversation, role="assistant")
    assert answer.html_version == RENDER_VERSION
    assert answer.content_html == "<p><strong>bold</strong> answer</p>\n"
    Message.objects.filter(pk=answer.pk).update(content_html="<p>kept</p>")
    assert b"<p>kept</p>" in browser_of.get(f"/c/{conversation.pk}").content
    Message.objects.filter(pk=answer.pk).update(html_version=RENDER_VERSION - 1)
    assert b"<strong>bold</strong>" in browser_of.get(f"/c/{conversation.pk}").content


def test_an_answer_that_is_still_written_is_shown_and_not_kept(reader: User, browser_of: Client) -> None:
    conversation = conversation_of(reader, 1)
    Message.objects.filter(conversation=conversation, role="assistant").update(status="streaming")
    page = browser_of.get(f"/c/{conversation.pk}").content
    assert b'data-status="streaming"' in page
    assert b"<strong>bold</strong>" in page
    assert Message.objects.get(conversation=conversation, role="assistant").content_html == ""


def test_a_persons_words_are_text(reader: User, browser_of: Client) -> None:
    assert b"question 0 &lt;b&gt;" in browser_of.get(f"/c/{conversation_of(reader, 1).pk}").content


def test_a_long_conversation_opens_at_its_end_and_earlier_pages_are_linked(reader: User, browser_of: Client) -> None:
    conversation = conversation_of(reader, 150)
    page = browser_of.get(f"/c/{conversation.pk}").content.decode()
    assert "question 149 " in page
    assert "question 49 " not in page
    first = page.split('href="?before=')[1].split('"')[0]
    earlier = browser_of.get(f"/c/{conversation.pk}?before={first}").content.decode()
    assert "question 49 " in earlier
    assert "question 50 " not in earlier


@pytest.mark.parametrize("path", ["/c/{}", "/c/{}/messages/{}"])
def test_anothers_conversation_is_as_unknown_as_one_that_never_was(
    browser_of: Client, path: str, django_user_model: type[User]
) -> None:
    stranger = django_user_model.objects.create_user("stranger@example.com", "a long enough password")
    theirs = conversation_of(stranger, 1)
    message = Message.objects.filter(conversation=theirs).first()
    assert message is not None
    assert browser_of.get(path.format(theirs.pk, message.pk)).status_code == 404
    assert browser_of.get(path.format(uuid4(), uuid4())).status_code == 404


def test_a_message_is_found_only_through_its_own_conversation(reader: User, browser_of: Client) -> None:
    one, other = conversation_of(reader, 1), conversation_of(reader, 1)
    message = Message.objects.filter(conversation=one, role="assistant").get()
    assert browser_of.get(f"/c/{one.pk}/messages/{message.pk}").status_code == 200
    assert browser_of.get(f"/c/{other.pk}/messages/{message.pk}").status_code == 404


def test_a_visitor_is_sent_to_sign_in_and_back() -> None:
    response = Client().get("/c")
    assert response.status_code == 302
    assert response.headers["Location"] == "/login?next=/c"


def test_the_list_is_filtered_by_title_without_wildcards(reader: User, browser_of: Client) -> None:
    Conversation.objects.create(user=reader, title="100% wool")
    Conversation.objects.create(user=reader, title="100 sheep")
    page = browser_of.get("/c", {"q": "100%"}).content.decode()
    assert "100% wool" in page
    assert "100 sheep" not in page
