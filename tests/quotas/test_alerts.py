"""Mails at 80 and 100 % of a limit: once for each limit and period, whoever sends them."""

from __future__ import annotations

import email
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email import policy

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from accounts import apikeys
from accounts.models import OutgoingMail, User
from oneai.kit import clock
from quotas import alerts, allowances
from quotas.ledger import Book, KeyLimits
from quotas.models import QuotaAlert
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _outbox(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "accounts.outbox.OutboxBackend"


def noted(purse: Purse) -> list[tuple[str, str, int]]:
    found = QuotaAlert.objects.filter(user_id=purse.id).order_by("id")
    return list(found.values_list("scope", "unit", "percent"))


def use(purse: Purse, tokens: int, nano_usd: int = 0, **more: object) -> None:
    (admitted,) = purse.admit(purse.ask(bound=0, cap=1, **more))
    purse.settle(admitted, tokens, nano_usd)


def limit(purse: Purse, tokens: int | None, scope: str = "*") -> None:
    with transaction.atomic():
        allowances.set_limit(purse.id, scope, {"tokens": tokens}, "test", "test")


def mails_to(user: User) -> list[email.message.EmailMessage]:
    rows = [row for row in OutgoingMail.objects.order_by("created_at") if user.email in row.to]
    return [email.message_from_bytes(bytes(row.message), policy=policy.default) for row in rows]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("unit", "limit", "used", "percent"),
    [
        ("tokens", 1000, 799, 0), ("tokens", 1000, 800, 80), ("tokens", 1000, 984, 80), ("tokens", 1000, 985, 100),
        ("tokens", 1000, 1000, 100), ("tokens", 1000, 5000, 100), ("tokens", None, 10**15, 0), ("tokens", 0, 5, 0),
        ("tokens", 999, 799, 0), ("tokens", 999, 800, 80), ("tokens", 2**63 - 1, 2**62, 0), ("tokens", 10, 0, 0),
        ("nano_usd", 1000, 799, 0), ("nano_usd", 1000, 800, 80), ("nano_usd", 1000, 999, 80),
        ("nano_usd", 1000, 1000, 100),
    ],
)  # fmt: skip
def test_the_lines_are_at_80_percent_and_where_no_answer_fits(
    unit: str, limit: int | None, used: int, percent: int
) -> None:
    assert alerts.reached(unit, limit, used) == percent


def test_each_line_is_noted_by_the_settlement_that_crosses_it_and_once(purse: Purse) -> None:
    limit(purse, 1000)
    use(purse, 799)
    assert noted(purse) == []
    use(purse, 1)
    use(purse, 50)
    assert noted(purse) == [("*", "tokens", 80)]
    use(purse, 140)
    use(purse, 3)
    assert noted(purse) == [("*", "tokens", 80), ("*", "tokens", 100)]


def test_beyond_a_line_a_settlement_costs_no_statement_more(purse: Purse) -> None:
    limit(purse, 100_000)
    use(purse, 85_000)
    (admitted,) = purse.admit(purse.ask(bound=0, cap=1))
    with CaptureQueriesContext(connection) as captured:
        purse.settle(admitted, 10)
    assert captured.captured_queries
    assert not any("quota_alerts" in query["sql"] for query in captured.captured_queries)


def test_a_settlement_that_crosses_both_lines_is_told_of_once(purse: Purse) -> None:
    limit(purse, 1000)
    use(purse, 990)
    assert noted(purse) == [("*", "tokens", 100)]


def test_each_limit_has_its_own(purse: Purse) -> None:
    key = KeyLimits(apikeys.mint(purse.user, name="laptop")[0].pk, limit_tokens=100)
    limit(purse, 500, "maker/model")
    use(purse, 410, api_key=key)
    assert sorted(noted(purse)) == sorted([("maker/model", "tokens", 80), (f"key:{key.id}", "tokens", 100)])
    alerts.tell()
    texts = [mail.get_body(("plain",)).get_content() for mail in mails_to(purse.user)]  # type: ignore[union-attr]
    assert any("your plan for maker/model" in text for text in texts)
    assert any("your key laptop" in text for text in texts)


