"""Bounds that learn: what is counted tightens them where they would refuse, and a call that goes over loosens them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.db import transaction
from django.test import Client

from accounts.models import AuditEntry, Role, User
from oneai.kit import clock
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from quotas import allowances, bounds
from quotas.ledger import Book, Charge
from quotas.models import Hold, LearntBound, UsageRecord
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db
MODEL = "maker/model"


def call(purse: Purse, safe: int, prompt: int, learnt: int | None = None, **more: Any) -> UsageRecord:
    ask = purse.ask(bound=safe, cap=100, learnt_bound=learnt, learns=True, **more)
    (admitted,) = purse.admit(ask)
    with transaction.atomic():
        book = Book.open([purse.id], [admitted.hold_id])
        source = UsageRecord.Source.UPSTREAM_FINAL
        book.settle(admitted.hold_id, Charge(prompt + 10, 0, prompt, 10, source))
        book.close()
    return UsageRecord.objects.get(hold_id=admitted.hold_id)


def trust(*models: str) -> None:
    LearntBound.objects.filter(model_id__in=models).update(is_trusted=True)


def learnt() -> int:
    with clock.travel(timedelta(minutes=2)):
        return bounds.learn()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SAMPLE", 3)


@pytest.mark.usefixtures("few")
def test_the_most_that_was_counted_and_half_as_much_again_is_the_bound(purse: Purse) -> None:
    for prompt in (250, 300, 280):
        assert bounds.in_force(now()) == {}
        call(purse, 1000, prompt)
        learnt()
        trust(MODEL)
    assert bounds.in_force(now()) == {MODEL: 450_000}
    assert bounds.tightened(1000, 450_000) == 450
    assert learnt() == 0  # each record is read once


@pytest.mark.usefixtures("few")
def test_learning_goes_on_and_decides_nothing_until_the_owner_trusts_it(purse: Purse) -> None:
    for prompt in (250, 300, 280):
        call(purse, 1000, prompt)
    learnt()
    assert bounds.in_force(now()) == {}, "nobody has said that it may decide"
    trust(MODEL)
    call(purse, 1000, 320)
    learnt()
    assert bounds.in_force(now()) == {MODEL: 480_000}


@pytest.mark.usefixtures("few")
def test_it_is_never_below_the_floor_nor_of_use_above_the_safe_one(purse: Purse) -> None:
    for _ in range(3):
        call(purse, 1000, 10)
        call(purse, 1000, 700, model_id="maker/dense")
    learnt()
    trust(MODEL, "maker/dense")
    assert bounds.in_force(now()) == {MODEL: bounds.FLOOR_PPM}


@pytest.mark.usefixtures("few")
def test_short_prompts_estimates_and_images_teach_nothing(purse: Purse) -> None:
    for _ in range(3):
        call(purse, bounds.SHORT - 1, 300)
    UsageRecord.objects.update(source="upstream_final")
    call(purse, 1000, 900)
    UsageRecord.objects.filter(prompt_tokens=900).update(source="local_estimate")
    call(purse, 1000, 800)
    Hold.objects.filter(usage__prompt_tokens=800).update(safe_bound=None)
    assert learnt() == 4
    assert not LearntBound.objects.filter(model_id=MODEL).exists()
    assert bounds.tightened(bounds.SHORT - 1, 450_000) == bounds.SHORT - 1
    assert bounds.tightened(1000, None) == 1000


@pytest.mark.usefixtures("few")
def test_a_call_that_goes_over_is_recorded_and_the_safe_bound_holds_again_for_a_month(purse: Purse) -> None:
    for _ in range(3):
        call(purse, 1000, 300)
    learnt()
    trust(MODEL)
    used = purse.counter().tokens_used
    allowances.set_limit(purse.id, "*", {"tokens": used + 560}, "test", "test")
    record = call(purse, 1000, 600, learnt=450)
    assert (record.tokens, purse.counter().overrun) == (610, 60)  # it held 450 and the last 100 of the limit
    assert purse.differences() == []
    learnt()
    assert bounds.in_force(now()) == {}
    assert bounds.in_force(now() + bounds.DISTRUST + timedelta(minutes=5)) == {MODEL: 900_000}


def test_the_owner_trusts_a_model_with_a_reason_and_nobody_else_does() -> None:
    LearntBound.objects.create(model_id=MODEL, sample=500, most_ppm=1)
    LearntBound.objects.create(model_id=bounds.ALL)
    page = f"/admin/quotas/learntbound/{quote(MODEL)}/change/"
    clients = {}
    for role in (Role.OWNER, Role.SUPPORT):
        clients[role] = Client()
        clients[role].force_login(User.objects.create_user(f"{role}@example.com", role=role))
    owner = clients[Role.OWNER]
    assert clients[Role.SUPPORT].post(page, {"is_trusted": "on", "reason": "please"}).status_code == 403
    shown = owner.get(page).content.decode()
    assert "recorded as overrun" in shown
    assert owner.post(page, {"is_trusted": "on"}).status_code == 200
    assert bounds.in_force(now()) == {}, "no reason, no change"
    form = {"is_trusted": "on", "reason": "prose alone", "most_ppm": "7", "sample": "0"}
    assert owner.post(page, form).status_code == 302
    row = LearntBound.objects.get(model_id=MODEL)
    assert (row.is_trusted, row.most_ppm, row.sample) == (True, 1, 500)
    assert owner.post(page, {"reason": "a surprise"}).status_code == 302
    assert bounds.in_force(now()) == {}
    said = AuditEntry.objects.filter(action="bounds.trusted", target=MODEL).order_by("id")
    assert [(entry.reason, entry.details) for entry in said] == [
        ("prose alone", {"is_trusted": True}),
        ("a surprise", {"is_trusted": False}),
    ]
    row_of_none = owner.get(f"/admin/quotas/learntbound/{quote(bounds.ALL)}/change/")
    assert row_of_none.status_code == 302, "the place that was read to is no model"


def test_the_true_bound_is_held_where_there_is_room_and_the_learnt_one_where_there_is_not(purse: Purse) -> None:
    allowances.set_limit(purse.id, "*", {"tokens": 1500}, "test", "test")
    ask = purse.ask(bound=1000, cap=500, learnt_bound=300, learns=True)
    (first,) = purse.admit(ask)
    assert (first.tokens, first.max_tokens) == (1500, 500)
    purse.release(first)
    allowances.set_limit(purse.id, "*", {"tokens": 1499}, "test", "test")
    (second,) = purse.admit(purse.ask(bound=1000, cap=500, learnt_bound=300, learns=True))
    assert (second.tokens, second.max_tokens) == (800, 500)
    assert Hold.objects.get(pk=second.hold_id).safe_bound == 1000
    purse.release(second)
    allowances.set_limit(purse.id, "*", {"tokens": 316}, "test", "test")
    purse.release(purse.admit(purse.ask(bound=1000, cap=500, learnt_bound=300, learns=True))[0])
    allowances.set_limit(purse.id, "*", {"tokens": 315}, "test", "test")
    with pytest.raises(Refusal):
        purse.admit(purse.ask(bound=1000, cap=500, learnt_bound=300, learns=True))
    assert purse.differences() == []


@pytest.mark.usefixtures("few")
def test_a_call_that_uses_all_of_its_bound_went_over_nothing(purse: Purse) -> None:
    for _ in range(3):
        call(purse, 1000, 600, learnt=600)
    allowances.set_limit(purse.id, "*", {"tokens": purse.counter().tokens_used + 700}, "test", "test")
    call(purse, 1000, 600, learnt=600)
    assert learnt() == 4
    assert LearntBound.objects.get(model_id=MODEL).broken_at is None
