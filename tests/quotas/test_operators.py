"""What the operators' commands leave behind, run within the test's own database."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F

from accounts.models import AuditEntry
from quotas.models import QuotaCounter
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db


def test_each_change_leaves_an_audit_entry_with_its_reason(newcomer: Purse) -> None:
    email = newcomer.user.email
    out = io.StringIO()
    call_command("grant_plan", email, "pro", reason="won a prize", stdout=out)
    call_command("set_quota", email, model="*", tokens="5", reason="abuse", stdout=out)
    call_command("set_rates", email, rpm="1", reason="a storm", stdout=out)
    entries = AuditEntry.objects.filter(subject_id=newcomer.id).order_by("id")
    assert [(entry.action, entry.target, entry.reason) for entry in entries] == [
        ("plan.granted", "pro", "won a prize"),
        ("quota.set", "*", "abuse"),
        ("rates.set", email, "a storm"),
    ]
    assert all(entry.actor_label.startswith("command (") for entry in entries)
    newcomer.user.refresh_from_db()
    assert newcomer.user.current_subscription == "pro"


def test_the_audit_prints_what_differs_and_fails(newcomer: Purse) -> None:
    newcomer.admit()
    QuotaCounter.objects.filter(user_id=newcomer.id, unit="tokens").update(tokens_used=F("tokens_used") + 1)
    out = io.StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("audit_ledger", json=True, stdout=out)
    assert caught.value.code == 1
    shown = json.loads(out.getvalue())["differences"]
    assert {(each["what"], each["stored"], each["replayed"]) for each in shown} == {
        ("counter.used", 1, 0),
        ("usage.used", 1, 0),
    }
    assert all(each["account_id"] == str(newcomer.id) for each in shown)


def test_a_refused_command_changes_nothing(newcomer: Purse) -> None:
    with pytest.raises(CommandError):
        call_command("set_quota", newcomer.user.email, model="key:1", tokens="5", reason="test")
    assert not AuditEntry.objects.filter(subject_id=newcomer.id).exists()
