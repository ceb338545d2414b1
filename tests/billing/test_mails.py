"""Mails about money: each cause is told once, in text and HTML that say the same, and to nobody when it is undone."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import unescape
from typing import Any

import pytest
from django.db import connections, transaction
from django.test import Client

from accounts import notifications
from accounts.models import OutgoingMail, User
from billing import emails, letters, reminders
from billing.mail_examples import EXAMPLES
from billing.models import Notice, Refund, Seller
from oneai.kit import clock
from oneai.kit.gate import LETTERS
from oneai.worker import duties
from tests.accounts.people import mails_to as written_to
from tests.accounts.people import make
from tests.billing.rows import changed, paid, price_of, subscribed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _written(settings: Any) -> None:
    settings.EMAIL_BACKEND = "accounts.outbox.OutboxBackend"


@pytest.fixture
def asha(db: None) -> User:
    return make(timezone="Asia/Kolkata")


def mails_to(user: User) -> list[Any]:
    return [message_from_bytes(bytes(row.message), policy=policy.default) for row in written_to(user.email)]


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def html_of(mail: EmailMessage) -> str:
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def subjects(user: User) -> list[str]:
    return [str(mail["Subject"]) for mail in mails_to(user)]


def test_a_cause_has_one_mail_whoever_reports_it(asha: User) -> None:
    row = subscribed(asha)
    assert [emails.halted(row), emails.halted(row), emails.halted(row)] == [True, False, False]
    (mail,) = mails_to(asha)
    assert mail["Subject"] == "Pro has stopped: no payment came through"
    for form in (text_of(mail), html_of(mail)):
        assert "₹1,499.00" in form


def test_a_deed_that_is_rolled_back_tells_nobody_and_may_be_told_later(asha: User) -> None:
    row = subscribed(asha)
    with pytest.raises(RuntimeError), transaction.atomic():
        emails.halted(row)
        raise RuntimeError
    assert subjects(asha) == []
    assert emails.halted(row)


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_writes_the_mail() -> None:
    asha = make()
    row = subscribed(asha)

    def report(_: int) -> bool:
        try:
            with transaction.atomic():
                return emails.halted(row)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(report, range(8))) == 1
    assert len(mails_to(asha)) == 1


def test_each_failed_try_is_told_and_says_when_the_next_is(asha: User) -> None:
    row = subscribed(asha, status="pending", charge_at=clock.now() + timedelta(days=1))
    failed = paid(row, status="failed", error_description="Declined by the bank.")
    assert emails.payment_failed(row, failed)
    assert not emails.payment_failed(row)
    row.charge_at += timedelta(days=1)
    assert emails.payment_failed(row)
    first = mails_to(asha)[0]
    assert "Declined by the bank." in text_of(first)
    assert "/billing" in text_of(first)


def test_a_second_cancellation_after_an_undo_is_told_again(asha: User) -> None:
    row = subscribed(asha)
    for kind in ("cancel_scheduled", "cancel_undone", "cancel_scheduled"):
        change = changed(row, kind)
        tell = emails.cancel_undone if kind == "cancel_undone" else emails.cancel_scheduled
        assert tell(change)
        assert not tell(change)
    assert len(subjects(asha)) == 3


def test_a_change_tells_what_was_what_is_and_what_it_cost(asha: User) -> None:
    row = subscribed(asha, "plus")
    emails.plan_changed(
        changed(row, "upgrade"), old=(price_of("plus"), 1), new=(price_of("pro", "year"), 1), paid_paise=1_469_060
    )
    said = text_of(mails_to(asha)[0])
    for words in ("Plus, monthly", "Pro, yearly", "₹14,990.00 a year", "₹14,690.60"):
        assert words in said


def test_money_that_bought_nothing_and_goes_back_is_told_once(asha: User) -> None:
    paid_twice = paid(subscribed(asha))
    Refund.objects.create(payment=paid_twice, key="r", amount_paise=149_900, reason="Paid twice.")
    assert [reminders.announce(), reminders.announce()] == [1, 0]
    assert subjects(asha) == ["Refund of ₹1,499.00"]
    with_invoice = paid(subscribed(asha, status="cancelled"), effect_at=clock.now())
    Refund.objects.create(payment=with_invoice, key="s", amount_paise=100_000)
    assert reminders.announce() == 0


def test_reminders_are_written_so_many_at_a_time_and_none_is_forgotten() -> None:
    people = [make(email=f"one-of-five-{at}@example.com") for at in range(5)]
    for user in people:
        refused = paid(subscribed(user))
        Refund.objects.create(payment=refused, key=f"r{user.pk}", amount_paise=149_900, reason="Paid twice.")
    assert [reminders.announce(most=2) for _ in range(4)] == [2, 2, 1, 0]
    assert [subjects(user) for user in people] == [["Refund of ₹1,499.00"]] * 5


def test_names_from_outside_can_not_become_markup(asha: User) -> None:
    row = subscribed(asha)
    emails.payment_failed(row, paid(row, status="failed", error_description="<b>Sorry & bye</b>"))
    (mail,) = mails_to(asha)
    assert "<b>Sorry & bye</b>" in text_of(mail)
    assert "&lt;b&gt;Sorry &amp; bye&lt;/b&gt;" in html_of(mail)


def test_an_answer_goes_to_the_seller(asha: User) -> None:
    Seller.objects.update_or_create(pk=1, defaults={"email": "accounts@seller.example"})
    emails.halted(subscribed(asha))
    assert mails_to(asha)[0]["Reply-To"] == "accounts@seller.example"


def test_who_is_shut_out_gets_no_mail() -> None:
    gone = make(is_active=False)
    assert not emails.halted(subscribed(gone))
    assert mails_to(gone) == []


# Reminders -------------------------------------------------------------------------------------------
def reminded_on(day: float) -> int:
    with clock.travel(timedelta(days=day)):
        return reminders.announce()


def test_a_renewal_is_announced_once_a_week_ahead_in_each_cycle(asha: User) -> None:
    row = subscribed(asha)
    days = (row.current_period_end - clock.now()).days
    assert [reminded_on(day) for day in (days - 7, days - 6, days - 3, days + 2)] == [0, 1, 0, 0]
    row.current_period_end = clock.add_months(row.current_period_end, 1)
    row.save()
    assert reminded_on(days + 26) == 1
    assert "₹1,499.00" in text_of(mails_to(asha)[0])


def test_what_is_announced_is_what_will_be_charged(asha: User) -> None:
    row = subscribed(asha, "team", quantity=5, next_price=price_of("team"), next_quantity=3)
    reminded_on((row.current_period_end - clock.now()).days - 5)
    assert "₹3,897.00" in text_of(mails_to(asha)[0])


@pytest.mark.parametrize("state", [{"cancel_at_cycle_end": True}, {"status": "paused"}, {"status": "halted"}])
def test_what_will_not_be_charged_is_not_announced(asha: User, state: dict[str, Any]) -> None:
    row = subscribed(asha, **state)
    assert reminded_on((row.current_period_end - clock.now()).days - 3) == 0


def test_reminders_of_renewals_may_be_switched_off_and_on(asha: User) -> None:
    row = subscribed(asha)
    day = (row.current_period_end - clock.now()).days - 3
    asha.preferences = {"theme": "dark"}
    asha.save()
    notifications.choose(asha.pk, notifications.RENEWALS, False)
    assert reminded_on(day) == 0
    notifications.choose(asha.pk, notifications.RENEWALS, True)
    assert reminded_on(day) == 1
    asha.refresh_from_db()
    assert asha.preferences["theme"] == "dark"


def test_the_end_of_a_trial_is_announced_three_days_ahead_whatever_was_chosen(asha: User) -> None:
    notifications.choose(asha.pk, notifications.RENEWALS, False)
    begins = clock.now() + timedelta(days=7)
    subscribed(asha, status="authenticated", trial=True, starts_at=begins, current_period_end=None, paid_count=0)
    assert [reminded_on(day) for day in (3, 5, 6)] == [0, 1, 0]
    assert "₹1,499.00" in text_of(mails_to(asha)[0])


def test_a_round_of_reminders_ends_where_it_is_to_and_the_next_goes_on(asha: User) -> None:
    rows = [subscribed(user) for user in (asha, make(), make())]
    with clock.travel(timedelta(days=(rows[0].current_period_end - clock.now()).days - 3)):
        assert [reminders.announce(most=2) for _ in range(3)] == [2, 1, 0]


def test_the_clock_knows_of_reminders() -> None:
    assert "reminders" in {duty.name for duty in duties()}


# The desk --------------------------------------------------------------------------------------------
def words(html: str) -> str:
    body = html[html.index("<body") :]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


@pytest.mark.parametrize("name", EXAMPLES)
def test_both_forms_say_the_same_and_load_nothing(name: str) -> None:
    letter = EXAMPLES[name].make()
    text, html = letters.as_text(letter), letters.as_html(letter)
    said = words(html)
    facts = [part for row in letter.facts for part in row]
    for fact in (letter.heading, letter.what, letter.then, letter.foot, *facts):
        assert fact in text
        assert " ".join(fact.split()) in said
    for link in (letter.action, *letter.links):
        if link is not None:
            assert link.url in text
            assert f'href="{link.url}"' in html
    assert not re.search(r"src=|url\(|@import|<link|<script", html)
    assert "None" not in said


def test_staff_see_how_each_mail_reads(asha: User) -> None:
    desk = Client()
    desk.force_login(make(role="support"))
    assert desk.get("/admin/billing/notice/").status_code == 200
    listed = desk.get("/admin/billing/notice/mails/").content.decode()
    for name in EXAMPLES:
        assert f"/admin/billing/notice/mails/{name}/" in listed
        assert LETTERS + name in desk.get(f"/admin/billing/notice/mails/{name}/").content.decode()
        assert "<table" in desk.get(f"{LETTERS}{name}/").content.decode()
    assert desk.get(f"{LETTERS}no-such-mail/").status_code == 404
    assert not Notice.objects.exists()
    assert not OutgoingMail.objects.exists()


def test_customers_do_not_see_the_desk(asha: User) -> None:
    customer = Client()
    customer.force_login(asha)
    for path in ("/admin/billing/notice/mails/", "/admin/billing/notice/mails/receipt/", f"{LETTERS}receipt/"):
        assert customer.get(path).status_code in {302, 403}
