"""A random life of two accounts and their team; after every step the whole check must find nothing."""

from __future__ import annotations

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.quotas.life import Life

tokens = st.integers(0, 3000)
who = st.integers(0, 1)
payer = st.integers(0, 2)
index = st.integers(0, 9)
scope = st.integers(0, 3)


class LedgerLife(RuleBasedStateMachine):
    """Draws the deeds of a ``Life``."""

    @initialize()
    def begin(self) -> None:
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.life = Life()

    def teardown(self) -> None:
        if hasattr(self, "transaction"):
            transaction.set_rollback(True)
            self.transaction.__exit__(None, None, None)

    @rule(who=who, model=who, bound=tokens, cap=st.integers(1, 20_000), free=st.booleans(), by_key=st.booleans())
    def admit(self, who: int, model: int, bound: int, cap: int, free: bool, by_key: bool) -> None:
        self.life.admit(who, model, bound, cap, free, by_key)

    @rule(who=who, bound=tokens, cap=st.integers(1, 20_000))
    def admit_side_by_side(self, who: int, bound: int, cap: int) -> None:
        self.life.admit_side_by_side(who, bound, cap)

    @rule(index=index, tokens=tokens)
    def extend(self, index: int, tokens: int) -> None:
        self.life.extend(index, tokens)

    @rule(index=index, used=tokens, nano=st.integers(0, 10**7))
    def settle(self, index: int, used: int, nano: int) -> None:
        self.life.settle(index, used, nano)

    @rule(index=index)
    def settle_exactly(self, index: int) -> None:
        self.life.settle_exactly(index)

    @rule(index=index, tenths=st.integers(0, 10))
    def stop(self, index: int, tenths: int) -> None:
        self.life.stop(index, tenths)

    @rule(index=index)
    def fail(self, index: int) -> None:
        self.life.fail(index)

    @rule(used=tokens)
    def settle_two_at_once(self, used: int) -> None:
        self.life.settle_two_at_once(used)

    @rule(index=index)
    def kill(self, index: int) -> None:
        self.life.kill(index)

    @rule(used=tokens)
    def sweep(self, used: int) -> None:
        self.life.sweep(used)

    @rule(index=index, used=tokens)
    def end_again(self, index: int, used: int) -> None:
        self.life.end_again(index, used)

    @rule(index=index, used=tokens, nano=st.integers(0, 10**7))
    def correct(self, index: int, used: int, nano: int) -> None:
        self.life.correct(index, used, nano)

    @rule(
        who=payer,
        scope=scope,
        limit=st.none() | st.integers(0, 60_000),
        starts=st.sampled_from([0, 0, 3]),
        days=st.none() | st.integers(1, 40),
    )
    def override(self, who: int, scope: int, limit: int | None, starts: int, days: int | None) -> None:
        self.life.override(who, scope, limit, starts, days)

    @rule(who=who, limit=st.none() | st.integers(0, 200_000), model_limit=st.none() | st.integers(0, 20_000))
    def change_plan(self, who: int, limit: int | None, model_limit: int | None) -> None:
        self.life.change_plan(who, limit, model_limit)

    @rule(who=payer)
    def renew(self, who: int) -> None:
        self.life.renew(who)

    @rule(who=payer, tokens=st.integers(1, 30_000))
    def upgrade(self, who: int, tokens: int) -> None:
        self.life.upgrade(who, tokens)

    @rule(
        who=payer,
        tokens=st.integers(1, 30_000),
        nano=st.sampled_from([0, 10**6, 10**7]),
        days=st.none() | st.integers(1, 60),
        scope=scope,
    )
    def top_up(self, who: int, tokens: int, nano: int, days: int | None, scope: int) -> None:
        self.life.top_up(who, tokens, nano, days, scope)

    @rule(index=index, part=st.integers(1, 4))
    def refund(self, index: int, part: int) -> None:
        self.life.refund(index, part)

    @rule(who=payer)
    def forgive(self, who: int) -> None:
        self.life.forgive(who)

    @rule(who=who, cap=st.none() | st.integers(0, 30_000))
    def join(self, who: int, cap: int | None) -> None:
        self.life.join(who, cap)

    @rule(who=who)
    def leave(self, who: int) -> None:
        self.life.leave(who)

    @rule(
        limit=st.none() | st.integers(0, 200_000),
        model_limit=st.none() | st.integers(0, 20_000),
        days=st.none() | st.integers(1, 40),
    )
    def team_plan(self, limit: int | None, model_limit: int | None, days: int | None) -> None:
        self.life.team_plan(limit, model_limit, days)

    @rule(hours=st.sampled_from([1, 24, 24 * 20, 24 * 31, 24 * 90]))
    def time_passes(self, hours: int) -> None:
        self.life.time_passes(hours)

    @invariant()
    def everything_holds(self) -> None:
        if hasattr(self, "life"):
            self.life.check()


def _live(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        LedgerLife,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
@pytest.mark.django_db
def test_any_life_of_the_ledger_keeps_its_invariants() -> None:
    _live(25, 20)


# Each life is a transaction: thousands of savepoints in one make PostgreSQL slower and slower.
@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.django_db(transaction=True)
def test_ten_thousand_deeds_keep_every_invariant() -> None:
    _live(300, 40)
