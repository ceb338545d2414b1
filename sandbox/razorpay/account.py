"""The books of one mode of the account: everything that exists there, and what happens in it. In memory, bounded."""

from __future__ import annotations

import random
import string
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .clock import Clock
from .events import Event, body_of
from .invoice import Customer, Invoice
from .keys import Keys
from .link import PaymentLink
from .money import Dispute, Order, Payment, Refund
from .refusals import unknown_id
from .subscription import Addon, Plan, Subscription
from .webhooks import Manner, Webhooks

KEPT = 50_000
ALPHABET = string.ascii_letters + string.digits
T = TypeVar("T")


class Shelf(Generic[T]):
    """Objects by id, oldest first. Beyond the bound the oldest go."""

    def __init__(self) -> None:
        self._rows: OrderedDict[str, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[T]:
        return iter(self._rows.values())

    def add(self, key: str, row: T) -> T:
        """Keeps one."""
        self._rows[key] = row
        if len(self._rows) > KEPT:
            self._rows.popitem(last=False)
        return row

    def remove(self, key: str) -> None:
        """Forgets one."""
        self._rows.pop(key, None)

    def find(self, key: str | None) -> T | None:
        """The one of this id, or None."""
        return self._rows.get(key) if key else None

    def get(self, key: str | None, field: str | None = None) -> T:
        """The one of this id. Raises Refused as the service does; `field` names where the id stood."""
        found = self.find(key)
        if found is None:
            raise unknown_id(field)
        return found

    def newest_first(self) -> Iterator[T]:
        """All, newest first, as lists show them."""
        return reversed(self._rows.values())


@dataclass(slots=True)
class Habits:
    """How this account behaves where the service has more than one way.

    `refunds` is what becomes of a new refund: processed, pending or failed. `cancel_at_end` is scheduled, or immediate
    as some have seen it. `debit_delay_seconds` passes between an invoice and its automatic charge by UPI or domestic
    card. `signature` is what the checkout's answer carries: good, wrong, swapped (the parts in the other order) or
    missing, for the next `signatures` answers. `return_delay_seconds` (real) passes before the browser has its answer.
    """

    refunds: str = "processed"
    cancel_at_end: str = "scheduled"
    debit_delay_seconds: int = 0
    subscriptions_enabled: bool = True
    signature: str = "good"
    signatures: int = 0
    return_delay_seconds: float = 0.0


class Account:
    """One mode: test or live. They share the clock and nothing else."""

    def __init__(self, keys: Keys, clock: Clock, base_url: Callable[[], str]) -> None:
        self.keys = keys
        self.clock = clock
        self.webhooks = Webhooks(clock)
        self._base_url = base_url
        self._random = random.Random()
        self.clear(Manner())

    def clear(self, manner: Manner) -> None:
        """Forgets everything, and takes other webhook settings."""
        self.habits = Habits()
        self.plans: Shelf[Plan] = Shelf()
        self.customers: Shelf[Customer] = Shelf()
        self.subscriptions: Shelf[Subscription] = Shelf()
        self.addons: Shelf[Addon] = Shelf()
        self.invoices: Shelf[Invoice] = Shelf()
        self.orders: Shelf[Order] = Shelf()
        self.payments: Shelf[Payment] = Shelf()
        self.refunds: Shelf[Refund] = Shelf()
        self.disputes: Shelf[Dispute] = Shelf()
        self.links: Shelf[PaymentLink] = Shelf()
        self.events: Shelf[Event] = Shelf()
        self.refund_keys: dict[str, tuple[bytes, Refund]] = {}
        self.webhooks.clear(manner)

    def now(self) -> int:
        """Unix seconds of the sandbox's clock."""
        return self.clock.now()

    def new_id(self, prefix: str = "") -> str:
        """An id as the service writes them: a prefix and 14 letters or digits."""
        letters = "".join(self._random.choices(ALPHABET, k=14))
        return f"{prefix}_{letters}" if prefix else letters

    def link(self, of: str) -> str:
        """The address of a hosted page."""
        return f"{self._base_url()}/razorpay/i/{of}"

    def shelves(self) -> dict[str, Shelf[Any]]:
        """Every kind of object by the prefix of its ids."""
        return {
            "plan": self.plans,
            "cust": self.customers,
            "sub": self.subscriptions,
            "ao": self.addons,
            "inv": self.invoices,
            "order": self.orders,
            "pay": self.payments,
            "rfnd": self.refunds,
            "disp": self.disputes,
            "plink": self.links,
        }

    def any_object(self, key: str) -> Any:
        """The object of an id of any kind. Raises Refused for an unknown one."""
        shelf = self.shelves().get(key.partition("_")[0])
        if shelf is None:
            raise unknown_id()
        return shelf.get(key)

    def emit(self, name: str, **about: Any) -> Event:
        """Writes an event about these objects as they are now, and has it delivered."""
        now = self.now()
        body = body_of(name, self.keys.account_id, now, **about)
        return self.post(name, body)

    def post(self, name: str, body: bytes, event_id: str = "") -> Event:
        """Has any body delivered as an event."""
        event = Event(event_id or self.new_id(), name, body, self.now(), self.webhooks.manner.secret)
        self.events.add(event.id, event)
        self.webhooks.take(event)
        return event


def paged(
    rows: Iterable[T], count: int, skip: int, since: int | None, until: int | None, made: Callable[[T], int]
) -> list[T]:
    """One page of a list; `made` says when a row was made."""
    found = []
    for row in rows:
        at = made(row)
        if (since is not None and at < since) or (until is not None and at > until):
            continue
        if skip:
            skip -= 1
            continue
        found.append(row)
        if len(found) == count:
            break
    return found
