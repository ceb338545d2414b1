"""What is sold, what was bought, and the papers about it.

Amounts are whole numbers of the currency's smallest unit (paise). Each table has one module that writes it;
its docstring names it. ``team_id`` names a team that an account stands for; null is a person's own.
"""

from billing.models.inbox import WebhookEvent, WebhookState
from billing.models.invoices import (
    BillingDetails,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    InvoiceMail,
    InvoicePdf,
    InvoiceSeries,
    Seller,
)
from billing.models.notices import Notice
from billing.models.offers import Coupon, CouponUse, Pack, Trial
from billing.models.payments import Payment, Purchase, Refund
from billing.models.plans import Plan, Price
from billing.models.reconciliation import Difference
from billing.models.subscriptions import Subscription, SubscriptionChange, SubscriptionStatus

__all__ = [
    "BillingDetails",
    "Coupon",
    "CouponUse",
    "Difference",
    "Invoice",
    "InvoiceKind",
    "InvoiceLine",
    "InvoiceMail",
    "InvoicePdf",
    "InvoiceSeries",
    "Notice",
    "Pack",
    "Payment",
    "Plan",
    "Price",
    "Purchase",
    "Refund",
    "Seller",
    "Subscription",
    "SubscriptionChange",
    "SubscriptionStatus",
    "Trial",
    "WebhookEvent",
    "WebhookState",
]
