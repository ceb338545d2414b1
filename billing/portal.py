"""What somebody's page of plan and billing says: how things stand, in plain words, and what can be done about it.

Only read here. Amounts and dates are those of our rows, which hold what Razorpay last said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

from accounts.models import User
from billing import changing, ending, refunds, standing, terms
from billing.cycles import GRACE_DAYS
from billing.models import Invoice, Payment, Subscription, SubscriptionStatus
from billing.standing import ENDED, OPEN, Holder
from billing.whose import address
from billing.wording import bought, day, interval, method, rupees
from oneai.kit.clock import now
from oneai.kit.errors import Refusal

Status = SubscriptionStatus
RECENT: Final = timedelta(days=30)
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class Deed:
    """A button: a link, or with ``posts`` a form of its own."""

    label: str
    href: str
    posts: bool = False
    look: str = "outline"


@dataclass(frozen=True, slots=True)
class Said:
    """How something stands. ``level``: good, info, warning or danger; ``chip`` in two words, ``text`` in a sentence."""

    level: str
    chip: str
    text: str
    deeds: Sequence[Deed] = ()


def current(holder: Holder) -> Subscription | None:
    """What the holder has subscribed to and has not ended."""
    try:
        row = changing.current(holder)
    except Refusal:
        return None
    return None if "ended" in row.metadata else row


def waiting(holder: Holder) -> list[Subscription]:
    """What was ordered and not paid yet, and can still be, the newest first."""
    rows = standing.of(holder).filter(user_id=holder.user_id, status__in=OPEN, expires_at__gt=now())
    return list(rows.select_related("plan", "price").order_by("-created_at", "-id"))


def last_ended(holder: Holder) -> Subscription | None:
    """The plan that ended in the last month, while there is no other."""
    rows = standing.of(holder).filter(ended_at__gt=now() - RECENT, paid_count__gt=0)
    ended = rows.filter(Q(status__in=ENDED) | Q(metadata__has_key="ended"))
    return ended.select_related("plan", "price").order_by("-ended_at").first()


def running_out(holder: Holder, user: User) -> Said | None:
    """What is said of a plan that was charged for the last time, and how it can go on."""
    row = ending.running_out(holder)
    if row is None:
        return None
    text = (
        f"{row.plan.name} is paid until {day(ending.ends_at(row), user)} and does not renew by itself any more: the "
        "permission to charge you has been used up. Confirm it again, and it goes on without a gap. You pay when the "
        "new period begins, not now."
    )
    again = address("billing_checkout", holder, plan=row.plan.code, interval=row.price.interval)
    return Said("warning", "Ending", text, [Deed("Go on with it", again, look="primary")])


def amount(row: Subscription) -> int:
    """What the next cycle costs, in paise: with what is scheduled for then."""
    later = changing.waiting_replacement(row)
    if later is not None:
        return terms.amount(later.price, later.quantity)
    return terms.amount(row.next_price or row.price, row.next_quantity or row.quantity)


def next_charge(row: Subscription) -> datetime | None:
    """When it is charged next; None when it never is, or nobody knows."""
    if row.cancel_at_cycle_end or row.status in (Status.PAUSED, Status.HALTED) or row.status in ENDED:
        return None
    if row.status == Status.PENDING:
        return row.charge_at
    return row.starts_at if row.status == Status.AUTHENTICATED else ending.ends_at(row)


def said(row: Subscription, user: User) -> Said:
    """How a subscription stands, and the deeds that its state asks for."""
    name, end = row.plan.name, day(ending.ends_at(row), user)
    if row.user_id != user.pk:
        return _paid_by_another(row, end)
    pay = Deed("Pay or change how you pay", address("billing_method", standing.holder_of(row), row.pk), look="primary")
    match row.status:
        case Status.HALTED:
            text = f"No payment came through, so {name} has stopped. It comes back the moment one does."
            return Said("danger", "Stopped", text, [pay])
        case Status.PENDING:
            tries = f" The next try is on {day(row.charge_at, user)}." if row.charge_at else ""
            text = (
                f"Your payment failed.{tries} For {GRACE_DAYS} days after the period you have a tenth of what {name} "
                "holds; "
                "if every try fails, it stops."
            )
            return Said("warning", "Payment failed", text, [pay])
        case Status.PAUSED:
            text = (
                f"{name} is paused: nothing is charged, and you have what the free plan gives. A pause that you made "
                "in "
                "your UPI app can only be ended there."
            )
            return Said(
                "info",
                "Paused",
                text,
                [Deed("Take it up again", address("billing_resume", standing.holder_of(row)), True, "primary")],
            )
    if row.cancel_at_cycle_end:
        if row.cancel_sent_at is not None:
            text = f"{name} ends on {end}. Too little time is left to take that back; you can subscribe again after it."
            return Said("info", "Ending", text)
        text = f"{name} ends on {end}. Until then you have all of it, and nothing more is charged."
        return Said(
            "info",
            "Ending",
            text,
            [Deed("Keep the plan", address("billing_undo", standing.holder_of(row)), True, "primary")],
        )
    return _running(row, user, end)


def _paid_by_another(row: Subscription, end: str) -> Said:
    """To a team's owner, while whoever owned it before pays."""
    payer = row.user.name or row.user.email
    later = changing.waiting_replacement(row)
    if later is not None:
        text = f"{row.plan.name} is paid by {payer} until {end}. From then on you pay for it."
        return Said("info", "Changing hands", text)
    text = f"{row.plan.name} is paid by {payer}, who may stop that at any time."
    if row.cancel_at_cycle_end:
        text = f"{row.plan.name} is paid by {payer}, and ends on {end}."
    elif row.status in (Status.PENDING, Status.HALTED):
        text = f"{row.plan.name} is paid by {payer}, whose payment failed."
    elif row.status == Status.PAUSED:
        text = f"{row.plan.name} is paid by {payer} and paused."
    over = address(
        "billing_change",
        standing.holder_of(row),
        offer=f"{row.plan.code}:{row.price.interval}",
        seats=str(row.quantity),
        when=terms.CYCLE_END if ending.is_running(row) else terms.NOW,
    )
    text += " Take the payment over, and it goes on without a gap; nobody pays twice."
    return Said("warning", "Paid by another", text, [Deed("Take over the payment", over, look="primary")])


