"""Which objects an event makes us look at, and who looks at them.

An effect takes the id of an object, fetches what is true of it, and writes that; it is keyed by the
fact (a payment, a subscription's period), so it may be repeated, by another event or by the
reconciler. Effects are registered from above by ``connect``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

Effect = Callable[[str], object]

_SUBSCRIPTION: Final = "authenticated activated charged pending halted updated paused resumed cancelled completed"
_PAYMENT: Final = "authorized captured failed"
_DISPUTE: Final = "created under_review action_required won lost closed"
_REFUND: Final = "created processed failed speed_changed"

#: Event to kinds of objects, in the order in which they are looked at; those that it does not carry are left out.
KINDS: Final[Mapping[str, tuple[str, ...]]] = (
    {f"subscription.{name}": ("subscription", "payment") for name in _SUBSCRIPTION.split()}
    | {f"payment.{name}": ("payment",) for name in _PAYMENT.split()}
    | {f"payment.dispute.{name}": ("dispute",) for name in _DISPUTE.split()}
    | {f"refund.{name}": ("refund",) for name in _REFUND.split()}
    | {f"invoice.{name}": ("subscription", "payment") for name in ("paid", "partially_paid", "expired")}
    | {f"payment_link.{name}": ("payment",) for name in ("paid", "partially_paid")}
    | {"order.paid": ("order", "payment")}
)

_effects: dict[str, Effect] = {}


class NotOurs(Exception):
    """Raised by an effect: what was fetched can't be of ours. The event is put aside at once and owners hear of it."""


class NoEffect(LookupError):
    """Nobody has registered for this kind of object."""


def connect(**effects: Effect) -> None:
    """Register who looks at a ``subscription``, ``payment``, ``order``, ``refund`` or ``dispute``."""
    _effects.update(effects)


def apply(kind: str, entity_id: str) -> None:
    """Let the effect of ``kind`` look at an object. NoEffect when there is none; else whatever it raises."""
    effect = _effects.get(kind)
    if effect is None:
        raise NoEffect(f"nothing looks at a {kind}")
    effect(entity_id)
