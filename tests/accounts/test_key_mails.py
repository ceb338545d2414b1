"""A key's end is announced by mail: once for each end, whoever runs the clock, and not to those it can't help."""

from __future__ import annotations

from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest

from accounts import apikeys, key_mails, own_keys
from accounts.models import ApiKey, User
from oneai.kit import clock
from oneai.worker import duties
from tests.accounts.people import mails_to, make

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _written(settings: Any) -> None:
    settings.EMAIL_BACKEND = "accounts.outbox.OutboxBackend"


@pytest.fixture
def owner(db: None) -> User:
    return make()


def key_of(owner: User, days: float) -> ApiKey:
    return apikeys.mint(owner, "Nightly report", expires_at=clock.now() + timedelta(days=days))[0]


def announced_on(day: float) -> int:
    with clock.travel(timedelta(days=day)):
        return key_mails.announce_ends()


def test_the_owner_is_told_once_a_week_ahead(owner: User) -> None:
    key = key_of(owner, 30)
    assert [announced_on(day) for day in (0, 22.9, 23.1, 23.1, 29, 31)] == [0, 0, 1, 0, 0, 0]
    (mail,) = mails_to(owner.email)
    assert mail.subject == "Your API key Nightly report ends soon"
    text = message_from_bytes(bytes(mail.message), policy=policy.default).get_content()
    assert key.prefix in text and f"{key.expires_at:%H:%M} UTC" in text and "/settings/keys" in text


def test_a_later_end_is_announced_again_and_a_lifted_one_never(owner: User) -> None:
    key = key_of(owner, 30)
    assert announced_on(24) == 1
    own_keys.change(owner, key.pk, {"expires_at": clock.now() + timedelta(days=60)})
    assert [announced_on(day) for day in (30, 54)] == [0, 1]
    own_keys.change(owner, key.pk, {"expires_at": clock.now() + timedelta(days=90)})
    own_keys.change(owner, key.pk, {"expires_at": None})
    assert announced_on(84) == 0
    assert len(mails_to(owner.email)) == 2


def test_an_end_that_is_near_when_it_is_set_is_not_announced(owner: User) -> None:
    key_of(owner, 6)
    assert announced_on(5) == 0


def test_nobody_is_told_of_a_key_that_was_revoked_or_of_a_disabled_account(owner: User) -> None:
    apikeys.revoke([key_of(owner, 30)])
    other = make()
    key_of(other, 30)
    User.objects.filter(pk=other.pk).update(is_active=False)
    assert announced_on(24) == 0
    User.objects.filter(pk=other.pk).update(is_active=True)
    assert announced_on(24) == 1


def test_a_key_changed_while_it_is_looked_at_is_not_announced(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker, or the owner, comes between the look and the mail."""
    key = key_of(owner, 30)
    look = ApiKey.objects.filter

    def between(*args: Any, **kwargs: Any) -> Any:
        if "pk" in kwargs:
            look(pk=key.pk).update(expires_at=clock.now() + timedelta(days=300), warn_at=None)
        return look(*args, **kwargs)

    monkeypatch.setattr(key_mails.ApiKey.objects, "filter", between)
    assert announced_on(24) == 0
    assert mails_to(owner.email) == []


def test_a_mail_that_can_not_be_written_is_written_later(owner: User, settings: Any) -> None:
    key_of(owner, 30)
    settings.EMAIL_BACKEND = "nowhere.Backend"
    with pytest.raises(ImportError):
        announced_on(24)
    settings.EMAIL_BACKEND = "accounts.outbox.OutboxBackend"
    assert announced_on(24) == 1


def test_what_a_name_holds_stays_text(owner: User) -> None:
    apikeys.mint(owner, "<b>{{ x }}&amp; “é”", expires_at=clock.now() + timedelta(days=30))
    announced_on(24)
    text = message_from_bytes(bytes(mails_to(owner.email)[0].message), policy=policy.default).get_content()
    assert "<b>{{ x }}&amp; “é”" in text


def test_the_worker_does_it(owner: User) -> None:
    key_of(owner, 30)
    with clock.travel(timedelta(days=24)):
        (duty,) = (duty for duty in duties() if duty.name == "ends of keys")
        assert duty.work() == 1
