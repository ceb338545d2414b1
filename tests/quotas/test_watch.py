"""The scheduled check: every account in its turn, and the owners hear of what differs once a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.admin.utils import quote
from django.core.mail import EmailMessage
from django.db.models import F
from django.test import Client

from accounts.models import User
from oneai.kit import clock
from oneai.kit.clock import now, uuid7
from quotas import allowances, grants, invariants, watch
from quotas.models import Grant, Hold, LearntBound, LedgerCheck, Override, OwnerAlert, QuotaCounter, UsageRecord
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> User:
    return User.objects.create_user(f"{uuid7()}@example.com", role="owner")


def later(minutes: int) -> int:
    with clock.travel(timedelta(minutes=minutes)):
        return watch.check_some()


def test_nothing_is_said_while_the_ledger_adds_up(purse: Purse, owner: User, mailoutbox: list[EmailMessage]) -> None:
    purse.settle(purse.admit()[0], 100)
    assert watch.check_some() == 1
    check = LedgerCheck.objects.get()
    assert (check.accounts, check.differences, check.found) == (1, 0, [])
    assert not mailoutbox
    assert watch.check_some() == 0  # another worker has just done it
    assert later(11) == 1


def test_the_owner_hears_of_a_difference_once_a_day_and_of_another_at_once(
    purse: Purse, owner: User, mailoutbox: list[EmailMessage]
) -> None:
    purse.settle(purse.admit()[0], 100)
    QuotaCounter.objects.filter(user_id=purse.id, unit="tokens").update(tokens_used=F("tokens_used") - 1)
    assert watch.check_some() == 1
    (mail,) = mailoutbox
    assert (mail.to, mail.subject) == ([owner.email], "The ledger does not add up")
    assert "I1" in mail.body
    assert "counter.used" in mail.body
    assert later(15) == 1
    assert len(mailoutbox) == 1
    QuotaCounter.objects.filter(user_id=purse.id, unit="tokens").update(held=5)
    assert later(30) == 1
    assert len(mailoutbox) == 2
    assert later(60 * 25) == 1
    assert len(mailoutbox) == 3


def test_runs_go_on_where_the_last_one_ended(new_purse: Callable[[], Purse]) -> None:
    for purse in (new_purse() for _ in range(3)):
        purse.admit()
    assert watch.check_some(budget=-1) == 1
    seen = [LedgerCheck.objects.order_by("-at").values_list("last_account", flat=True)[0]]
    for minutes in (11, 22, 33):
        with clock.travel(timedelta(minutes=minutes)):
            watch.check_some(budget=-1)
        seen.append(LedgerCheck.objects.order_by("-at").values_list("last_account", flat=True)[0])
    assert len(set(seen[:3])) == 3
    assert seen[3] in {None, seen[0]}


def test_a_hold_that_nobody_looks_after_shows(purse: Purse) -> None:
    (admitted,) = purse.admit()
    assert invariants.check_platform(now() + timedelta(seconds=40)) == []
    (left,) = invariants.check_platform(now() + timedelta(seconds=45))
    assert (left.what, invariants.broken_by(left)) == ("hold.left_behind", "I4")
    Hold.objects.filter(pk=admitted.hold_id).update(state="orphaned", check_at=now() + timedelta(seconds=60))
    assert invariants.check_platform(now() + timedelta(seconds=100)) == []
    assert len(invariants.check_platform(now() + timedelta(seconds=110))) == 1


def test_a_generation_charged_twice_shows(purse: Purse) -> None:
    for admitted in purse.admit(purse.ask(), purse.ask()):
        purse.settle(admitted, 10)
    UsageRecord.objects.filter(user_id=purse.id).update(upstream_id="gen-1")
    found = invariants.check_account(purse.id)
    assert [(each.what, each.stored, invariants.broken_by(each)) for each in found] == [("usage.upstream", 2, "I5")]


def test_a_check_of_some_days_finds_the_same(purse: Purse) -> None:
    purse.settle(purse.admit()[0], 100, 77)
    purse.admit()
    today = now().date()
    assert invariants.check_platform(since=today) == invariants.check_platform() == []
    UsageRecord.objects.filter(user_id=purse.id).update(nano_usd=78)
    (found,) = invariants.check_platform(since=today)
    assert (found.what, found.stored, found.replayed) == ("platform.used", 77, 78)


@pytest.mark.django_db(transaction=True)
def test_a_check_of_its_own_keeps_nobody_waiting(purse: Purse) -> None:
    purse.settle(purse.admit()[0], 100)
    assert invariants.check([purse.id]).broken == []
    QuotaCounter.objects.filter(user_id=purse.id, unit="tokens").update(tokens_used=1)
    assert invariants.check([purse.id]).broken == ["I1"]


@pytest.mark.parametrize("table", ["grant", "ledgercheck", "learntbound", "override", "hold", "owneralert"])
def test_the_desk_shows_what_there_is(purse: Purse, owner: User, client: Client, table: str) -> None:
    grants.grant(purse.id, "pay:one", {"tokens": 500})
    allowances.set_limit(purse.id, "*", {"tokens": 1000}, "test", "test")
    purse.admit()
    watch.check_some()
    LearntBound.objects.create(model_id="maker/model", sample=3, most_ppm=5)
    OwnerAlert.objects.create(day=now().date(), kind="ceiling", percent=80, quota_limit=10**9)
    client.force_login(owner)
    assert client.get(f"/admin/quotas/{table}/").status_code == 200
    row = {"grant": Grant, "ledgercheck": LedgerCheck, "learntbound": LearntBound, "override": Override, "hold": Hold}
    row |= {"owneralert": OwnerAlert}
    first = row[table].objects.first()
    assert first is not None
    assert client.get(f"/admin/quotas/{table}/{quote(str(first.pk))}/change/").status_code == 200
