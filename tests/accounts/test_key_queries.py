"""Keys are found by an index, however many there are: the databases' own plans say so."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import apikeys, key_mails, keyring, own_keys
from accounts.models import ApiKey, User
from oneai.kit import clock
from oneai.kit.clock import uuid7

pytestmark = pytest.mark.django_db
WHOLE = re.compile(r"Seq Scan on api_keys|SCAN (?:api_keys|k)\b(?! USING)")


@pytest.fixture
def crowd(db: None) -> User:
    """Five thousand keys of fifty people; one of the last has two texts."""
    people = [User.objects.create_user(f"p{number}@example.com") for number in range(50)]
    start = clock.now()
    ApiKey.objects.bulk_create(
        ApiKey(
            user=people[number % 50],
            prefix=f"oneai_{number}",
            digest=uuid7().hex,
            previous_prefix=f"oneai_p{number}" if number % 3 else None,
            previous_digest=uuid7().hex if number % 3 else None,
            previous_until=start if number % 3 else None,
            expires_at=start + timedelta(days=8),
            warn_at=start + timedelta(days=1) if number % 100 == 0 else None,
        )
        for number in range(5000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return people[7]


def plans(work: Any) -> list[str]:
    """What the database means to do for each statement that reads keys."""
    with CaptureQueriesContext(connection) as captured:
        work()
    found = []
    for query in captured.captured_queries:
        if query["sql"].startswith("SELECT") and "api_keys" in query["sql"]:
            with connection.cursor() as cursor:
                how = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
                cursor.execute(how + query["sql"])
                found.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
    assert found
    return found


def test_no_look_at_keys_reads_all_of_them(crowd: User) -> None:
    text = apikeys.digest_of(apikeys.mint(crowd)[1]) or ""
    looks = {
        "by a text": lambda: keyring.find([text]),
        "by many texts": lambda: keyring.find(uuid7().hex for _ in range(8)),
        "of a person": lambda: list(own_keys.of(crowd.pk).order_by("-created_at", "-id")[:26]),
        "to be announced": key_mails.announce_ends,
    }
    for name, look in looks.items():
        for plan in plans(look):
            assert not WHOLE.search(plan), f"{name}: {plan}"
