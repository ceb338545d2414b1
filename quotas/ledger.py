"""The ledger's door: what other apps need to hold, settle and release quota.

A call to a model goes: ``Book.open`` in the caller's transaction, ``admit``, ``close``, commit, and
only then upstream; while it runs ``heartbeat`` every 3 s, and ``Book.extend`` should it need more; at
its end another book with ``settle``, ``release`` or ``orphan``. What ``claim_due`` gives was left
behind, and the claimant ends it. Top-ups are given and taken back by ``quotas.grants``.
"""

from quotas.admission import FLOOR, Ask, KeyLimits
from quotas.book import Book
from quotas.ceiling import Contended
from quotas.cost import Price, cost_nano
from quotas.figures import Admitted, Charge, LimitState
from quotas.leases import STALE_AFTER, DueHold, anything_due, claim_due, heartbeat, still_open
from quotas.rates import RateState

__all__ = [
    "FLOOR",
    "STALE_AFTER",
    "Admitted",
    "Ask",
    "Book",
    "Charge",
    "Contended",
    "DueHold",
    "KeyLimits",
    "LimitState",
    "Price",
    "RateState",
    "anything_due",
    "claim_due",
    "cost_nano",
    "heartbeat",
    "still_open",
]
