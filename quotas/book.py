"""The book of one transaction: it locks accounts, decides, and writes each table once at the end.

The functions here never open a transaction; whoever calls them does, and commits before anything
goes upstream.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from oneai.kit.clock import now, uuid7
from oneai.kit.errors import Refusal
from quotas import admission, holding, rates
from quotas.admission import AccountState, Ask, Line, RateState, limit_json
from quotas.ceiling import Ceiling
from quotas.holding import Account, Counter, HoldState
from quotas.journal import Journal
from quotas.models import Hold, LedgerEntry, UsageRecord
from quotas.policy import PLAN_WIDE, TOKENS, UNITS, Terms


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call that may be made: nothing beyond ``max_tokens`` of completion is covered by its hold."""

    hold_id: UUID
    max_tokens: int
    tokens: int
    nano_usd: int
    period_start: datetime
    rate: RateState
    remaining_tokens: int | None


@dataclass(frozen=True, slots=True)
class Charge:
    """What a call really used and cost, and who says so."""

    tokens: int
    nano_usd: int
    prompt_tokens: int
    completion_tokens: int
    source: UsageRecord.Source
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    upstream_id: str = ""
    conversation_id: UUID | None = None

    def __post_init__(self) -> None:
        if min(self.tokens, self.nano_usd, self.prompt_tokens, self.completion_tokens) < 0:
            raise ValueError("a charge is never negative")


@dataclass(frozen=True, slots=True)
class LimitState:
    """A limit as people see it."""

    scope: str
    unit: str
    limit: int | None
    used: int
    held: int
    reset_at: datetime

    @property
    def remaining(self) -> int | None:
        return None if self.limit is None else max(0, self.limit - self.used - self.held)

    def as_json(self) -> dict[str, Any]:
        """As ``GET /api/user/quota`` shows it."""
        return limit_json(self.scope, self.unit, self.limit, self.used, self.held, self.reset_at)


