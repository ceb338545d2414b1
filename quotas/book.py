"""The book of one transaction: it locks accounts, decides, and writes each table once at the end.

The functions here never open a transaction; whoever calls them does, and commits before anything
goes upstream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from accounts.team_ids import is_team_id
from oneai.kit import rows
from oneai.kit.clock import now, uuid7
from oneai.kit.errors import Refusal
from quotas import admission, correcting, extending, holding, payers, pockets, rates
from quotas.admission import AccountState, Ask, Decision
from quotas.backfill import Earlier
from quotas.ceiling import Ceiling
from quotas.figures import Admitted, Charge, LimitState, limits_of
from quotas.holding import Account, Counter, HoldState
from quotas.journal import Journal
from quotas.models import Hold, LedgerEntry
from quotas.moves import Moves
from quotas.payers import Payer
from quotas.period_counters import PeriodCounters
from quotas.platform_rates import Platform
from quotas.pockets import GrantState
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
        grants: dict[UUID, GrantState],
    ) -> None:
        self.at = at
        self._accounts = accounts
        self._holds = holds
        self._counters = counters
        self._payers = self._find_payers()
        self._references: set[str] = set()
        self._corrected: set[UUID] = set()
        self._journal = Journal(at)
        self.moves = Moves(self._journal, grants)
        self._period = PeriodCounters(self._journal, self.moves, holds, counters)
        self._platform = Platform(at)
        self._ceiling = Ceiling(at, [hold.shard for hold in holds.values() if hold.shard is not None and hold.is_open])

    @classmethod
    def open(cls, account_ids: Iterable[UUID], hold_ids: Iterable[UUID] = (), at: datetime | None = None) -> Book:
        """Lock the accounts in order, then the teams that pay for them, and read what they and the holds need.

        ``hold_ids`` are those to be ended in this transaction; their accounts must be among
        ``account_ids``. An id without a user is left out, and refused when it asks.
        """
        asked, hold_ids = set(account_ids), list(hold_ids)
        named = {account_id for account_id in asked if is_team_id(account_id)}
        locked = holding.lock_accounts(asked - named)
        holds = holding.read_holds(hold_ids)
        # Ids of teams come after all others, so the order of the locks is the same in every batch.
        teams = named | payers.teams_of(locked, holds.values())
        if teams:
            locked += holding.lock_accounts(teams)
            # A limit that the team met meanwhile may have added a line to a hold of any of its members.
            holds = holding.read_holds(hold_ids)
        return cls._over(locked, holds, at or now())

    @classmethod
    def look(cls, account_id: UUID, signed_up: datetime, at: datetime) -> Book:
        """One account's book to ``consider`` in: nothing is locked, made or written, so it is not to be closed.

        ``signed_up`` begins the period of an account that has asked for nothing yet.
        """
        return cls._over(holding.read_accounts(account_id, signed_up), {}, at)

    @classmethod
    def _over(cls, locked: Sequence[rows.Row], holds: dict[UUID, HoldState], at: datetime) -> Book:
        own = all(has_allowance(row["policy"], at) for row in locked)
        default = None if own else holding.default_allowance(at)
        accounts = {row["user_id"]: holding.account_of(row, default, at) for row in locked}
        counters: dict[UUID, Counter] = {}
        if accounts:
            lines = (counter_id for hold in holds.values() for counter_id in hold.lines)
            for counter in holding.read_counters(list(accounts), lines, at):
                counters[counter.id] = counter
                account = accounts.get(counter.user_id)
                if account is not None and counter.period_start == account.period_start:
                    account.counters[counter.scope, counter.unit] = counter
        return cls(at, accounts, holds, counters, cls._read_grants(accounts, holds, at))

    @staticmethod
    def _read_grants(
        accounts: Mapping[UUID, Account], holds: Mapping[UUID, HoldState], at: datetime
    ) -> dict[UUID, GrantState]:
        """The top-ups and debts that accounts and holds have; most have none, and no statement is made."""
        owners = [account for account in accounts.values() if account.has_grants]
        lines = [line for hold in holds.values() for line in hold.grant_lines]
        if not owners and not lines:
            return {}
        found = holding.read_grants([account.user_id for account in owners], lines, at)
        for account in owners:
            mine = [grant for grant in found if grant.user_id == account.user_id and grant.limit > grant.consumed]
            account.grants = pockets.usable(mine, at)
            if not mine:
                account.has_grants, account.changed = False, True
        return {grant.id: grant for grant in found}

    def _find_payers(self) -> dict[UUID, Payer]:
        return {
            account.user_id: payers.payer_of(account, self._accounts, self._counters.values(), self.at)
            for account in self._accounts.values()
        }

    # Admission -----------------------------------------------------------------------------------
    def admit(self, ask: Ask) -> Admitted:
        """Hold what ``ask`` may use at most; raise the Refusal, and change nothing, when it may not."""
        return self.admit_all([ask])[0]

    def admit_all(self, asks: Sequence[Ask]) -> list[Admitted]:
        """Hold for every one of ``asks``, all of one account, or raise the Refusal and change nothing."""
        payer, decisions, earlier = self._decide(asks)
        for ask in asks:
            if ask.reference in self._references:
                raise ValueError(f"the reference {ask.reference!r} has a hold already")
        total = sum(decision.nano_usd for decision in decisions)
        requests, tokens = sum(ask.counts_as_request for ask in asks), [one.tokens for one in decisions]
        self._platform.check(requests, tokens)
        shard = self._ceiling.take(total) if total else None
        self._platform.add(requests, tokens)
        return [
            self._hold(payer, ask, decision, earlier, shard if decision.nano_usd else None)
            for ask, decision in zip(asks, decisions, strict=True)
        ]

    def consider(self, asks: Sequence[Ask]) -> list[Decision]:
        """What ``admit_all`` would hold now, the platform's ceiling aside; raises its Refusal. Changes nothing."""
        return self._decide(asks)[1]

    def _decide(self, asks: Sequence[Ask]) -> tuple[Payer, list[Decision], dict[LimitKey, Earlier]]:
        payer = self._payers.get(asks[0].account_id)
        if payer is None:
            raise Refusal("account_disabled")
        counters = payer.counters
        states = {key: counter.state for key, counter in counters.items()}
        earlier: dict[LimitKey, Earlier] = {}
        for ask in asks:
            earlier |= self._period.earlier(payer, admission.applicable(payer.terms, ask, counters))
        states |= {key: found.state(key[1]) for key, found in earlier.items()}
        for key, extra in pockets.extras(payer.account.grants).items():
            if key not in states and key not in payer.terms.limits:
                continue  # a top-up on what no limit is on begins no counter
            states[key] = replace(states.get(key, admission.UNTOUCHED), extra=extra)
        state = AccountState(payer.caller.in_flight, payer.caller.windows)
        return payer, decide_all(state, states, payer.terms, asks, self.at, payer.account.reset_at), earlier

    def _hold(
        self,
        payer: Payer,
        ask: Ask,
        decision: Decision,
        earlier: Mapping[LimitKey, Earlier],
        shard: tuple[date, int] | None,
    ) -> Admitted:
        self._references.add(ask.reference)
        account = payer.caller
        hold = HoldState(
            id=uuid7(),
            user_id=account.user_id,
            team_id=payer.team_id,
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
            period_start=payer.account.period_start,
            created_at=self.at,
            worker=ask.worker,
            safe_bound=ask.input_bound if ask.learns else None,
            is_new=True,
        )
        for line in decision.lines:
            key = (line.scope, line.unit)
            counter = self._period.counter_for(payer, key, line.limit, earlier.get(key))
            self.moves.reserve(payer.owner(line.scope), hold, counter, line.amount)
        self._holds[hold.id] = hold
        account.in_flight += 1
        account.changed = True
        second = rates.second_of(self.at)
        for scope, _, _ in admission.rate_scopes(payer.terms, ask):
            account.windows[scope] = rates.add(
                account.windows.get(scope, []), second, int(ask.counts_as_request), decision.tokens
            )
        return Admitted(
            hold_id=hold.id,
            max_tokens=decision.max_tokens,
            tokens=decision.tokens,
            nano_usd=decision.nano_usd,
            period_start=payer.account.period_start,
            rate=admission.rate_state(account.windows, payer.terms, ask, self.at),
            remaining_tokens=decision.remaining_tokens,
        )

    def adjust_limits(self, account_id: UUID, terms: Terms, source_key: str = "") -> None:
        """Bring the current period's counters to ``terms``, which replace those of the account.

        Limits on single models get their counters at once, with what the period has seen. A counter
        that ``terms`` don't name any more is unlimited; the plan-wide ones still bind.
        """
        account = self._accounts[account_id]
        account.terms = terms
        self._period.adjust(account, source_key)
        self._payers = self._find_payers()

    # While it runs -------------------------------------------------------------------------------
    def extend(self, hold_id: UUID, ask: Ask, tokens: int, sequence: int) -> int:
        """Hold up to ``tokens`` more completion tokens for a running call; how many were granted, maybe 0.

        The decision is that of an admission, without its least: every limit that the hold lies on, the
        tokens' rates, the platform's too, and the platform's day must have room for what is granted, in tokens and in
        nano-USD at the price of ``ask``, the Ask that the hold was made for. Top-ups count. A hold stays
        with its period. Partly granted is granted; 0 when nothing fits, when the hold is closed, and when
        the day's ceiling does not cover all that the limits would.

        ``sequence`` numbers the extensions of one hold from 1: a number that was used gives what it gave
        then and holds nothing more. ValueError for a number that leaves one out. The hold must be among
        those the book was opened with. From the caller's commit on the hold covers ``max_tokens`` plus
        all that was granted.
        """
        hold = self._open_hold(hold_id)
        if hold is None:
            return 0
        if 0 < sequence <= len(hold.extensions):
            return hold.extensions[sequence - 1]
        if sequence != len(hold.extensions) + 1 or tokens < 0:
            raise ValueError("extensions are numbered from 1, without a gap, and never negative")
        payer = self._payer_of(hold)
        lines = self._extended_lines(payer, hold, ask)
        began = rates.second_of(hold.created_at)
        room = self._platform.room(began, hold.tokens, tokens)
        granted, nano = extending.more(payer, lines, hold, ask, room, self.at)
        if nano and hold.shard is not None:
            try:
                self._ceiling.take_more(hold.shard, nano)
            except Refusal:
                granted = nano = 0
        hold.extensions.append(granted)
        hold.relined = True
        if granted:
            for counter in lines:
                owner = payer.owner(counter.scope)
                self.moves.reserve(owner, hold, counter, granted if counter.unit == TOKENS else nano)
            hold.tokens += granted
            hold.max_tokens += granted
            hold.nano_usd += nano
            extending.count(payer, hold, ask, granted, self.at)
            self._platform.extend(began, granted)
        return granted

    def _payer_of(self, hold: HoldState) -> Payer:
        """Who pays for the rest of a call: whoever has paid for it so far, also when its caller has left the team."""
        caller, now_paying = self._accounts[hold.user_id], self._payers[hold.user_id]
        if now_paying.team_id == hold.team_id:
            return now_paying
        if hold.team_id is None:
            return Payer.alone(caller)
        return payers.drawing_on(self._accounts[hold.team_id], caller, self._counters.values())

    def _extended_lines(self, payer: Payer, hold: HoldState, ask: Ask) -> list[Counter]:
        """The counters of an open hold, brought to the limits of now while their period is the payer's."""
        asked = admission.applicable(payer.terms, ask, payer.counters)
        limits = {(scope, unit): limit for scope, unit, limit in asked}
        found = []
        for line in sorted(hold.lines):
            counter = self._counters[UUID(line)]
            key = (counter.scope, counter.unit)
            if counter.period_start == payer.account.period_start and key in limits:
                counter = self._period.counter_for(payer, key, limits[key], None)
            found.append(counter)
        return found

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

    def correct(self, hold_id: UUID, charge: Charge) -> bool:
        """Charge a settled call anew: its upstream has said since what it really was.

        Limits, top-ups, the platform's day, the usage record and its sums are moved by the difference, in the
        period and the day of the admission, with RECONCILE entries. What exceeds the hold is overrun. Whatever
        the call gave, its record keeps its names. False, and nothing is changed, when the call was charged so
        already, or is not settled. The hold must be among those the book was opened with, once.
        """
        hold = self._holds.get(hold_id)
        record = correcting.record_of(hold) if hold is not None else None
        if hold is None or record is None or not correcting.differs(record, charge):
            return False
        if hold_id in self._corrected:
            raise ValueError("a book corrects a call once")
        self._corrected.add(hold_id)
        source_key = f"{correcting.CORRECTION}{hold_id}:{record['corrections'] + 1}"
        burned = correcting.burned_by(hold) if hold.grant_lines else {}
        for counter_id in sorted(hold.lines):
            counter = self._counters[UUID(counter_id)]
            figures = (
                (record["tokens"], charge.tokens) if counter.unit == TOKENS else (record["nano_usd"], charge.nano_usd)
            )
            self.moves.correct(self._accounts[counter.user_id], hold, counter, *figures, burned, source_key)
        if record["nano_usd"] != charge.nano_usd:
            shard = correcting.shard_of(hold, record)
            self._ceiling.correct(shard, hold.nano_usd, record["nano_usd"], charge.nano_usd)
        self._journal.correct(record, charge)
        return True

    def orphan(self, hold_id: UUID, check_at: datetime) -> bool:
        """Keep the hold, to be looked at from ``check_at`` on: its producer or its figure is missing."""
        hold = self._open_hold(hold_id)
        if hold is None:
            return False
        if hold.state == Hold.State.HELD:
            self._platform.ended()
        hold.state = Hold.State.ORPHANED.value
        hold.check_at = check_at
        hold.changed = True
        return True

    def _open_hold(self, hold_id: UUID) -> HoldState | None:
        hold = self._holds.get(hold_id)
        if hold is None or not hold.is_open:
            return None
        if hold.user_id not in self._accounts or (hold.team_id is not None and hold.team_id not in self._accounts):
            raise ValueError("the account of the hold was not opened")
        return hold

    def _end(self, hold: HoldState, state: Hold.State, kind: LedgerEntry.Kind, tokens: int, nano_usd: int) -> None:
        account = self._accounts[hold.user_id]
        for counter_id in sorted(hold.lines):  # the one order that both databases' JSON has
            counter = self._counters[UUID(counter_id)]
            owner = self._accounts[counter.user_id]
            self.moves.end(owner, hold, counter, kind, tokens if counter.unit == TOKENS else nano_usd)
        if hold.shard is not None:
            self._ceiling.close(hold.shard, hold.nano_usd, nano_usd)
        elif nano_usd:
            self._ceiling.close(None, 0, nano_usd)
        if hold.state == Hold.State.HELD:
            self._platform.ended()
        hold.state = state.value
        hold.changed = True
        account.in_flight -= 1
        account.changed = True
        second = rates.second_of(hold.created_at)
        scopes = [PLAN_WIDE, f"key:{hold.api_key_id}"] if hold.api_key_id else [PLAN_WIDE]
        for scope in scopes:
            if scope in account.windows:
                account.windows[scope] = rates.correct(account.windows[scope], second, tokens - hold.tokens)
        self._platform.correct(second, tokens - hold.tokens)

    # Reading and writing -------------------------------------------------------------------------
    def account(self, account_id: UUID) -> Account:
        """An account that this book has locked, as it stands now. KeyError when there is no such person."""
        return self._accounts[account_id]

    def limits(self, account_id: UUID) -> list[LimitState]:
        """The limits of whoever pays for the account, as people see them, with all that this book has changed."""
        return limits_of(self._payers[account_id])

    def close(self) -> None:
        """Write everything; the caller commits."""
        self._journal.write(
            self._accounts.values(), self._counters.values(), self._holds.values(), self.moves.grants.values()
        )
        self._platform.write()
        self._ceiling.write()
