"""Differences with Razorpay: each stands once until it is mended, and owners hear of it once."""

from __future__ import annotations

import pytest
from django.core import mail

from accounts.models import Role
from billing import differences
from billing.models import Difference
from tests.accounts import people

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _owner() -> None:
    people.make("owner@example.com", role=Role.OWNER)


def test_the_same_difference_stands_once_and_again_once_it_was_mended() -> None:
    assert differences.note("payment_unknown", "pay_1", theirs={"amount": 5})
    assert not differences.note("payment_unknown", "pay_1", theirs={"amount": 6})
    assert differences.note("payment_unknown", "pay_2") and differences.note("seats", "pay_1")
    differences.repaired("payment_unknown", "pay_1")
    assert [(each.kind, each.reference) for each in differences.unrepaired()] == [
        ("payment_unknown", "pay_2"),
        ("seats", "pay_1"),
    ]
    assert differences.note("payment_unknown", "pay_1")
    assert Difference.objects.filter(kind="payment_unknown", reference="pay_1").count() == 2


def test_what_was_mended_when_it_was_found_is_kept_each_time_and_nobody_is_told() -> None:
    assert differences.note("lost_order", "order_1", repaired=True)
    assert differences.note("lost_order", "order_1", repaired=True)
    assert Difference.objects.exclude(repaired_at=None).exclude(told_at=None).count() == 2
    assert (differences.unrepaired(), differences.tell(), mail.outbox) == ([], 0, [])


def test_owners_hear_of_each_difference_once_and_in_one_mail() -> None:
    differences.note("refund_failed", "rfnd_1", ours={"amount_paise": 100}, theirs={"status": "failed"})
    differences.note("payment_unknown", "pay_1")
    assert differences.tell() == 2
    (letter,) = mail.outbox
    assert "2 differences with Razorpay" in letter.subject
    assert "refund_failed rfnd_1: ours {'amount_paise': 100}, theirs {'status': 'failed'}" in letter.body
    assert "payment_unknown pay_1: ours nothing, theirs nothing" in letter.body and " more" not in letter.body
    assert (differences.tell(), len(mail.outbox)) == (0, 1)


@pytest.mark.parametrize(("many", "shown", "more"), [(30, 30, ""), (31, 30, "and 1 more"), (205, 30, "and 170 more")])
def test_a_flood_of_differences_is_told_in_part_and_counted(many: int, shown: int, more: str) -> None:
    for number in range(many):
        differences.note("payment_unknown", f"pay_{number:03}")
    told = differences.tell()
    assert told == min(many, 200)
    body = mail.outbox[0].body
    assert (body.count("payment_unknown"), more in body) == (shown, True)
    assert ("more" in body) == bool(more)
    assert "pay_029" in body and "pay_030" not in body
    assert differences.tell() == many - told