class Book:
    """Admissions and ends of one transaction, over the accounts that it has locked.

    Everything is decided at the call and written by ``close``. A refusal changes nothing.
    """

    def __init__(
        self,
        at: datetime,
        accounts: dict[UUID, Account],
        holds: dict[UUID, HoldState],
        counters: dict[UUID, Counter],
    ) -> None:
        self.at = at
        self._accounts = accounts
        self._holds = holds
        self._counters = counters
        self._references: set[str] = set()
        self._journal = Journal(at)
        self._ceiling = Ceiling(
            at,
            [
                (hold.platform_day, hold.platform_shard)
                for hold in holds.values()
                if hold.platform_day is not None and hold.platform_shard is not None and hold.is_open
            ],
        )

    @classmethod
    def open(cls, account_ids: Iterable[UUID], hold_ids: Iterable[UUID] = (), at: datetime | None = None) -> Book:
        """Lock the accounts in order and read what they and the holds need.

        ``hold_ids`` are those to be ended in this transaction; their accounts must be among
        ``account_ids``. An id without a user is left out, and refused when it asks.
        """
        locked = holding.lock_accounts(account_ids)
        at = at or now()
        default = holding.default_allowance(at)
        accounts = {row["user_id"]: holding.account_of(row, default, at) for row in locked}
        holds = holding.read_holds(hold_ids)
        counters: dict[UUID, Counter] = {}
        if accounts:
            lines = (counter_id for hold in holds.values() for counter_id in hold.lines)
            for counter in holding.read_counters(list(accounts), lines, at):
                counters[counter.id] = counter
                account = accounts.get(counter.user_id)
                if account is not None and counter.period_start == account.period_start:
                    account.counters[counter.scope, counter.unit] = counter
        return cls(at, accounts, holds, counters)

    # Admission -----------------------------------------------------------------------------------
    def admit(self, ask: Ask) -> Admitted:
        """Hold what ``ask`` may use at most; raise the Refusal, and change nothing, when it may not."""
        account = self._accounts.get(ask.account_id)
        if account is None:
            raise Refusal("account_disabled")
        if ask.reference in self._references:
            raise ValueError(f"the reference {ask.reference!r} has a hold already")
        states = {key: counter.state for key, counter in account.counters.items()}
        state = AccountState(account.in_flight, account.windows)
        decision = admission.decide(state, states, account.terms, ask, self.at, account.reset_at)
        shard = self._ceiling.take(decision.nano_usd) if decision.nano_usd else None
        self._references.add(ask.reference)
        hold = HoldState(
            id=uuid7(),
            user_id=account.user_id,
            api_key_id=ask.api_key.id if ask.api_key else None,
            reference=ask.reference,
            state=Hold.State.HELD.value,
            model_id=ask.model_id,
            price_id=ask.price.id,
            max_tokens=decision.max_tokens,
            tokens=decision.tokens,
            nano_usd=decision.nano_usd,
            lines={},
            platform_day=shard[0] if shard else None,
            platform_shard=shard[1] if shard else None,
            period_start=account.period_start,
            created_at=self.at,
            worker=ask.worker,
            is_new=True,
        )
        for line in decision.lines:
            counter = self._counter_for(account, line, hold.api_key_id)
            hold.lines[str(counter.id)] = line.amount
            if line.amount:
                counter.held += line.amount
                counter.changed = True
                self._journal.entry(account, LedgerEntry.Kind.HOLD, counter.id, hold_id=hold.id, held=line.amount)
        self._holds[hold.id] = hold
        account.in_flight += 1
        account.changed = True
        second = rates.second_of(self.at)
        for scope, _, _ in admission.rate_scopes(account.terms, ask):
            account.windows[scope] = rates.add(
                account.windows.get(scope, []), second, int(ask.counts_as_request), decision.tokens
            )
        return Admitted(
            hold_id=hold.id,
            max_tokens=decision.max_tokens,
            tokens=decision.tokens,
            nano_usd=decision.nano_usd,
            period_start=account.period_start,
            rate=admission.rate_state(account.windows, account.terms, ask, self.at),
            remaining_tokens=decision.remaining_tokens,
        )

    def _counter_for(self, account: Account, line: Line, api_key_id: UUID | None) -> Counter:
        """The counter of ``line`` in the current period, made or brought to its limit."""
        counter = account.counters.get((line.scope, line.unit))
        if counter is not None:
            if counter.limit != line.limit:
                self._adjust(account, counter, line.limit)
            return counter
        counter = Counter(
            id=uuid7(),
            user_id=account.user_id,
            scope=line.scope,
            unit=line.unit,
            period_start=account.period_start,
            reset_at=account.reset_at,
            limit=line.limit,
            is_new=True,
        )
        account.counters[line.scope, line.unit] = counter
        self._counters[counter.id] = counter
        self._journal.grant(account, counter, api_key_id if line.scope.startswith("key:") else None)
        return counter

    def _adjust(self, account: Account, counter: Counter, limit: int | None, source_key: str = "") -> None:
        counter.limit = limit
        counter.changed = True
        self._journal.entry(account, LedgerEntry.Kind.ADJUST, counter.id, limit_after=limit, source_key=source_key)

    def adjust_limits(self, account_id: UUID, terms: Terms, source_key: str = "") -> None:
        """Bring the current period's counters to ``terms``, the new ones of the account.

        A counter without a limit of its own left is unlimited: the plan-wide ones still bind.
        """
        account = self._accounts[account_id]
        account.terms = terms
        for (scope, unit), counter in sorted(account.counters.items()):
            if scope.startswith("key:"):
                continue
            limit = terms.limits.get((scope, unit))
            if counter.limit != limit:
                self._adjust(account, counter, limit, source_key)

    # Ends ----------------------------------------------------------------------------------------
    def settle(self, hold_id: UUID, charge: Charge) -> bool:
        """Replace the hold by what was used; False when somebody else has closed it already.

        More than was held is recorded as overrun, never refused and never cut.
        """
        hold = self._open_hold(hold_id)
        if hold is None:
            return False
        self._end(hold, Hold.State.SETTLED, LedgerEntry.Kind.SETTLE, charge.tokens, charge.nano_usd)
        self._journal.usage(hold, charge)
        return True

    def release(self, hold_id: UUID) -> bool:
        """Give back all of the hold: nothing was used. False when somebody else has closed it already."""
        hold = self._open_hold(hold_id)
        if hold is None:
            return False
        self._end(hold, Hold.State.RELEASED, LedgerEntry.Kind.RELEASE, 0, 0)
        return True

    def orphan(self, hold_id: UUID, check_at: datetime) -> bool:
        """Keep the hold, to be looked at from ``check_at`` on: its producer or its figure is missing."""
        hold = self._open_hold(hold_id)
        if hold is None:
            return False
        hold.state = Hold.State.ORPHANED.value
        hold.check_at = check_at
        hold.changed = True
        return True

    def _open_hold(self, hold_id: UUID) -> HoldState | None:
        hold = self._holds.get(hold_id)
        if hold is None or not hold.is_open:
            return None
        if hold.user_id not in self._accounts:
            raise ValueError("the account of the hold was not opened")
        return hold

    def _end(self, hold: HoldState, state: Hold.State, kind: LedgerEntry.Kind, tokens: int, nano_usd: int) -> None:
        account = self._accounts[hold.user_id]
        for counter_id, held in hold.lines.items():
            counter = self._counters[UUID(counter_id)]
            actual = tokens if counter.unit == TOKENS else nano_usd
            if not held and not actual:
                continue
            excess = max(0, actual - held)
            counter.held -= held
            counter.used += actual
            counter.overrun += excess
            counter.changed = True
            self._journal.entry(account, kind, counter.id, hold_id=hold.id, held=-held, used=actual, overrun=excess)
        if hold.platform_day is not None and hold.platform_shard is not None:
            self._ceiling.close((hold.platform_day, hold.platform_shard), hold.nano_usd, nano_usd)
        elif nano_usd:
            self._ceiling.close(None, 0, nano_usd)
        hold.state = state.value
        hold.changed = True
        account.in_flight -= 1
        account.changed = True
        second = rates.second_of(hold.created_at)
        scopes = [PLAN_WIDE, f"key:{hold.api_key_id}"] if hold.api_key_id else [PLAN_WIDE]
        for scope in scopes:
            if scope in account.windows:
                account.windows[scope] = rates.correct(account.windows[scope], second, tokens - hold.tokens)

    # Reading and writing -------------------------------------------------------------------------
    def limits(self, account_id: UUID) -> list[LimitState]:
        """The account's limits as people see them, with all that this book has changed."""
        return limits_of(self._accounts[account_id])

    def close(self) -> None:
        """Write everything; the caller commits."""
        self._journal.write(self._accounts.values(), self._counters.values(), self._holds.values())
        self._ceiling.write()


def limits_of(account: Account) -> list[LimitState]:
    """Plan-wide limits first, then those of models and classes, then those of keys that were used."""
    found: list[LimitState] = []
    listed = dict(account.terms.limits)
    for (scope, unit), counter in account.counters.items():
        if scope.startswith("key:"):
            listed[scope, unit] = counter.limit
    for scope, unit in sorted(listed, key=_order):
        counter_or_none = account.counters.get((scope, unit))
        used, held = (counter_or_none.used, counter_or_none.held) if counter_or_none else (0, 0)
        found.append(LimitState(scope, unit, listed[scope, unit], used, held, account.reset_at))
    return found


def _order(key: tuple[str, str]) -> tuple[bool, bool, str, int]:
    scope, unit = key
    return scope != PLAN_WIDE, scope.startswith("key:"), scope, UNITS.index(unit)