def _running(row: Subscription, user: User, end: str) -> Said:
    after = _scheduled(row)
    if after:
        text = f"On {end} your plan becomes {after}. Until then it stays as it is."
        return Said(
            "info", "Changing", text, [Deed("Take it back", address("billing_undo", standing.holder_of(row)), True)]
        )
    if terms.is_changing(row):
        return Said("info", "Changing", "A change is being made. It shows here as soon as Razorpay has it.")
    if row.status == Status.AUTHENTICATED:
        begins = day(row.starts_at, user)
        if row.trial:
            text = f"Your trial ends on {begins}. Then you are charged {rupees(amount(row))}, unless you cancel before."
            return Said("good", "Trial", text)
        return Said("info", "To come", f"{row.plan.name} begins on {begins}, when you are charged for it.")
    return Said("good", "Active", f"It goes on by itself on {end}.")


def _scheduled(row: Subscription) -> str:
    """What it becomes with the next cycle; empty when nothing is to change."""
    later = changing.waiting_replacement(row)
    if later is not None:
        return bought(later.plan, later.price, later.quantity)
    if row.next_price is None or terms.is_changing(row):
        return ""
    return bought(row.next_price.plan, row.next_price, row.next_quantity or row.quantity)


def price_text(row: Subscription) -> str:
    """₹1,499.00 a month; with seats what all of them cost."""
    text = f"{rupees(row.price.amount_paise * row.quantity)} {interval(row.price)}"
    return f"{text} for {row.quantity:,} seats" if row.plan.per_seat and row.quantity > 1 else text


