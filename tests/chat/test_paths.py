"""The path from the first message of a tree to a leaf, in one statement."""

from __future__ import annotations

from uuid import UUID

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from chat.conversations import active_path, active_paths
from chat.models import Message
from oneai.kit import clock
from tests.chat.people import conversation, message, thread

pytestmark = pytest.mark.django_db


def test_a_path_leads_from_the_first_message_to_the_leaf(alice: User) -> None:
    talk = conversation(alice)
    first = message(talk, "question")
    answer = message(talk, "answer", first, role="assistant", status="stopped")
    message(talk, "another branch", first, role="assistant")
    steps = active_paths([answer.pk], 10)[answer.pk]
    assert [(step.id, step.role, step.content, step.status) for step in steps] == [
        (first.pk, "user", "question", "complete"),
        (answer.pk, "assistant", "answer", "stopped"),
    ]


def test_many_leaves_cost_one_statement(
    alice: User, bob: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ours, theirs = thread(conversation(alice), 30), thread(conversation(bob), 3)
    with django_assert_num_queries(1):
        found = active_paths([ours[-1].pk, theirs[-1].pk, ours[9].pk, ours[9].pk], 100)
    assert [step.id for step in found[ours[-1].pk]] == [row.pk for row in ours]
    assert [step.id for step in found[ours[9].pk]] == [row.pk for row in ours[:10]]
    assert len(found[theirs[-1].pk]) == 3


def test_only_the_newest_of_a_long_path_are_read(alice: User) -> None:
    made = thread(conversation(alice), 20)
    assert [step.id for step in active_paths([made[-1].pk], 5)[made[-1].pk]] == [row.pk for row in made[-5:]]
    assert active_path(made[0].conversation_id, made[-1].pk, 5) == [row.pk for row in made[-5:]]


def test_unknown_leaves_are_left_out(alice: User) -> None:
    unknown = clock.uuid7()
    assert active_paths([unknown], 5) == {}
    assert active_paths([], 5) == {}
    assert active_path(conversation(alice).pk, unknown) == []
    assert active_path(conversation(alice).pk, None) == []


def test_a_path_never_leaves_its_conversation(alice: User, bob: User) -> None:
    secret = message(conversation(bob), "secret")
    own = message(conversation(alice), "mine", secret)
    assert [step.content for step in active_paths([own.pk], 10)[own.pk]] == ["mine"]
    assert active_path(own.conversation_id, secret.pk) == []


def test_a_circle_in_the_data_ends(alice: User) -> None:
    made = thread(conversation(alice), 3)
    Message.objects.filter(pk=made[0].pk).update(parent_message=made[-1])
    assert len(active_paths([made[-1].pk], 50)[made[-1].pk]) == 50


def test_order_is_the_tree_s_even_when_clocks_disagree(alice: User) -> None:
    made = thread(conversation(alice), 4)
    Message.objects.filter(pk=made[0].pk).update(created_at=clock.add_months(clock.now(), 1))
    assert active_path(made[0].conversation_id, made[-1].pk) == [row.pk for row in made]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"role": "assistant"}, [1, 3]),
        ({"model": "test/model"}, [1, 3]),
        ({"contains": "MESSAGE 2"}, [2]),
        ({"contains": "%"}, []),
        ({"contains": "_"}, []),
        ({"contains": "\\"}, []),
        ({"role": "user", "contains": "message"}, [0, 2]),
    ],
)
def test_filters_leave_messages_out(alice: User, filters: dict[str, str], expected: list[int]) -> None:
    made = thread(conversation(alice), 4)
    ids: list[UUID] = active_path(made[0].conversation_id, made[-1].pk, **filters)  # type: ignore[arg-type]
    assert ids == [made[index].pk for index in expected]
