"""The counters of an account's current period: made when a limit is first met, brought to what the terms say."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from oneai.kit.clock import uuid7
from quotas import backfill
from quotas.backfill import Earlier
from quotas.holding import Account, Counter, HoldState
from quotas.journal import Journal, short
from quotas.models import LedgerEntry
from quotas.moves import Moves
from quotas.payers import Payer
from quotas.policy import OF_CALLER, PLAN_WIDE, TOKENS, LimitKey


class PeriodCounters:
    """Works on what a book has in hand: its ``holds`` and ``counters`` are the book's own."""

    def __init__(
        self, journal: Journal, moves: Moves, holds: dict[UUID, HoldState], counters: dict[UUID, Counter]
    ) -> None:
        self._journal = journal
        self._moves = moves
        self._holds = holds
        self._counters = counters

    def earlier(self, payer: Payer, wanted: Iterable[tuple[str, str, int | None]]) -> dict[LimitKey, Earlier]:
        """What this period has seen already of the limits in ``wanted`` that have no counter yet.

        A limit on a model or a key, or a cap, may come in the middle of a period: what was used before counts.
        """
        counters = payer.counters
        return {
            (scope, unit): backfill.earlier(payer, scope, self._holds, self._journal.unwritten_usage)
            for scope, unit, _ in wanted
            if scope != PLAN_WIDE and (scope, unit) not in counters
        }

    def counter_for(self, payer: Payer, key: LimitKey, limit: int | None, earlier: Earlier | None) -> Counter:
        """The counter of ``key`` in the payer's current period, made with ``limit`` or brought to it."""
        scope, unit = key
        account = payer.owner(scope)
        counter = payer.counters.get(key)
        if counter is not None:
            if counter.limit != limit:
                self._set(account, counter, limit)
            return counter
        counter = Counter(
            id=uuid7(),
            user_id=account.user_id,
            scope=scope,
            unit=unit,
            period_start=payer.account.period_start,
            reset_at=payer.account.reset_at,
            limit=limit,
            is_new=True,
        )
        payer.keep(counter)
        self._counters[counter.id] = counter
        self._journal.grant(account, counter)
        if earlier is not None:
            self._carry(account, counter, earlier)
        self._moves.make_good(account, key)
        return counter

    def _carry(self, account: Account, counter: Counter, earlier: Earlier) -> None:
        """Begin a counter with what its period has seen; open holds get a line on it."""
        state = earlier.state(counter.unit)
        if not (state.used or state.held):
            return
        counter.used, counter.held = state.used, state.held
        for hold in earlier.holds:
            hold = self._holds.setdefault(hold.id, hold)
            hold.lines[str(counter.id)] = hold.tokens if counter.unit == TOKENS else hold.nano_usd
            hold.relined = True
        self._journal.entry(
            account,
            LedgerEntry.Kind.RECONCILE,
            counter.id,
            used=state.used,
            held=state.held,
            source_key=f"carried:{short(counter.scope)}",
        )

    def _set(self, account: Account, counter: Counter, limit: int | None, source_key: str = "") -> None:
        counter.limit = limit
        counter.changed = True
        self._journal.entry(account, LedgerEntry.Kind.ADJUST, counter.id, limit_after=limit, source_key=source_key)

    def adjust(self, account: Account, source_key: str) -> None:
        """Bring the counters to the account's terms; see ``Book.adjust_limits``."""
        terms, payer = account.terms, Payer.alone(account)
        wanted = [(scope, unit, limit) for (scope, unit), limit in sorted(terms.limits.items())]
        earlier = self.earlier(payer, wanted)
        for (scope, unit), counter in sorted(account.counters.items()):
            limit = terms.limits.get((scope, unit))
            if counter.limit != limit and not scope.startswith(OF_CALLER):
                self._set(account, counter, limit, source_key)
        for scope, unit, limit in wanted:
            self.counter_for(payer, (scope, unit), limit, earlier.get((scope, unit)))
