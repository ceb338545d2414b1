"""No list reads a whole table that grows: the databases' own plans say so."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from chat.models import Conversation, Message
from oneai.kit import clock
from tests.chat.people import Api, conversation, person, thread

pytestmark = pytest.mark.django_db

WHOLE = re.compile(r"Seq Scan on (?:chat_messages|conversations)\b|SCAN (?:chat_messages|conversations|m)\b(?! USING)")


@pytest.fixture
def crowd(alice: User) -> Conversation:
    """Forty people with a hundred conversations each, one of Alice's with two hundred messages."""
    people = [person(f"p{number}") for number in range(40)]
    start = clock.now() - timedelta(days=90)
    talks = [
        Conversation(user=owner, title=f"t{number}", last_message_at=start + timedelta(minutes=number), message_count=1)
        for number in range(100)
        for owner in [*people, alice]
    ]
    Conversation.objects.bulk_create(talks)
    Message.objects.bulk_create(
        Message(conversation=talk, user_id=talk.user_id, role="user", content="x", created_at=start) for talk in talks
    )
    talk = conversation(alice)
    thread(talk, 200)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return talk


PATHS = [
    "/api/conversations?limit=100",
    "/api/conversations?archived=0&sort=-last_message_at",
    "/api/conversations?q=t5",
    "/api/conversations/{id}",
    "/api/conversations/{id}/messages",
    "/api/conversations/{id}/messages?q=message",
    "/api/conversations/{id}/messages?tree=1",
    "/api/chat/history",
    "/api/chat/history?from=2026-01-01&q=message",
    "/api/chat/history?conversation={id}",
]


def test_lists_read_by_an_index(crowd: Conversation, as_alice: Api) -> None:
    found = {path: whole_tables(as_alice, path.format(id=crowd.pk)) for path in PATHS}  # the crowd takes seconds
    assert {path: plans for path, plans in found.items() if plans} == {}


def whole_tables(asker: Api, path: str) -> list[str]:
    """The plans of the statements behind an answer that read all of a table; at least one statement was looked at."""
    with CaptureQueriesContext(connection) as captured:
        assert asker.get(path).status_code == 200
    explain = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    looked_at, found = 0, []
    for query in captured.captured_queries:
        if not re.match(r"SELECT|WITH", query["sql"]) or not re.search(r"chat_messages|conversations", query["sql"]):
            continue
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                # As on disks without a head, and hosted ones: by the default a table this small is read whole.
                cursor.execute("SET LOCAL random_page_cost = 1.1")
            cursor.execute(explain + query["sql"])
            plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
        if WHOLE.search(plan):
            found.append(f"{query['sql']}\n{plan}")
        looked_at += 1
    assert looked_at
    return found
