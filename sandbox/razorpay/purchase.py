"""What a checkout or hosted page is about, and paying it: a subscription, another method, an order, an invoice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from . import authenticating, changing, paying
from .account import Account
from .invoice import Invoice
from .keys import WRONG_SECRET, signed
from .link import PaymentLink
from .money import GATEWAY_FAILURE, INSTRUMENTS, Instrument, Order, Payment
from .refusals import Refused
from .subscription import Subscription

CARDS = {
    "4718609108204366": replace(INSTRUMENTS["card_domestic"], last4="4366"),
    "5104060000000008": replace(INSTRUMENTS["card_domestic"], last4="0008", network="MasterCard"),
    "5104015555555558": INSTRUMENTS["card_international"],
}
ADDRESSES = ("success@razorpay", "failure@razorpay")
WRONG_CODE = GATEWAY_FAILURE | {
    "error_description": "Payment failed because the one-time password was wrong",
    "error_source": "customer",
    "error_step": "payment_authentication",
    "error_reason": "incorrect_otp",
}


@dataclass(frozen=True, slots=True)
class Purchase:
    """What is to be paid. Exactly one of the three is there; `change` is about the method alone."""

    subscription: Subscription | None = None
    order: Order | None = None
    invoice: Invoice | None = None
    change: bool = False
    link: PaymentLink | None = None

    @property
    def key(self) -> str:
        """The id of what it is about."""
        about = self.subscription or self.order or self.invoice
        return about.id if about else ""

    @property
    def currency(self) -> str:
        """Its currency."""
        if self.subscription:
            return self.subscription.plan.currency
        about = self.order or self.invoice
        return about.currency if about else "INR"

    @property
    def title(self) -> str:
        """What it says on the page."""
        if self.subscription:
            plan = self.subscription.plan
            each = plan.period if plan.interval == 1 else f"every {plan.interval} periods, {plan.period}"
            return f"{plan.name} · {each}" + (" · another way of paying" if self.change else "")
        if self.link and self.link.description:
            return self.link.description
        return "Invoice" if self.invoice else "One payment"

    def amount(self, account: Account, instrument: Instrument) -> int:
        """What would be taken with this instrument, in the smallest unit."""
        if self.subscription is None:
            about = self.order or self.invoice
            return about.amount if about else 0
        if not self.change:
            return authenticating.due_at_authentication(self.subscription, instrument)
        waiting = account.invoices.find(self.subscription.open_invoice)
        return waiting.amount if waiting else authenticating.TOKENS[instrument.method]


def of_subscription(subscription: Subscription, change: bool) -> Purchase:
    """The payment that a subscription waits for. Raises Refused when it waits for none."""
    if subscription.over:
        raise Refused(f"This subscription is {subscription.status}.")
    if subscription.status == "created" and not change:
        return Purchase(subscription=subscription)
    if subscription.status == "created":
        raise Refused("This subscription has no payment method yet that could be changed.")
    if not change:
        raise Refused(f"This subscription is paid for already: it is {subscription.status}.")
    return Purchase(subscription=subscription, change=True)


def of_checkout(account: Account, options: Mapping[str, str]) -> Purchase:
    """What the options of a checkout name. Raises Refused."""
    if "subscription_id" in options:
        subscription = account.subscriptions.get(options["subscription_id"])
        return of_subscription(subscription, options.get("card_change") == "1")
    order = account.orders.get(options.get("order_id"))
    if order.status == "paid":
        raise Refused("This order is paid already.")
    return Purchase(order=order)


def of_link(account: Account, key: str) -> Purchase:
    """What a hosted page is about. Raises Refused."""
    subscription = account.subscriptions.find(key)
    if subscription is not None:
        return of_subscription(subscription, subscription.status != "created")
    link = account.links.find(key)
    if link is not None:
        if link.status != "created":
            raise Refused(f"This payment link is {link.status}.")
        return Purchase(order=link.order, link=link)
    invoice = account.invoices.get(key)
    if invoice.status != "issued":
        raise Refused(f"This invoice is {invoice.status}.")
    return Purchase(invoice=invoice)


def chosen(form: Mapping[str, str]) -> tuple[Instrument, bool, dict[str, str] | None]:
    """The instrument of a form, whether its bank says yes, and why not. Raises Refused for none of the sandbox's."""
    method, ok, error = form.get("method") or form.get("failing"), "failing" not in form, None
    if method == "card":
        digits = "".join(letter for letter in form.get("number", "") if letter.isdigit())
        instrument = CARDS.get(digits)
        if instrument is None:
            raise Refused("That is none of the sandbox's cards. Never type a real one here.")
        code = form.get("otp", "")
        if not (code.isascii() and code.isdigit() and 4 <= len(code) <= 10):
            ok, error = False, WRONG_CODE
    elif method == "upi":
        address = form.get("vpa", "").strip().lower()
        if address not in ADDRESSES:
            raise Refused(f"The sandbox knows {' and '.join(ADDRESSES)} only.")
        instrument = replace(INSTRUMENTS["upi"], vpa=address)
        ok = ok and address == ADDRESSES[0]
    elif method in ("emandate", "netbanking"):
        instrument = INSTRUMENTS[method]
    else:
        raise Refused("Choose a way of paying.")
    return replace(instrument, works=form.get("later") != "fail"), ok, error


def pay(account: Account, purchase: Purchase, form: Mapping[str, str]) -> Payment:
    """Pays, or tries to. Raises Refused when it can't even be tried."""
    instrument, ok, error = chosen(form)
    email, contact = form.get("email", ""), form.get("contact", "")
    if purchase.subscription is not None:
        take = changing.change_method if purchase.change else authenticating.authenticate
        return take(account, purchase.subscription, instrument, ok, email=email, contact=contact, error=error)
    if purchase.invoice is not None:
        return changing.pay_invoice(account, purchase.invoice, instrument, ok)
    if purchase.order is None:
        raise Refused("There is nothing to pay.")
    return paying.attempt(account, purchase.order, instrument, ok, email=email, contact=contact, error=error)


def signature_of(account: Account, purchase: Purchase, payment: Payment, wanted: str) -> str:
    """What the browser is given as proof: over the two ids in the order of this kind of purchase.

    `wanted` may make it wrong, swapped (the other order) or missing.
    """
    parts = [payment.id, purchase.key] if purchase.subscription else [purchase.key, payment.id]
    if wanted == "swapped":
        parts.reverse()
    secret = WRONG_SECRET if wanted == "wrong" else account.keys.secret
    return "" if wanted == "missing" else signed("|".join(parts), secret)


def answer_of(account: Account, purchase: Purchase, payment: Payment, wanted: str) -> dict[str, str]:
    """What the page is told: success with a signature."""
    name = "razorpay_subscription_id" if purchase.subscription else "razorpay_order_id"
    found = {"razorpay_payment_id": payment.id, name: purchase.key}
    signature = signature_of(account, purchase, payment, wanted)
    return found | ({"razorpay_signature": signature} if signature else {})


def failure_of(payment: Payment) -> dict[str, dict[str, object]]:
    """What the page is told: why not."""
    error: dict[str, object] = {
        name: payment.error.get(f"error_{name}") for name in ("code", "description", "source", "step", "reason")
    }
    error["metadata"] = {"payment_id": payment.id, "order_id": payment.order_id}
    return {"error": error}
