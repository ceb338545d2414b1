"""What the operators' commands leave behind, run within the test's own database."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F

from accounts.models import AuditEntry
from oneai.kit.clock import now
from quotas import grants
from quotas.models import Grant, QuotaCounter
from quotas.reading import statement
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


def test_tokens_are_given_once_by_name_with_dollars_as_the_plan_has_them(newcomer: Purse) -> None:
    out = io.StringIO()
    for _ in range(2):
        call_command("grant_tokens", newcomer.user.email, tokens="1000", id="sorry", reason="an outage", stdout=out)
    given = (
        Grant.objects.filter(user_id=newcomer.id, kind="extra").order_by("unit").values_list("unit", "amount", "note")
    )
    assert list(given) == [("nano_usd", 5_000_000, "an outage"), ("tokens", 1000, "an outage")]
    (entry,) = AuditEntry.objects.filter(subject_id=newcomer.id)
    assert (entry.action, entry.reason) == ("quota.granted", "an outage")
    assert out.getvalue().splitlines() == [
        f"{newcomer.user.email} has 1000 tokens, 5000000 nano_usd more (admin:sorry)",
        f"{newcomer.user.email} had 1000 tokens, 5000000 nano_usd more (admin:sorry)",
    ]


def test_a_debt_is_forgiven_with_a_reason(newcomer: Purse) -> None:
    grants.grant(newcomer.id, "pay:one", {"tokens": 300})
    newcomer.settle(newcomer.admit(newcomer.ask(bound=0, cap=50_300))[0], 50_300)
    grants.refund("pay:one", "rfnd_1")
    out = io.StringIO()
    call_command("forgive_debt", newcomer.user.email, reason="ours to bear", json=True, stdout=out)
    assert json.loads(out.getvalue())["forgiven"] == {"tokens": 300}
    assert AuditEntry.objects.get(subject_id=newcomer.id, action="quota.forgiven").reason == "ours to bear"


def test_a_limit_may_begin_later_and_is_seen_with_its_reason(newcomer: Purse) -> None:
    at = now()
    begins, ends = (at + timedelta(days=days) for days in (2, 5))
    call_command(
        "set_quota", newcomer.user.email, model="*", tokens="7", reason="a trial",
        starts=begins.isoformat(), until=ends.isoformat(), stdout=io.StringIO(),
    )  # fmt: skip
    shown = [statement(newcomer.id, at + timedelta(days=days))["limits"][0] for days in (1, 3, 6)]
    assert [(each["limit"], "override" in each) for each in shown] == [(50_000, False), (7, True), (50_000, False)]
    assert shown[1]["override"] == {
        "reason": "a trial",
        "starts_at": begins.isoformat().replace("+00:00", "Z"),
        "until": ends.isoformat().replace("+00:00", "Z"),
    }


def test_a_refused_command_changes_nothing(newcomer: Purse) -> None:
    with pytest.raises(CommandError):
        call_command("set_quota", newcomer.user.email, model="key:1", tokens="5", reason="test")
    assert not AuditEntry.objects.filter(subject_id=newcomer.id).exists()