def test_the_next_period_and_a_changed_limit_begin_anew(purse: Purse) -> None:
    limit(purse, 1000)
    use(purse, 900)
    limit(purse, 2000)
    use(purse, 10)
    assert noted(purse) == [("*", "tokens", 80)]
    use(purse, 800)
    assert noted(purse) == [("*", "tokens", 80)] * 2
    with clock.travel(timedelta(days=40)):
        use(purse, 1900)
    assert noted(purse) == [("*", "tokens", 80)] * 3


def test_a_limit_lowered_below_what_was_used_is_told_of(purse: Purse) -> None:
    use(purse, 900)
    limit(purse, 1000)
    assert noted(purse) == [("*", "tokens", 80)]


def test_what_is_undone_is_not_told_of(purse: Purse) -> None:
    limit(purse, 1000)
    (admitted,) = purse.admit()
    with pytest.raises(RuntimeError), transaction.atomic():
        from tests.quotas.using import charge

        book = Book.open([purse.id], [admitted.hold_id])
        book.settle(admitted.hold_id, charge(1000))
        book.close()
        raise RuntimeError
    assert noted(purse) == []


def test_the_mail_says_what_how_much_and_until_when(purse: Purse) -> None:
    purse.user.timezone = "Asia/Kolkata"
    purse.user.save()
    limit(purse, 1000)
    use(purse, 850)
    assert alerts.tell() == 1
    (mail,) = mails_to(purse.user)
    assert mail["subject"] == "80 % of the tokens of your plan are used"
    for kind in ("plain", "html"):
        body = mail.get_body((kind,))
        assert body is not None
        text = " ".join(body.get_content().split())
        assert "850 of" in text and "1,000" in text and "150" in text
        assert "(Asia/Kolkata)" in text
        assert "/usage" in text
    use(purse, 145)
    alerts.tell()
    assert mails_to(purse.user)[1]["subject"] == "The tokens of your plan are used up"


def test_a_second_look_sends_nothing(purse: Purse) -> None:
    limit(purse, 1000)
    use(purse, 850)
    assert (alerts.tell(), alerts.tell()) == (1, 0)
    assert len(mails_to(purse.user)) == 1


@pytest.mark.parametrize("preferences", [{"notifications": {"quota": False}}, {}, {"notifications": "odd"}])
def test_who_does_not_want_them_gets_none(purse: Purse, preferences: dict[str, object]) -> None:
    User.objects.filter(pk=purse.id).update(preferences=preferences)
    limit(purse, 1000)
    use(purse, 850)
    alerts.tell()
    wanted = preferences != {"notifications": {"quota": False}}
    assert len(mails_to(purse.user)) == wanted
    assert not QuotaAlert.objects.filter(told_at=None).exists()


def test_nothing_is_sent_to_a_disabled_account_or_about_a_period_that_is_over(new_purse: Callable[[], Purse]) -> None:
    gone, late = new_purse(), new_purse()
    for each in (gone, late):
        limit(each, 1000)
        use(each, 850)
    User.objects.filter(pk=gone.id).update(is_active=False)
    QuotaAlert.objects.filter(user_id=late.id).update(reset_at=clock.now())
    assert alerts.tell() == 2
    assert mails_to(gone.user) == mails_to(late.user) == []


@pytest.mark.django_db(transaction=True)
def test_many_workers_send_each_mail_once(new_purse: Callable[[], Purse]) -> None:
    purses = [new_purse() for _ in range(6)]
    for each in purses:
        limit(each, 1000)
        use(each, 850)

    def tell(_: int) -> int:
        try:
            return alerts.tell()
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(tell, range(6))) == 6
    assert all(len(mails_to(each.user)) == 1 for each in purses)


def test_a_pass_puts_twenty_mails_into_the_outbox_and_the_next_one_the_rest(purse: Purse) -> None:
    for number in range(21):
        model = f"maker/model-{number}"
        limit(purse, 1000, model)
        use(purse, 850, model_id=model)
    assert [alerts.tell() for _ in range(3)] == [20, 1, 0]
    assert len(mails_to(purse.user)) == 21
