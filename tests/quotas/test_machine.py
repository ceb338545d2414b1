"""A random life of two accounts; after every step the whole audit must find nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from accounts.models import User
from oneai.kit.clock import period_edges, uuid7
from oneai.kit.errors import Refusal
from quotas import allowances
from quotas.audit import replay, replay_platform
from quotas.holding import OPEN
from quotas.ledger import Admitted, Book, KeyLimits
from quotas.models import Hold, QuotaAccount, QuotaCounter, UsageRecord
from quotas.policy import RATES
from tests.quotas.using import CHEAP, FREE, Purse, charge

MODELS = ("maker/small", "maker/large")
tokens = st.integers(0, 3000)
indexes = st.integers(0, 1)


class LedgerLife(RuleBasedStateMachine):
    """Admits, ends, changes limits and plans and jumps over period edges, at its own clock."""

    running = Bundle("running")
    ended = Bundle("ended")

    @initialize()
    def begin(self) -> None:
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.at = datetime(2024, 1, 31, 9, 30, tzinfo=UTC)
        self.purses = []
        for _ in range(2):
            user = User.objects.create_user(f"{uuid7()}@example.com", created_at=self.at)
            self.purses.append(Purse(user))
        self.keys = [KeyLimits(uuid7(), limit_tokens=9000) for _ in self.purses]
        self.settled: dict[Any, tuple[int, int]] = {}
        self.owner: dict[Any, int] = {}
        self.refusals: list[str] = []
        for purse in self.purses:
            self._as_of_now(allowances.set_rates, purse.id, dict.fromkeys(RATES), "test", "test")

    def teardown(self) -> None:
        if hasattr(self, "transaction"):
            transaction.set_rollback(True)
            self.transaction.__exit__(None, None, None)

    def _as_of_now(self, function: Any, *arguments: Any, **named: Any) -> Any:
        """Call with the clock of this life."""
        real = Book.open.__func__  # type: ignore[attr-defined]
        life = self

        def opened(cls: Any, account_ids: Any, hold_ids: Any = (), at: Any = None) -> Book:
            book: Book = real(cls, account_ids, hold_ids, at or life.at)
            return book

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Book, "open", classmethod(opened))
            return function(*arguments, **named)

    @rule(
        target=running,
        who=indexes,
        model=st.sampled_from(MODELS),
        sizes=st.lists(st.tuples(tokens, st.integers(1, 20_000), st.booleans(), st.booleans()), min_size=1, max_size=3),
    )
    def admit(self, who: int, model: str, sizes: list[tuple[int, int, bool, bool]]) -> Any:
        purse = self.purses[who]
        made: list[Admitted] = []
        with transaction.atomic():
            book = Book.open([purse.id], at=self.at)
            for bound, cap, free, by_key in sizes:
                key = self.keys[who] if by_key else None
                one = purse.ask(bound=bound, cap=cap, model_id=model, price=FREE if free else CHEAP, api_key=key)
                try:
                    made.append(book.admit(one))
                except Refusal as refusal:
                    self.refusals.append(refusal.code)
            book.close()
        for each in made:
            self.owner[each.hold_id] = who
        return multiple(*made)

    @rule(target=ended, admitted=consumes(running), used=tokens, nano=st.integers(0, 10**7))
    def settle(self, admitted: Admitted, used: int, nano: int) -> Admitted:
        assert self.purses[self.owner[admitted.hold_id]].settle(admitted, used, nano, at=self.at)
        self.settled[admitted.hold_id] = (used, nano)
        return admitted

    @rule(target=ended, admitted=consumes(running))
    def release(self, admitted: Admitted) -> Admitted:
        assert self.purses[self.owner[admitted.hold_id]].release(admitted, at=self.at)
        return admitted

    @rule(admitted=running)
    def orphan(self, admitted: Admitted) -> None:
        assert self.purses[self.owner[admitted.hold_id]].orphan(admitted, at=self.at)

    @rule(admitted=ended, used=tokens)
    def end_again(self, admitted: Admitted, used: int) -> None:
        purse = self.purses[self.owner[admitted.hold_id]]
        assert not purse.settle(admitted, used, at=self.at)
        assert not purse.release(admitted, at=self.at)
        assert not purse.orphan(admitted, at=self.at)

    @rule(target=ended, first=consumes(running), second=consumes(running), used=tokens)
    def settle_in_one_book(self, first: Admitted, second: Admitted, used: int) -> Any:
        both = {each.hold_id: each for each in (first, second)}
        with transaction.atomic():
            book = Book.open([purse.id for purse in self.purses], list(both), self.at)
            for hold_id in both:
                assert book.settle(hold_id, charge(used, used))
                self.settled[hold_id] = (used, used)
            book.close()
        return multiple(*both.values())

    @rule(
        who=indexes,
        scope=st.sampled_from(["*", *MODELS]),
        limit=st.none() | st.integers(0, 60_000),
        days=st.none() | st.integers(1, 40),
    )
    def override(self, who: int, scope: str, limit: int | None, days: int | None) -> None:
        until = None if days is None else self.at + timedelta(days=days)
        self._as_of_now(allowances.set_limit, self.purses[who].id, scope, {"tokens": limit}, "test", "test", until)

    @rule(who=indexes, limit=st.none() | st.integers(0, 200_000), model_limit=st.none() | st.integers(0, 20_000))
    def change_plan(self, who: int, limit: int | None, model_limit: int | None) -> None:
        limits = [{"scope": "*", "unit": "tokens", "limit": limit}]
        if model_limit is not None:
            limits.append({"scope": MODELS[0], "unit": "tokens", "limit": model_limit})
        self._as_of_now(allowances.assign, self.purses[who].id, "some", limits, {}, ["*"], "test")

    @rule(hours=st.sampled_from([1, 24, 24 * 20, 24 * 31, 24 * 90]))
    def time_passes(self, hours: int) -> None:
        self.at += timedelta(hours=hours)

    @invariant()
    def the_audit_finds_nothing(self) -> None:
        for purse in getattr(self, "purses", ()):
            assert replay(purse.id) == []
        assert replay_platform() == []

    @invariant()
    def only_quota_refuses(self) -> None:
        assert set(getattr(self, "refusals", ())) <= {"quota_exceeded"}

    @invariant()
    def usage_is_what_was_charged(self) -> None:
        if not hasattr(self, "purses"):
            return
        records = UsageRecord.objects.filter(user_id__in=[purse.id for purse in self.purses])
        assert {record.hold_id: (record.tokens, record.nano_usd) for record in records} == self.settled

    @invariant()
    def periods_begin_at_the_edges_of_the_anchor(self) -> None:
        for purse in getattr(self, "purses", ()):
            anchor = QuotaAccount.objects.get(pk=purse.id).anchor
            for counter in QuotaCounter.objects.filter(user_id=purse.id):
                assert (counter.period_start, counter.reset_at) == period_edges(anchor, counter.period_start)

    @invariant()
    def nothing_is_held_when_nothing_runs(self) -> None:
        for purse in getattr(self, "purses", ()):
            if not Hold.objects.filter(user_id=purse.id, state__in=OPEN).exists():
                assert all(counter.held == 0 for counter in QuotaCounter.objects.filter(user_id=purse.id))
                assert QuotaAccount.objects.get(pk=purse.id).in_flight == 0


@pytest.mark.slow
@pytest.mark.django_db
def test_any_life_of_the_ledger_keeps_its_invariants() -> None:
    run_state_machine_as_test(
        LedgerLife,
        settings=settings(
            max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
