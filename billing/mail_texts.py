"""What the mails about money say. Pure: rows in, a letter out; nothing is looked up and nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from accounts.models import User
from billing.letters import Letter, Link
from billing.models import Invoice, Payment, Price, Refund, Subscription
from billing.refunds import TO_PAY
from billing.wording import bought, day, interval, method, of_payment, rupees
from oneai.kit.clock import now

BILLING: Final = Link("See your plan", "/billing")
BACK: Final = "goes back the way you paid; banks take 5 to 7 working days to show it."
TOO_OLD: Final = (
    "Your payment is more than six months old, so it can’t go back the way you paid. We pay it to your bank account: "
    "please answer this mail with the account’s number."
)
CHOICE: Final = "You can switch these reminders off under “Plan and billing”."


def plan_of(subscription: Subscription) -> str:
    """What is subscribed, in words."""
    return bought(subscription.plan, subscription.price, subscription.quantity)


def amount_of(subscription: Subscription) -> int:
    """What a cycle of it costs, in paise."""
    return subscription.price.amount_paise * subscription.quantity


# Money that came, and its papers ------------------------------------------------------------------------
Facts = Sequence[tuple[str, str]]


def receipt(invoice: Invoice, title: str, facts: Facts, payment: Payment | None) -> Letter:
    """A payment has arrived; its invoice (``title`` is what the law calls it) goes with the mail."""
    pack = payment.purchase if payment is not None else None
    if invoice.replaces_id is not None:
        heading = f"{title} {invoice.number} stands in another's stead"
        what = "Your billing details on it are the new ones. Nothing is charged for that."
    elif pack is not None:
        heading = "Your tokens are there"
        what = f"{pack.tokens:,} tokens are credited. They are used once those of your plan are."
    else:
        heading, what = "Thank you, your payment is in", "What you have paid for is yours to use."
    return Letter(
        subject=f"{title} {invoice.number}: {rupees(invoice.total_paise)}",
        heading=heading,
        what=what,
        facts=[*facts, *(_way(payment) if payment is not None else [])],
        then=f"{title} {invoice.number} is attached as a PDF.",
        action=Link("See it on the site", f"/billing/invoices/{invoice.pk}"),
        links=[BILLING, Link("To whom invoices are written", "/settings/billing")],
        foot="You get this mail once for each payment.",
    )


def credit_note(invoice: Invoice, title: str, facts: Facts, refund: Refund | None) -> Letter:
    """Money goes back, or an invoice is written anew; the credit note goes with the mail."""
    total = rupees(invoice.total_paise)
    corrects = f" It corrects invoice {invoice.corrects.number}." if invoice.corrects is not None else ""
    by_hand = refund is not None and refund.razorpay_refund_id is None
    back = "It was paid to your bank account." if by_hand else f"It {BACK}"
    return Letter(
        subject=f"{title} {invoice.number}: {total}",
        heading=f"{total} is on its way back" if refund is not None else f"{total} is written anew",
        what=(back if refund is not None else "Another invoice stands in its stead; no money moves.") + corrects,
        facts=[*facts, *(_way(refund.payment) if refund is not None else [])],
        then=f"{title} {invoice.number} is attached as a PDF.",
        action=Link("See it on the site", f"/billing/invoices/{invoice.pk}"),
        links=[Link("See your payments", "/billing#payments")],
        foot="You get this mail once for each refund.",
    )


def _way(payment: Payment) -> list[tuple[str, str]]:
    by = [("By", method(payment.method))] if payment.method else []
    return [*by, ("Payment", payment.razorpay_payment_id)]


# Money that did not come ---------------------------------------------------------------------------
def payment_failed(subscription: Subscription, payment: Payment | None) -> Letter:
    """A charge of a running subscription failed and is tried again."""
    user = subscription.user
    facts = [
        ("Plan", plan_of(subscription)),
        ("Amount", rupees(payment.amount_paise if payment else amount_of(subscription))),
    ]
    if payment and payment.error_description:
        facts.append(("The bank says", payment.error_description))
    if subscription.charge_at:
        facts.append(("Next try", day(subscription.charge_at, user)))
    return Letter(
        subject=f"Your payment for {subscription.plan.name} failed",
        heading="Your payment failed",
        what=f"The charge for {subscription.plan.name} did not go through. Nothing was taken, and you can go on for "
        "now.",
        facts=facts,
        then="It is tried again by itself, on three days at most. If it fails each time, the plan stops. You can pay "
        "now "
        "instead, or give another card, UPI or bank account.",
        action=Link("Pay or change how you pay", "/billing"),
        foot="You get this mail for each try that fails.",
    )


def halted(subscription: Subscription) -> Letter:
    """Every try failed."""
    name = subscription.plan.name
    return Letter(
        subject=f"{name} has stopped: no payment came through",
        heading=f"{name} has stopped",
        what="Every try to charge you failed, so your account has what the free plan gives. Your conversations, keys "
        "and "
        "settings are as they were.",
        facts=[("Plan", plan_of(subscription)), ("Amount", rupees(amount_of(subscription)))],
        then="It comes back the moment a payment goes through.",
        action=Link("Change how you pay", "/billing"),
    )


# What was asked for --------------------------------------------------------------------------------
def plan_changed(
    user: User, old: tuple[Price, int], new: tuple[Price, int], at: datetime | None, paid_paise: int, credit_paise: int
) -> Letter:
    """Another plan, interval or number of seats: ``at`` once for later, None for now."""
    before, after = (bought(price.plan, price, quantity) for price, quantity in (old, new))
    facts = [("Before", before), ("From then on" if at else "Now", after)]
    facts.append(("Price", f"{rupees(new[0].amount_paise * new[1])} {interval(new[0])}"))
    if paid_paise:
        facts.append(("Paid now, for the rest of the period", rupees(paid_paise)))
    if credit_paise:
        facts.append((f"Credit for what was left of {old[0].plan.name}", rupees(credit_paise)))
    if at is not None:
        when = day(at, user)
        return Letter(
            subject=f"Your plan changes on {when}",
            heading=f"{new[0].plan.name} begins on {when}",
            what="Until then everything stays as it is. You can take the change back until that day.",
            facts=facts,
            action=BILLING,
        )
    return Letter(
        subject=f"Your plan is now {new[0].plan.name}",
        heading=f"You now have {after}",
        what="What the new plan holds is yours from now on. What you have used in this period stays used.",
        facts=facts,
        action=BILLING,
    )


def cancel_scheduled(subscription: Subscription) -> Letter:
    """It is to end with the period that is paid for."""
    when = day(subscription.current_period_end, subscription.user)
    return Letter(
        subject=f"{subscription.plan.name} ends on {when}",
        heading=f"{subscription.plan.name} ends on {when}",
        what="You have cancelled. You keep all of it until that day, and nothing more is charged.",
        facts=[("Plan", plan_of(subscription)), ("Ends", when)],
        then="After it your account goes on with the free plan. Your conversations stay. If you change your mind "
        "before "
        "that day, one click keeps the plan.",
        action=Link("Keep the plan", "/billing"),
    )


def cancel_undone(subscription: Subscription) -> Letter:
    """A cancellation was taken back."""
    when = day(subscription.current_period_end, subscription.user)
    return Letter(
        subject=f"{subscription.plan.name} goes on",
        heading=f"{subscription.plan.name} goes on",
        what="You have taken back what was to happen at the end of this period.",
        facts=[("Plan", plan_of(subscription)), ("Next charge", f"{rupees(amount_of(subscription))} on {when}")],
        action=BILLING,
    )


def cancelled(subscription: Subscription, refund_paise: int, by_hand: bool = False) -> Letter:
    """It has ended: at once, with the period, or at the bank."""
    facts = [("Plan", plan_of(subscription)), ("Ended", day(subscription.ended_at or now(), subscription.user))]
    then = "Your account goes on with the free plan. Your conversations, keys and settings are as they were."
    if refund_paise:
        facts.append(("Refund", rupees(refund_paise)))
        then += f" {TOO_OLD}" if by_hand else f" The refund {BACK}"
    return Letter(
        subject=f"{subscription.plan.name} has ended",
        heading=f"{subscription.plan.name} has ended",
        what="The plan is cancelled and nothing more is charged.",
        facts=facts,
        then=then,
        action=Link("See the plans", "/pricing"),
    )


def paused(subscription: Subscription) -> Letter:
    """No charges and no quota of the plan until it is resumed."""
    return Letter(
        subject=f"{subscription.plan.name} is paused",
        heading=f"{subscription.plan.name} is paused",
        what="Nothing is charged while it is paused, and your account has what the free plan gives.",
        facts=[("Plan", plan_of(subscription))],
        then="Take it up again whenever you like. If you paused it in your UPI app, it can only be taken up there.",
        action=Link("Take it up again", "/billing"),
    )


def resumed(subscription: Subscription) -> Letter:
    """It runs again."""
    facts = [("Plan", plan_of(subscription))]
    if subscription.current_period_end:
        facts.append(("Next charge", day(subscription.current_period_end, subscription.user)))
    return Letter(
        subject=f"{subscription.plan.name} runs again",
        heading=f"{subscription.plan.name} runs again",
        what="Your plan is back.",
        facts=facts,
        action=BILLING,
    )


def refund_made(refund: Refund) -> Letter:
    """A payment that bought nothing goes back: it came second, or after the end. There is no invoice of it."""
    payment = refund.payment
    facts = [
        ("Refund", rupees(refund.amount_paise)),
        ("Of", f"{rupees(payment.amount_paise)} for {of_payment(payment)}"),
    ]
    return Letter(
        subject=f"Refund of {rupees(refund.amount_paise)}",
        heading=f"{rupees(refund.amount_paise)} is on its way back",
        what=f"{refund.reason or 'This payment bought nothing.'} "
        f"{TOO_OLD if refund.status == TO_PAY else f'It {BACK}'}",
        facts=[*facts, *_way(payment)],
        action=Link("See your payments", "/billing#payments"),
        foot="You get this mail for every refund.",
    )


# What is to come -----------------------------------------------------------------------------------
def renewal_ahead(subscription: Subscription) -> Letter:
    """A charge is a week away. What is scheduled for that day is what will be charged."""
    price = subscription.next_price or subscription.price
    quantity = subscription.next_quantity or subscription.quantity
    when = day(subscription.current_period_end, subscription.user)
    facts = [
        ("Plan", bought(price.plan, price, quantity)),
        ("Amount", rupees(price.amount_paise * quantity)),
        ("On", when),
    ]
    if subscription.payment_method:
        facts.append(("By", method(subscription.payment_method)))
    return Letter(
        subject=f"{price.plan.name} renews on {when}",
        heading=f"{price.plan.name} renews on {when}",
        what="Your plan goes on by itself; there is nothing to do. Your bank may tell you of the charge as well.",
        facts=facts,
        action=Link("Change or cancel", "/billing"),
        foot=CHOICE,
    )


def runs_out(subscription: Subscription) -> Letter:
    """Banks let a mandate be charged so many times; this one has been, and its last period runs."""
    name, when = subscription.plan.name, day(subscription.allowed_until, subscription.user)
    return Letter(
        subject=f"{name} runs until {when}: please confirm how you pay",
        heading=f"{name} ends on {when} unless you confirm it again",
        what=f"You have paid for {name} so long that the permission to charge you has been used up. All that is paid "
        "for stays yours until that day, and nothing more is charged by itself.",
        facts=[("Plan", plan_of(subscription)), ("Paid until", when)],
        then="Confirm it again before, and it goes on without a gap. You pay when the new period begins, not now.",
        action=Link("Go on with it", "/billing"),
    )


def trial_ends(subscription: Subscription) -> Letter:
    """A trial is about to become a paid plan by itself."""
    when = day(subscription.starts_at, subscription.user)
    return Letter(
        subject=f"Your trial of {subscription.plan.name} ends on {when}",
        heading=f"Your trial ends on {when}",
        what=f"On that day you are charged for {subscription.plan.name} for the first time, and it goes on.",
        facts=[("Plan", plan_of(subscription)), ("First charge", f"{rupees(amount_of(subscription))} on {when}")],
        then="If you don’t want that, cancel before. It costs nothing.",
        action=Link("Keep or cancel", "/billing"),
    )
