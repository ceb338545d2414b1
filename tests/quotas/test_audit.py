"""The audit: whatever is changed behind the ledger's back shows, each by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import F
from pytest_django import Settings

from adminpanel.doctor_key_probes import look_at_keys
from adminpanel.doctor_keys import judge_keys
from quotas import glance, grants
from quotas.audit import replay, replay_platform
from quotas.models import Grant, Hold, LedgerEntry, PlatformCounter, QuotaAccount, QuotaCounter, UsageRecord
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db


def _entries(purse: Purse) -> Any:
    return LedgerEntry.objects.filter(user_id=purse.id)


def _raise_used(purse: Purse) -> None:
    QuotaCounter.objects.filter(user_id=purse.id, unit="tokens").update(tokens_used=F("tokens_used") - 1)


def _raise_limit(purse: Purse) -> None:
    QuotaCounter.objects.filter(user_id=purse.id, unit="tokens").update(quota_limit=10**9)


def _lower_held(purse: Purse) -> None:
    QuotaCounter.objects.filter(user_id=purse.id, unit="nano_usd").update(held=0)


def _change_entry(purse: Purse) -> None:
    _entries(purse).filter(kind="settle").update(used_delta=F("used_delta") - 1)


def _drop_entry(purse: Purse) -> None:
    _entries(purse).filter(seq=3).delete()


def _drop_last_entry(purse: Purse) -> None:
    last = _entries(purse).order_by("-seq").first()
    assert last is not None
    last.delete()


def _change_usage(purse: Purse) -> None:
    UsageRecord.objects.filter(user_id=purse.id).update(tokens=F("tokens") - 1)


def _drop_usage(purse: Purse) -> None:
    UsageRecord.objects.filter(user_id=purse.id).delete()


def _close_hold(purse: Purse) -> None:
    Hold.objects.filter(user_id=purse.id, state="held").update(state="released")


def _move_head(purse: Purse) -> None:
    QuotaAccount.objects.filter(pk=purse.id).update(chain_head="0" * 64)


def _forget_running(purse: Purse) -> None:
    QuotaAccount.objects.filter(pk=purse.id).update(in_flight=0)


TAMPERING: list[tuple[Callable[[Purse], None], str]] = [
    (_raise_used, "counter.used"),
    (_raise_limit, "counter.limit"),
    (_lower_held, "counter.held"),
    (_change_entry, "chain.mac"),
    (_drop_entry, "chain.sequence"),
    (_drop_last_entry, "account.entry_seq"),
    (_change_usage, "usage.used"),
    (_drop_usage, "usage.records"),
    (_close_hold, "account.in_flight"),
    (_move_head, "account.chain_head"),
    (_forget_running, "account.in_flight"),
]


@pytest.mark.parametrize(("tamper", "named"), TAMPERING, ids=[each[0].__name__[1:] for each in TAMPERING])
def test_a_change_behind_the_ledgers_back_shows(purse: Purse, tamper: Callable[[Purse], None], named: str) -> None:
    first, _ = purse.admit(purse.ask(), purse.ask())
    purse.settle(first, 300, 400)
    assert replay(purse.id) == []
    tamper(purse)
    assert named in {difference.what for difference in replay(purse.id)}


@pytest.mark.parametrize(("more", "found"), [(0, []), (1, [(501, 500)])])
def test_more_taken_back_than_was_given_shows(small: Purse, more: int, found: list[tuple[int, int]]) -> None:
    grants.grant(small.id, "pay:1", {"tokens": 500})
    small.admit(small.ask(bound=0, cap=1300))
    grants.refund("pay:1", "refund:1")  # 200 at once, and 300 are owed by what runs
    assert replay(small.id) == []
    Grant.objects.exclude(parent=None).update(amount=F("amount") + more)
    assert [(each.stored, each.replayed) for each in replay(small.id) if each.what == "grant.refunds"] == found


def test_a_changed_platform_counter_shows(purse: Purse) -> None:
    purse.admit()
    PlatformCounter.objects.filter(held__gt=0).update(held=F("held") - 1)
    assert [difference.what for difference in replay_platform()] == ["platform.held"]


def test_entries_of_a_former_secret_key_are_accepted_only_while_it_is_listed(purse: Purse, settings: Settings) -> None:
    purse.admit()
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another secret, at least fifty characters long, for tests"
    assert {difference.what for difference in replay(purse.id)} == {"chain.mac"}
    settings.SECRET_KEY_FALLBACKS = [former]
    purse.admit()
    assert replay(purse.id) == []


def test_a_glance_tells_that_a_part_of_the_ledger_has_another_secret_key(purse: Purse, settings: Settings) -> None:
    purse.admit()
    looked, unverified = glance.look()
    assert (looked > 1, unverified) == (True, 0)
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another secret, at least fifty characters long, for tests"
    purse.admit()
    assert glance.look() == (looked, 1)  # the newest entry is of the present one
    assert "SECRET_KEY" in {finding.subject for finding in judge_keys(look_at_keys()) if finding.needs_action}
    settings.SECRET_KEY_FALLBACKS = [former]
    assert glance.look() == (looked, 0)
