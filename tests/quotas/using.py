"""One person's quota in a test's hands: each call is a transaction of its own, as in the product."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.models import User
from oneai.kit.clock import now, uuid7
from quotas.audit import Difference, replay
from quotas.ledger import Admitted, Ask, Book, Charge, Price
from quotas.models import QuotaCounter, UsageRecord
from quotas.policy import PLAN_WIDE, TOKENS

CHEAP = Price(None, prompt_pico=150_000, completion_pico=600_000)
FREE = Price(None, prompt_pico=0, completion_pico=0)


def charge(tokens: int, nano_usd: int = 0, prompt: int = 0) -> Charge:
    return Charge(tokens, nano_usd, prompt, tokens - prompt, UsageRecord.Source.UPSTREAM_FINAL)


class Purse:
    def __init__(self, user: User) -> None:
        self.user = user
        self.id = user.pk

    def ask(self, *, bound: int = 100, cap: int = 1000, wanted: int | None = None, **more: Any) -> Ask:
        given: dict[str, Any] = {
            "account_id": self.id,
            "reference": f"generation:{uuid7()}",
            "model_id": "maker/model",
            "input_bound": bound,
            "wanted_tokens": wanted,
            "default_tokens": cap,
            "price": CHEAP,
        }
        return Ask(**(given | more))

    def admit(self, *asks: Ask, at: datetime | None = None) -> list[Admitted]:
        with transaction.atomic():
            book = Book.open([self.id], at=at)
            admitted = [book.admit(ask) for ask in asks or [self.ask()]]
            book.close()
        return admitted

    def settle(self, admitted: Admitted, tokens: int, nano_usd: int = 0, at: datetime | None = None) -> bool:
        with transaction.atomic():
            book = Book.open([self.id], [admitted.hold_id], at)
            done = book.settle(admitted.hold_id, charge(tokens, nano_usd))
            book.close()
        return done

    def correct(self, admitted: Admitted, tokens: int, nano_usd: int = 0, at: datetime | None = None) -> bool:
        """Charge a settled call anew."""
        with transaction.atomic():
            book = Book.open([self.id], [admitted.hold_id], at)
            done = book.correct(admitted.hold_id, charge(tokens, nano_usd))
            book.close()
        return done

    def release(self, admitted: Admitted, at: datetime | None = None) -> bool:
        with transaction.atomic():
            book = Book.open([self.id], [admitted.hold_id], at)
            done = book.release(admitted.hold_id)
            book.close()
        return done

    def extend(self, admitted: Admitted, ask: Ask, tokens: int, sequence: int = 1, at: datetime | None = None) -> int:
        with transaction.atomic():
            book = Book.open([self.id], [admitted.hold_id], at)
            granted = book.extend(admitted.hold_id, ask, tokens, sequence)
            book.close()
        return granted

    def orphan(self, admitted: Admitted, at: datetime | None = None) -> bool:
        with transaction.atomic():
            book = Book.open([self.id], [admitted.hold_id], at)
            done = book.orphan(admitted.hold_id, at or now())
            book.close()
        return done

    def counter(self, scope: str = PLAN_WIDE, unit: str = TOKENS, at: datetime | None = None) -> QuotaCounter:
        """The counter of the period around ``at``."""
        moment = at or now()
        return QuotaCounter.objects.get(
            user_id=self.id, model_id=scope, unit=unit, period_start__lte=moment, reset_at__gt=moment
        )

    def differences(self) -> Sequence[Difference]:
        return replay(self.id)
