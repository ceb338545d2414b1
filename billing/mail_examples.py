"""Every mail about money with made-up figures, for staff who want to see what customers get. Nothing is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from accounts.models import User
from accounts.team_models import Team
from billing import mail_texts, team_texts
from billing.letters import Letter
from billing.models import Invoice, Pack, Payment, Plan, Price, Purchase, Refund, Subscription
from oneai.kit.clock import add_months, now

_ID: Final = UUID("00000000-0000-7000-8000-000000000002")


@dataclass(frozen=True, slots=True)
class Example:
    """A mail with example figures: when it is sent, and how it reads."""

    when: str
    make: Callable[[], Letter]


class _Rows:
    """A customer with a month of Pro, as rows that are never saved."""

    def __init__(self) -> None:
        self.user = User(id=_ID, email="asha@customer.example", name="Asha", timezone="Asia/Kolkata")
        start = now() - timedelta(days=12)
        self.pro = self.price("pro", "Pro", 149_900)
        self.plus = self.price("plus", "Plus", 49_900)
        self.team = self.price("team", "Team", 129_900, per_seat=True)
        self.subscription = Subscription(
            id=_ID, user=self.user, plan=self.pro.plan, price=self.pro, status="active", payment_method="upi",
            current_period_start=start, current_period_end=add_months(start, 1), charge_at=now() + timedelta(days=1),
            allowed_until=add_months(start, 1),
            starts_at=now() + timedelta(days=3), ended_at=now(),
        )  # fmt: skip
        self.payment = Payment(
            id=_ID, user=self.user, subscription=self.subscription, razorpay_payment_id="pay_Example0000001",
            amount_paise=149_900, method="upi", status="captured", period_start=start, period_end=add_months(start, 1),
        )  # fmt: skip
        self.invoice = Invoice(id=_ID, user=self.user, kind="invoice", number="OA/26-27/000042", total_paise=149_900)
        self.pack_invoice = Invoice(
            id=_ID, user=self.user, kind="invoice", number="OA/26-27/000043", total_paise=54_900
        )
        self.note = Invoice(
            id=_ID,
            user=self.user,
            kind="credit_note",
            number="CN/26-27/000007",
            total_paise=89_940,
            corrects=self.invoice,
        )

    def price(self, code: str, name: str, paise: int, *, per_seat: bool = False) -> Price:
        plan = Plan(id=_ID, code=code, name=name, per_seat=per_seat)
        return Price(id=_ID, plan=plan, version=1, interval="month", amount_paise=paise)

    def pack_payment(self) -> Payment:
        pack = Pack(id=_ID, code="medium", name="Two million tokens", amount_paise=54_900, tokens=2_000_000, days=365)
        purchase = Purchase(id=_ID, user=self.user, pack=pack, amount_paise=54_900, tokens=2_000_000, days=365)
        return Payment(
            id=_ID, user=self.user, purchase=purchase, razorpay_payment_id="pay_Example0000002", amount_paise=54_900,
            method="card", status="captured",
        )  # fmt: skip


_FACTS: Final = [
    ("Pro, monthly", "₹1,499.00"),
    ("Taxable value", "₹1,270.34"),
    ("CGST 9 %", "₹114.33"),
    ("SGST 9 %", "₹114.33"),
    ("Total paid", "₹1,499.00"),
    ("In words", "Rupees One Thousand Four Hundred Ninety-Nine Only"),
]


def _receipt() -> Letter:
    rows = _Rows()
    return mail_texts.receipt(rows.invoice, "Tax invoice", _FACTS, rows.payment)


def _pack() -> Letter:
    rows = _Rows()
    facts = [("Two million tokens", "₹549.00"), ("Total paid", "₹549.00")]
    return mail_texts.receipt(rows.pack_invoice, "Bill of supply", facts, rows.pack_payment())


def _failed() -> Letter:
    rows = _Rows()
    rows.payment.error_description = "Your payment was declined by the bank. Try another way to pay."
    return mail_texts.payment_failed(rows.subscription, rows.payment)


def _changed() -> Letter:
    rows = _Rows()
    return mail_texts.plan_changed(rows.user, (rows.plus, 1), (rows.pro, 1), None, 60_000, 29_940)


def _scheduled() -> Letter:
    rows = _Rows()
    end = rows.subscription.current_period_end
    return mail_texts.plan_changed(rows.user, (rows.team, 5), (rows.team, 3), end, 0, 0)


def _credit_note() -> Letter:
    rows = _Rows()
    refund = Refund(id=_ID, payment=rows.payment, amount_paise=89_940)
    return mail_texts.credit_note(rows.note, "Credit note", [("Pro, monthly", "₹899.40")], refund)


def _refund() -> Letter:
    rows = _Rows()
    reason = "Paid twice: this payment came second."
    return mail_texts.refund_made(Refund(id=_ID, payment=rows.payment, amount_paise=149_900, reason=reason))


_TEAM: Final = Team(id=_ID, name="Weavers", seats=5)


def _heir() -> User:
    return User(id=_ID, email="mia@customer.example", name="Mia", timezone="Asia/Kolkata")


def _still_paying() -> Letter:
    return team_texts.still_paying(_Rows().subscription, _TEAM, _heir())


def _paid_by_another() -> Letter:
    return team_texts.paid_by_another(_Rows().subscription, _TEAM)


def _team_plan_ends() -> Letter:
    return team_texts.plan_ends(_Rows().subscription, _TEAM, "mia@customer.example", to_owner=True)


def _taken_over() -> Letter:
    rows = _Rows()
    new = Subscription(id=_ID, user=_heir(), plan=rows.pro.plan, price=rows.pro, starts_at=now() + timedelta(days=3))
    return team_texts.taken_over(rows.subscription, _TEAM, new)


def _of(text: Callable[[Subscription], Letter]) -> Callable[[], Letter]:
    return lambda: text(_Rows().subscription)


EXAMPLES: Final[Mapping[str, Example]] = {
    "receipt": Example("A cycle of a plan was paid.", _receipt),
    "pack_credited": Example("A pack of tokens was paid.", _pack),
    "payment_failed": Example("A renewal failed and is tried again.", _failed),
    "halted": Example("Every try of a renewal failed.", _of(mail_texts.halted)),
    "plan_changed": Example("Plan, interval or seats were changed at once.", _changed),
    "plan_change_scheduled": Example("A change is to come at the end of the period.", _scheduled),
    "cancel_scheduled": Example("The plan is to end with the period.", _of(mail_texts.cancel_scheduled)),
    "cancel_undone": Example("What was to come was taken back.", _of(mail_texts.cancel_undone)),
    "cancelled": Example("The plan has ended.", lambda: mail_texts.cancelled(_Rows().subscription, 89_940)),
    "paused": Example("The plan was paused.", _of(mail_texts.paused)),
    "resumed": Example("The plan runs again.", _of(mail_texts.resumed)),
    "credit_note": Example("Money goes back of what has an invoice.", _credit_note),
    "refund_made": Example("A payment that bought nothing goes back.", _refund),
    "handed_over": Example("A team has another owner: to whoever still pays for it.", _still_paying),
    "paid_by_another": Example("A team has another owner: to that owner.", _paid_by_another),
    "team_plan_ends": Example("A team's plan is to end that its owner does not pay.", _team_plan_ends),
    "taken_over": Example("Somebody else pays for a team.", _taken_over),
    "renewal_ahead": Example("A week before a charge.", _of(mail_texts.renewal_ahead)),
    "last_period": Example("A plan was charged for the last time.", _of(mail_texts.runs_out)),
    "runs_out": Example("A week before a plan ends that was charged for the last time.", _of(mail_texts.runs_out)),
    "trial_ends": Example("Three days before a trial becomes a paid plan.", _of(mail_texts.trial_ends)),
}