# Orders that wait -----------------------------------------------------------------------------------
def of_order(row: Subscription, user: User) -> Said:
    """How an order that is not paid stands."""
    pay = Deed("Pay now", address("billing_pay", standing.holder_of(row), row.pk), look="primary")
    failed = row.payments.filter(status=FAILED).order_by("-created_at").first()
    what = bought(row.plan, row.price, row.quantity)
    until = f"It waits until {day(row.expires_at, user)}." if row.expires_at else ""
    if failed is not None:
        why = f" ({failed.error_description.rstrip('.')})" if failed.error_description else ""
        return Said("warning", "Not paid", f"The payment for {what} failed{why}. Nothing was taken. {until}", [pay])
    if row.replaces_id is not None:
        return Said("info", "To confirm", f"The change to {what} waits for you to confirm it. {until}", [pay])
    return Said("info", "Not paid", f"Your order of {what} is not paid yet. {until}", [pay])


# Payments ---------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Back:
    """A refund in words."""

    amount: str
    text: str


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment as the page lists it."""

    payment: Payment
    what: str
    when: datetime
    amount: str
    by: str
    text: str
    level: str
    refunds: Sequence[Back]
    invoice: Invoice | None


def paid(holder: Holder, user: User, most: int) -> list[Paid]:
    """The newest payments, also those that failed, with what went back of each."""
    mine = Q(subscription__team_id=holder.team_id) | Q(purchase__team_id=holder.team_id)
    if holder.team_id is None:
        mine = Q(subscription__team_id=None, purchase__team_id=None)
    rows = Payment.objects.filter(mine, user_id=holder.user_id)
    rows = rows.select_related("subscription__plan", "subscription__price", "purchase__pack", "invoice")
    newest = rows.prefetch_related("refunds", "invoice__lines").order_by("-created_at", "-id")
    return [_paid(row, user) for row in newest[:most]]


def _paid(row: Payment, user: User) -> Paid:
    level, text = _in_words(row)
    back = [
        Back(rupees(each.amount_paise), _refund_text(each.status, each.processed_at, user))
        for each in row.refunds.all()
    ]
    return Paid(
        payment=row,
        what=_what(row),
        when=row.paid_at or row.created_at,
        amount=rupees(row.amount_paise),
        by=method(row.method),
        text=text,
        level=level,
        refunds=back,
        invoice=getattr(row, "invoice", None),
    )


def _what(row: Payment) -> str:
    """What it was for: as its invoice says, since the plan may be another by now."""
    paper = getattr(row, "invoice", None)
    if paper is not None:
        return ", ".join(line.description for line in paper.lines.all())
    if row.subscription is not None:
        return row.subscription.plan.name
    return row.purchase.pack.name if row.purchase is not None else "Payment"


def _in_words(row: Payment) -> tuple[str, str]:
    if row.dispute and row.dispute not in ("won", "closed"):
        return "warning", "Disputed at your bank" if row.dispute != "lost" else "Taken back by your bank"
    if row.status == FAILED:
        return "danger", f"Failed: {row.error_description}" if row.error_description else "Failed"
    if row.refunded_paise >= row.amount_paise:
        return "info", "Paid back"
    if row.paid_at is not None:
        return "good", "Paid, in part paid back" if row.refunded_paise else "Paid"
    return "info", "Under way"


def _refund_text(status: str, processed_at: datetime | None, user: User) -> str:
    if status == refunds.TO_PAY:
        return "to be paid to your bank account: the payment is more than six months old"
    if status == "failed":
        return "could not be paid back; we have been told"
    if processed_at is not None:
        return f"paid back on {day(processed_at, user)}"
    return "on its way back, 5 to 7 working days"


def changes_freely(row: Subscription) -> bool:
    """Whether nothing is scheduled for it or being made, so that it may be changed."""
    return row.next_price_id is None and changing.waiting_replacement(row) is None and not terms.is_changing(row)
