"""Objects of Razorpay as its documents show them; a test changes what it is about."""

from __future__ import annotations

from typing import Any


def subscription(**fields: Any) -> dict[str, Any]:
    return {
        "id": "sub_AAAAAAAAAAAA01", "entity": "subscription", "plan_id": "plan_AAAAAAAAAAAA01", "status": "active",
        "current_start": 1790000000, "current_end": 1792592000, "ended_at": None, "quantity": 1, "notes": [],
        "charge_at": 1792592000, "start_at": None, "end_at": None, "auth_attempts": 0, "total_count": 12,
        "paid_count": 1, "customer_notify": True, "created_at": 1790000000, "expire_by": None,
        "short_url": "https://rzp.io/rzp/xxxx", "has_scheduled_changes": False, "change_scheduled_at": None,
        "source": "api", "remaining_count": 11,
    } | fields  # fmt: skip


def payment(**fields: Any) -> dict[str, Any]:
    return {
        "id": "pay_AAAAAAAAAAAA01", "entity": "payment", "amount": 49900, "currency": "INR", "status": "captured",
        "order_id": "order_AAAAAAAAAAA01", "invoice_id": "inv_AAAAAAAAAAAA01", "international": False,
        "method": "card", "amount_refunded": 0, "refund_status": None, "captured": True, "description": None,
        "card": {"last4": "4366", "network": "Visa", "type": "credit"}, "vpa": None, "email": "a@example.com",
        "contact": "+919999999999", "notes": [], "fee": 1178, "tax": 180, "error_code": None, "created_at": 1790000000,
    } | fields  # fmt: skip


def order(**fields: Any) -> dict[str, Any]:
    return {
        "id": "order_AAAAAAAAAAA01", "entity": "order", "amount": 49900, "amount_paid": 0, "amount_due": 49900,
        "currency": "INR", "receipt": "r1", "offer_id": None, "status": "created", "attempts": 0, "notes": [],
        "created_at": 1790000000,
    } | fields  # fmt: skip


def refund(**fields: Any) -> dict[str, Any]:
    return {
        "id": "rfnd_AAAAAAAAAAAA1", "entity": "refund", "amount": 1000, "currency": "INR", "status": "processed",
        "payment_id": "pay_AAAAAAAAAAAA01", "notes": [], "receipt": None, "acquirer_data": {"arn": None},
        "created_at": 1790000000, "batch_id": None, "speed_requested": "normal", "speed_processed": "normal",
    } | fields  # fmt: skip


def plan(**fields: Any) -> dict[str, Any]:
    item = {"id": "item_AAAAAAAAAAAA1", "active": True, "name": "Plus", "amount": 49900, "currency": "INR"}
    return {
        "id": "plan_AAAAAAAAAAAA01", "entity": "plan", "interval": 1, "period": "monthly", "item": item, "notes": [],
        "created_at": 1790000000,
    } | fields  # fmt: skip


def invoice(**fields: Any) -> dict[str, Any]:
    return {
        "id": "inv_AAAAAAAAAAAA01", "entity": "invoice", "order_id": "order_AAAAAAAAAAA01", "amount": 49900,
        "subscription_id": "sub_AAAAAAAAAAAA01", "payment_id": "pay_AAAAAAAAAAAA01", "status": "paid",
        "amount_paid": 49900, "amount_due": 0, "currency": "INR", "billing_start": 1790000000,
        "billing_end": 1792592000, "issued_at": 1790000000, "paid_at": 1790000000, "notes": [],
        "created_at": 1790000000,
    } | fields  # fmt: skip
