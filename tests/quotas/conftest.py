"""Accounts to use up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from accounts.models import User
from oneai.kit.clock import uuid7
from quotas import allowances
from quotas.policy import RATES
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
