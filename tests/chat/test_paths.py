"""The path from the first message of a tree to a leaf, in one statement."""

from __future__ import annotations

from uuid import UUID

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from chat.conversations import active_path
from chat.models import Message
from chat.tree import paths, texts
from oneai.kit import clock
from tests.chat.people import conversation, message, thread

pytestmark = pytest.mark.django_db


def test_a_path_leads_from_the_first_message_to_the_leaf(alice: User) -> None:
    talk = conversation(alice)
    first = message(talk, "question")
    answer = message(talk, "answer", first, role="assistant", status="stopped")
    message(talk, "another branch", first, role="assistant")
    steps = paths({answer.pk: 1000}, 10)[answer.pk]
    assert [(step.id, step.role, step.size) for step in steps] == [(first.pk, "user", 8), (answer.pk, "assistant", 6)]
    assert texts(step.id for step in steps) == {first.pk: "question", answer.pk: "answer"}


def test_sizes_are_bytes_and_stop_where_the_measure_is_full(alice: User) -> None:
    talk = conversation(alice)
    oldest = message(talk, "x" * 900)
    middle = message(talk, "नमस्ते 👋", oldest, role="assistant")
    newest = message(talk, "", middle)
    sizes = {most: [step.size for step in paths({newest.pk: most}, 10)[newest.pk]] for most in (0, 1, 23, 24)}
    whole = len("नमस्ते 👋".encode())
    assert whole == 23
    assert sizes == {0: [-1, -1, 0], 1: [-1, 23, 0], 23: [-1, 23, 0], 24: [900, 23, 0]}


def test_many_leaves_cost_one_statement(
    alice: User, bob: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ours, theirs = thread(conversation(alice), 30), thread(conversation(bob), 3)
    with django_assert_num_queries(1):
        found = paths({ours[-1].pk: 10**6, theirs[-1].pk: 10**6, ours[9].pk: 10**6}, 100)
    assert [step.id for step in found[ours[-1].pk]] == [row.pk for row in ours]
    assert [step.id for step in found[ours[9].pk]] == [row.pk for row in ours[:10]]
    assert len(found[theirs[-1].pk]) == 3


def test_only_the_newest_of_a_long_path_are_read(alice: User) -> None:
    made = thread(conversation(alice), 20)
    assert [step.id for step in paths({made[-1].pk: 10**6}, 5)[made[-1].pk]] == [row.pk for row in made[-5:]]
    assert active_path(made[0].conversation_id, made[-1].pk, 5) == [row.pk for row in made[-5:]]


def test_unknown_leaves_are_left_out(alice: User) -> None:
    unknown = clock.uuid7()
    assert paths({unknown: 10}, 5) == {}
    assert paths({}, 5) == {}
    assert active_path(conversation(alice).pk, unknown) == []
    assert active_path(conversation(alice).pk, None) == []


def test_a_path_never_leaves_its_conversation(alice: User, bob: User) -> None:
    secret = message(conversation(bob), "secret")
    own = message(conversation(alice), "mine", secret)
    assert [step.id for step in paths({own.pk: 1000}, 10)[own.pk]] == [own.pk]
    assert active_path(own.conversation_id, secret.pk) == []


def test_a_circle_in_the_data_ends(alice: User) -> None:
    made = thread(conversation(alice), 3)
    Message.objects.filter(pk=made[0].pk).update(parent_message=made[-1])
    assert len(paths({made[-1].pk: 10**6}, 50)[made[-1].pk]) == 50


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
