"""The book of one transaction: it locks accounts, decides, and writes each table once at the end.

The functions here never open a transaction; whoever calls them does, and commits before anything
goes upstream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

from oneai.kit import rows
from oneai.kit.clock import now, uuid7
from oneai.kit.errors import Refusal
from quotas import admission, backfill, holding, rates
from quotas.admission import AccountState, Ask, Decision, Line
from quotas.backfill import Earlier
from quotas.ceiling import Ceiling
from quotas.figures import Admitted, Charge, LimitState, limits_of
from quotas.holding import Account, Counter, HoldState
from quotas.journal import Journal
from quotas.models import Hold, LedgerEntry, QuotaAccount
from quotas.policy import PLAN_WIDE, TOKENS, LimitKey, Terms, has_allowance
from quotas.together import decide_all


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
        return cls._over(holding.lock_accounts(account_ids), hold_ids, at or now())

    @classmethod
    def look(cls, account_id: UUID, signed_up: datetime, at: datetime) -> Book:
        """One account's book to ``consider`` in: nothing is locked, made or written, so it is not to be closed.

        ``signed_up`` begins the period of an account that has asked for nothing yet.
        """
        found = rows.select(QuotaAccount, holding.ACCOUNT, by="user_id", values=[account_id])
        return cls._over(found or [holding.blank_account(account_id, signed_up)], (), at)

    @classmethod
    def _over(cls, locked: Sequence[rows.Row], hold_ids: Iterable[UUID], at: datetime) -> Book:
        own = all(has_allowance(row["policy"], at) for row in locked)
        default = None if own else holding.default_allowance(at)
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
        return self.admit_all([ask])[0]

    def admit_all(self, asks: Sequence[Ask]) -> list[Admitted]:
        """Hold for every one of ``asks``, all of one account, or raise the Refusal and change nothing."""
        account, decisions, earlier = self._decide(asks)
        for ask in asks:
            if ask.reference in self._references:
                raise ValueError(f"the reference {ask.reference!r} has a hold already")
        total = sum(decision.nano_usd for decision in decisions)
        shard = self._ceiling.take(total) if total else None
        return [
            self._hold(account, ask, decision, earlier, shard if decision.nano_usd else None)
            for ask, decision in zip(asks, decisions, strict=True)
        ]

    def consider(self, asks: Sequence[Ask]) -> list[Decision]:
        """What ``admit_all`` would hold now, the platform's ceiling aside; raises its Refusal. Changes nothing."""
        return self._decide(asks)[1]

    def _decide(self, asks: Sequence[Ask]) -> tuple[Account, list[Decision], dict[LimitKey, Earlier]]:
        account = self._accounts.get(asks[0].account_id)
        if account is None:
            raise Refusal("account_disabled")
        states = {key: counter.state for key, counter in account.counters.items()}
        earlier: dict[LimitKey, Earlier] = {}
        for ask in asks:
            earlier |= self._earlier(account, admission.applicable(account.terms, ask, account.counters))
        states |= {key: found.state(key[1]) for key, found in earlier.items()}
        state = AccountState(account.in_flight, account.windows)
        return account, decide_all(state, states, account.terms, asks, self.at, account.reset_at), earlier

    def _hold(
        self,
        account: Account,
        ask: Ask,
        decision: Decision,
        earlier: Mapping[LimitKey, Earlier],
        shard: tuple[date, int] | None,
    ) -> Admitted:
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
            counter = self._counter_for(account, line, earlier.get((line.scope, line.unit)))
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

    def _earlier(self, account: Account, wanted: Iterable[tuple[str, str, int | None]]) -> dict[LimitKey, Earlier]:
        """What this period has seen already of the limits in ``wanted`` that have no counter yet.

        A limit on a model or a key may come in the middle of a period: what was used before counts.
        """
        return {
            (scope, unit): backfill.earlier(account, scope, self._holds, self._journal.unwritten_usage)
            for scope, unit, _ in wanted
            if scope != PLAN_WIDE and (scope, unit) not in account.counters
        }

    def _counter_for(self, account: Account, line: Line, earlier: Earlier | None) -> Counter:
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
        self._journal.grant(account, counter)
        if earlier is not None:
            self._carry(account, counter, earlier)
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
            source_key=f"carried:{counter.scope}",
        )

    def _adjust(self, account: Account, counter: Counter, limit: int | None, source_key: str = "") -> None:
        counter.limit = limit
        counter.changed = True
        self._journal.entry(account, LedgerEntry.Kind.ADJUST, counter.id, limit_after=limit, source_key=source_key)

    def adjust_limits(self, account_id: UUID, terms: Terms, source_key: str = "") -> None:
        """Bring the current period's counters to ``terms``, which replace those of the account.

        Limits on single models get their counters at once, with what the period has seen. A counter
        that ``terms`` don't name any more is unlimited; the plan-wide ones still bind.
        """
        account = self._accounts[account_id]
        account.terms = terms
        wanted = [(scope, unit, limit) for (scope, unit), limit in sorted(terms.limits.items())]
        earlier = self._earlier(account, wanted)
        for (scope, unit), counter in sorted(account.counters.items()):
            limit = terms.limits.get((scope, unit))
            if counter.limit != limit and not scope.startswith("key:"):
                self._adjust(account, counter, limit, source_key)
        for scope, unit, limit in wanted:
            self._counter_for(account, Line(scope, unit, limit, 0), earlier.get((scope, unit)))

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
