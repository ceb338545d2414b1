"""Payments on orders: attempts, capture, late authorisation, refunds and disputes."""

from __future__ import annotations

from .account import Account
from .cycles import DAY
from .invoice import Invoice
from .money import GATEWAY_FAILURE, Dispute, Instrument, Order, Payment, Refund
from .refusals import Refused
from .subscription import Subscription

CAPTURE_WITHIN = 3 * DAY
REFUND_WITHIN = 183 * DAY
LATE_FAILURE = GATEWAY_FAILURE | {
    "error_code": "GATEWAY_ERROR",
    "error_description": "Payment processing failed because of incorrect OTP or a time-out at the bank",
    "error_reason": "payment_timed_out",
}


def new_order(
    account: Account,
    amount: int,
    currency: str,
    *,
    receipt: str | None = None,
    notes: dict[str, str] | None = None,
    partial: bool = False,
    captures: bool = True,
    subscription: Subscription | None = None,
) -> Order:
    """An order; subscriptions make one for each of their payments."""
    order = Order(account.new_id("order"), amount, currency, receipt, notes or {}, account.now(), partial, captures)
    if subscription is not None:
        order.subscription_id, order.customer_id = subscription.id, subscription.customer_id
    return account.orders.add(order.id, order)


def attempt(
    account: Account,
    order: Order,
    instrument: Instrument,
    ok: bool,
    *,
    amount: int | None = None,
    email: str = "",
    contact: str = "",
    description: str | None = None,
    token_id: str | None = None,
    error: dict[str, str] | None = None,
) -> Payment:
    """One try to pay an order, with its events. Captured at once where the order wants it."""
    payment = Payment(
        account.new_id("pay"),
        order.amount if amount is None else amount,
        order.currency,
        order.id,
        order.invoice_id,
        instrument,
        email or "void@razorpay.com",
        contact or "+919999999999",
        dict(order.notes),
        account.now(),
        description,
        order.customer_id,
        token_id,
        account.new_id("card") if instrument.method == "card" else None,
        recurring=order.subscription_id is not None,
    )
    account.payments.add(payment.id, payment)
    order.payments.append(payment)
    order.attempts += 1
    if order.status == "created":
        order.status = "attempted"
    if not ok:
        payment.status, payment.error = "failed", dict(error or GATEWAY_FAILURE)
        account.emit("payment.failed", payment=payment)
        return payment
    authorise(account, payment, order)
    return payment


def authorise(account: Account, payment: Payment, order: Order) -> None:
    """The bank said yes; one that said no before may still do so."""
    payment.status, payment.error = "authorized", {}
    account.emit("payment.authorized", payment=payment)
    if order.captures:
        capture(account, payment)
    else:
        account.clock.at(account.now() + CAPTURE_WITHIN, lambda: _return_uncaptured(account, payment))


def capture(account: Account, payment: Payment) -> None:
    """Takes the money of an authorised payment."""
    payment.status, payment.captured = "captured", True
    payment.tax = payment.amount * 36 // 10_000
    payment.fee = payment.amount * 2 // 100 + payment.tax
    order = account.orders.find(payment.order_id)
    first = False
    if order is not None:
        first = order.status != "paid"
        order.amount_paid = min(order.amount, order.amount_paid + payment.amount) if first else order.amount_paid
        if order.amount_paid >= order.amount:
            order.status = "paid"
    account.emit("payment.captured", payment=payment)
    if order is not None and first and order.status == "paid":
        account.emit("order.paid", payment=payment, order=order)
        link = account.links.find(order.link_id)
        if link is not None and link.status == "created":
            link.status = "paid"
            account.emit("payment_link.paid", payment=payment, order=order, payment_link=link)


def _return_uncaptured(account: Account, payment: Payment) -> None:
    if payment.status == "authorized":
        refund(account, payment, payment.amount)


def refund(
    account: Account,
    payment: Payment,
    amount: int | None,
    *,
    notes: dict[str, str] | None = None,
    receipt: str | None = None,
    speed: str = "normal",
) -> Refund:
    """Gives money back: all that is left of the payment when no amount is said. Raises Refused."""
    left = payment.amount - payment.amount_refunded
    if payment.status == "refunded" or (payment.status == "captured" and not left):
        raise Refused("The payment has been fully refunded already", field="payment_id")
    if payment.status not in ("captured", "authorized"):
        raise Refused("The payment status should be captured for action to be taken", field="payment_id")
    if account.now() - payment.created_at > REFUND_WITHIN:
        raise Refused("The payment is more than 6 months old and cannot be refunded")
    amount = left if amount is None else amount
    if amount > left:
        raise Refused("The refund amount provided is greater than amount captured", field="amount")
    made = Refund(
        account.new_id("rfnd"),
        payment.id,
        amount,
        payment.currency,
        notes or {},
        receipt,
        speed,
        account.now(),
        "pending" if account.habits.refunds == "failed" else account.habits.refunds,
    )
    account.refunds.add(made.id, made)
    payment.refunds.append(made)
    payment.amount_refunded += amount
    if payment.amount_refunded >= payment.amount:
        payment.status = "refunded"
    account.emit("refund.created", refund=made, payment=payment)
    if made.status == "processed":
        account.emit("refund.processed", refund=made, payment=payment)
    elif account.habits.refunds == "failed":
        finish_refund(account, made, "failed")
    return made


def finish_refund(account: Account, made: Refund, status: str) -> None:
    """A pending refund is processed, or fails: then the payment has its money again. Raises Refused."""
    if made.status != "pending":
        raise Refused(f"The refund is {made.status} already")
    payment = account.payments.get(made.payment_id)
    made.status = status
    if status == "failed":
        payment.amount_refunded -= made.amount
        payment.status = "captured" if payment.captured else payment.status
    account.emit(f"refund.{status}", refund=made, payment=payment)


def paid_invoice(account: Account, invoice: Invoice, payment: Payment) -> None:
    """An invoice is settled by a payment."""
    order = account.orders.get(invoice.order_id)
    invoice.status, invoice.payment_id, invoice.paid_at = "paid", payment.id, account.now()
    account.emit("invoice.paid", payment=payment, order=order, invoice=invoice)


def dispute(account: Account, payment: Payment, amount: int | None, phase: str, reason: str) -> Dispute:
    """A customer asks the bank for the money back. Raises Refused."""
    if not payment.captured:
        raise Refused("Only a captured payment can be disputed")
    now = account.now()
    made = Dispute(
        account.new_id("disp"),
        payment.id,
        payment.amount if amount is None else amount,
        payment.currency,
        phase,
        reason,
        now,
        now + 7 * DAY,
    )
    account.disputes.add(made.id, made)
    account.emit("payment.dispute.created", payment=payment, dispute=made)
    return made


def move_dispute(account: Account, made: Dispute, status: str) -> None:
    """A dispute goes on: under_review, action_required, won, lost or closed. A lost one takes its amount."""
    made.status = "open" if status == "action_required" else status
    if status == "lost":
        made.amount_deducted = made.amount
    payment = account.payments.get(made.payment_id)
    account.emit(f"payment.dispute.{status}", payment=payment, dispute=made)
