"""How often somebody may have Razorpay asked: ordering, changing, and saying that they have paid.

Counted at the doors, by page and API together. What is refused here is not lost: a payment is heard of by its event,
and an order stands until it ends.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from accounts import throttles
from accounts.throttles import Limit

ORDERS: Final = Limit("billing-orders/account", 60, 3600)
CHANGES: Final = Limit("billing-changes/account", 60, 3600)
RETURNS: Final = Limit("billing-returns/account", 60, 600)
RETURNS_BY_ORDER: Final = Limit("billing-returns/order", 30, 600)
RETURNS_BY_ADDRESS: Final = Limit("billing-returns/address", 300, 600)


def count_order(user_id: UUID) -> None:
    """Something is ordered. Refusal ``too_many_attempts``, as of the others here."""
    throttles.take(ORDERS, str(user_id))


def count_change(user_id: UUID) -> None:
    """What is subscribed is changed, ended, paused, or one of these is taken back."""
    throttles.take(CHANGES, str(user_id))


def count_verification(user_id: UUID) -> None:
    """Somebody who is signed in says that they have paid."""
    throttles.take(RETURNS, str(user_id))


def count_return(order_id: UUID, address: str) -> None:
    """A browser comes back to an order from ``address`` (a group of addresses); nobody is signed in there."""
    throttles.take(RETURNS_BY_ADDRESS, address)
    throttles.take(RETURNS_BY_ORDER, str(order_id))
