"""The audit can only grow, whoever asks the database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from accounts import audit
from accounts.models import AuditEntry
from oneai.kit.clock import now
from tests.accounts.people import make

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_entries SET reason = 'other'",
        "UPDATE audit_entries SET actor_label = 'somebody else'",
        "UPDATE audit_entries SET action = 'nothing'",
        "DELETE FROM audit_entries",
    ],
)
def test_the_database_refuses_to_change_or_delete_an_entry(change: str) -> None:
    audit.record("staff@example.com", "quota.set", reason="why")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)
    assert AuditEntry.objects.get().reason == "why"


def test_an_erased_person_keeps_a_pseudonym_and_nothing_else_changes() -> None:
    user = make()
    audit.record(user.email, "api_key.created", user.pk, target=user.email, reason="why", details={"to": [user.email]})
    audit.record("somebody", "quota.set", user.pk, reason=f"for {user.email}")
    name = "7f3a@erased.invalid"
    assert audit.erase(user.pk, user.email, name) == 2
    made, given = AuditEntry.objects.order_by("action")
    assert (made.actor_label, made.target, made.reason, made.details) == (name, name, "why", {"to": [name]})
    assert (given.actor_label, given.reason) == ("somebody", f"for {name}")


def test_entries_go_after_two_years_and_not_before() -> None:
    for days in (800, 729, 0):
        AuditEntry.objects.create(actor_label="x", action=f"day.{days}", at=now() - timedelta(days=days))
    assert audit.forget() == 1
    assert {entry.action for entry in AuditEntry.objects.all()} == {"day.729", "day.0"}
