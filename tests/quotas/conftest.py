"""Accounts to use up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from accounts.models import Team, User
from oneai.kit.clock import uuid7
from quotas import allowances
from quotas.policy import RATES
from tests.accounts.team_people import plan, team_of
from tests.quotas.using import Purse


def _person() -> User:
    return User.objects.create_user(f"{uuid7()}@example.com")


@pytest.fixture
def newcomer(db: None) -> Purse:
    """A new person on the free plan, its rates included."""
    return Purse(_person())


@pytest.fixture
def new_purse(db: None) -> Callable[[], Purse]:
    """Makes people on the free plan whom no rate slows down."""

    def make() -> Purse:
        purse = Purse(_person())
        allowances.set_rates(purse.id, dict.fromkeys(RATES), "test", "test")
        return purse

    return make


@pytest.fixture
def purse(new_purse: Callable[[], Purse]) -> Purse:
    """One of them."""
    return new_purse()


@pytest.fixture
def small(purse: Purse) -> Purse:
    """Somebody with 1000 tokens a period."""
    allowances.set_limit(purse.id, "*", {"tokens": 1000}, "test", "test")
    return purse


@pytest.fixture
def ann(new_purse: Callable[[], Purse]) -> Purse:
    return new_purse()


@pytest.fixture
def ben(new_purse: Callable[[], Purse]) -> Purse:
    return new_purse()


@pytest.fixture
def team(ann: Purse, ben: Purse) -> Team:
    """Ann owns it, Ben is a member; it has 100,000 tokens."""
    made = team_of(ann.user, ben.user)
    plan(made)
    return made
