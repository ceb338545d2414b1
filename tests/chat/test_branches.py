"""The shape of a tree: branches, their newest ends, and what is shown when one goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from chat import branches, tree
from chat.models import Message
from chat.tree import Node, Tree
from tests.chat.people import conversation, message, thread

START = datetime(2026, 5, 1, tzinfo=UTC)
# Each message hangs below an earlier one or, at -1, begins the conversation anew.
SHAPES = st.lists(st.integers(-1, 11), min_size=1, max_size=12).map(
    lambda parents: [min(parent, number - 1) for number, parent in enumerate(parents)]
)


def made(parents: list[int]) -> Tree:
    return Tree(
        Node(UUID(int=number), None if parent < 0 else UUID(int=parent), START + timedelta(seconds=number))
        for number, parent in enumerate(parents)
    )


@given(SHAPES, st.data())
def test_whatever_is_deleted_what_is_shown_is_a_leaf_that_is_left(parents: list[int], data: st.DataObject) -> None:
    shape = made(parents)
    everything = [UUID(int=number) for number in range(len(parents))]
    gone = data.draw(st.sampled_from(everything))
    active = data.draw(st.sampled_from(everything))
    branch = shape.branch(gone)
    left = [one for one in everything if one not in branch]
    leaf = shape.leaf_without(gone, active)
    if active not in branch:
        assert leaf == active
    elif leaf is None:
        assert parents[gone.int] < 0 and shape.siblings(gone) == [gone]
    else:
        assert leaf in left
        below = {parent for number, parent in enumerate(parents) if UUID(int=number) in left}
        assert leaf.int not in below, "not the end of a branch"


@given(SHAPES, st.data())
def test_the_newest_end_is_in_the_branch_and_none_of_its_ends_is_newer(parents: list[int], data: st.DataObject) -> None:
    shape = made(parents)
    named = data.draw(st.sampled_from([UUID(int=number) for number in range(len(parents))]))
    ends = [one for one in shape.branch(named) if one.int not in parents]
    assert shape.newest_leaf(named) == max(ends)


def test_of_answers_of_one_moment_the_first_is_shown() -> None:
    shape = Tree(
        [
            Node(UUID(int=1), None, START),
            Node(UUID(int=3), UUID(int=1), START + timedelta(seconds=1)),
            Node(UUID(int=2), UUID(int=1), START + timedelta(seconds=1)),
        ]
    )
    assert shape.newest_leaf(UUID(int=1)) == UUID(int=2)
    assert shape.siblings(UUID(int=3)) == [UUID(int=2), UUID(int=3)]


def test_a_circle_in_the_data_ends() -> None:
    shape = Tree([Node(UUID(int=1), UUID(int=2), START), Node(UUID(int=2), UUID(int=1), START)])
    assert set(shape.branch(UUID(int=1))) == {UUID(int=1), UUID(int=2)}
    assert shape.newest_leaf(UUID(int=1)) == UUID(int=1)


@pytest.mark.django_db
def test_a_long_branch_is_deleted_by_one_statement_and_others_stay(alice: User) -> None:
    talk = conversation(alice)
    first = message(talk, "q")
    kept = thread(talk, 3, below=first)
    gone = thread(talk, 300, below=first)
    branches.delete(alice.pk, gone[0].pk)
    talk.refresh_from_db()
    assert set(Message.objects.filter(conversation=talk).values_list("pk", flat=True)) == {
        first.pk, *(one.pk for one in kept)
    }  # fmt: skip
    assert (talk.message_count, talk.active_message_id) == (4, kept[-1].pk)
    assert tree.newest_leaf(talk.pk, first.pk) == kept[-1].pk


@pytest.mark.django_db
def test_a_branch_that_is_not_shown_goes_without_moving_what_is(alice: User) -> None:
    talk = conversation(alice)
    first = message(talk, "q")
    gone = message(talk, "a", first, role="assistant")
    shown = message(talk, "b", first, role="assistant")
    branches.delete(alice.pk, gone.pk)
    talk.refresh_from_db()
    assert (talk.active_message_id, talk.message_count) == (shown.pk, 2)


def test_the_neighbour_before_is_shown_and_of_the_first_the_one_behind() -> None:
    shape = made([-1, 0, 0, 0, 1])
    second, third = UUID(int=2), UUID(int=3)
    assert shape.leaf_without(third, third) == second
    assert shape.leaf_without(second, second) == UUID(int=4)
    assert shape.leaf_without(UUID(int=1), UUID(int=4)) == second
