"""The moves of a book: what is held, used and given back on counters and top-ups, each with its ledger entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from quotas import pockets
from quotas.holding import Account, Counter, HoldState
from quotas.journal import Journal
from quotas.models import LedgerEntry
from quotas.pockets import DEBT, EXTRA, GrantState
from quotas.policy import LimitKey

MADE_GOOD: Final = "debt:"
FORGIVEN: Final = "forgiven:"
_Kind = LedgerEntry.Kind


class Moves:
    """Changes rows in hand and notes the entries in ``journal``. ``grants`` are all that the book has read."""

    def __init__(self, journal: Journal, grants: dict[UUID, GrantState]) -> None:
        self._journal = journal
        self.grants = grants

    # Holds ---------------------------------------------------------------------------------------
    def reserve(self, account: Account, hold: HoldState, counter: Counter, amount: int) -> None:
        """Hold ``amount`` for ``hold``: of the counter's limit first, then of the account's top-ups."""
        extras = pockets.of(account.grants, EXTRA, (counter.scope, counter.unit))
        own, parts = pockets.split(amount, _room(counter), extras)
        line = str(counter.id)
        hold.lines[line] = hold.lines.get(line, 0) + own
        if own:
            counter.held += own
            counter.changed = True
            self._journal.entry(account, _Kind.HOLD, counter.id, hold_id=hold.id, held=own)
        for grant, part in parts:
            grant_line = str(grant.id)
            hold.grant_lines[grant_line] = hold.grant_lines.get(grant_line, 0) + part
            grant.held += part
            grant.changed = True
            self._journal.entry(account, _Kind.HOLD, grant.id, hold_id=hold.id, held=part)

    def end(self, account: Account, hold: HoldState, counter: Counter, kind: _Kind, actual: int) -> None:
        """Replace what ``hold`` has on the counter, and on top-ups of the same limit, by ``actual``."""
        held = hold.lines[str(counter.id)]
        parts = self._parts(hold, counter)
        counter.held -= held
        used, excess, burned = pockets.burned(actual, held, _room(counter), parts)
        if held or used:
            counter.used += used
            counter.overrun += excess
            counter.changed = True
            self._journal.entry(account, kind, counter.id, hold_id=hold.id, held=-held, used=used, overrun=excess)
        for grant, part, consumed in burned:
            grant.held -= part
            grant.consumed += consumed
            grant.changed = account.has_grants = True
            self._journal.entry(account, kind, grant.id, hold_id=hold.id, held=-part, used=consumed)

    def correct(
        self,
        account: Account,
        hold: HoldState,
        counter: Counter,
        before: int,
        after: int,
        burned: Mapping[UUID, int],
        source_key: str,
    ) -> None:
        """Charge a settled hold ``after`` instead of ``before``; ``burned`` is what it has used of its top-ups."""
        parts = [(grant, part, burned[grant.id]) for grant, part in self._parts(hold, counter)]
        held = hold.lines[str(counter.id)]
        used, excess, moved = pockets.recharged(before, after, held, _room(counter), parts)
        if used:
            counter.used += used
            counter.overrun += excess
            counter.changed = True
            self._journal.entry(
                account,
                _Kind.RECONCILE,
                counter.id,
                hold_id=hold.id,
                used=used,
                overrun=excess,
                source_key=source_key,
            )
        for grant, more in moved:
            if more:
                grant.consumed += more
                grant.changed = account.has_grants = True
                self._journal.entry(
                    account, _Kind.RECONCILE, grant.id, hold_id=hold.id, used=more, source_key=source_key
                )

    def _parts(self, hold: HoldState, counter: Counter) -> list[tuple[GrantState, int]]:
        if not hold.grant_lines:
            return []
        mine = [self.grants[UUID(line)] for line in hold.grant_lines]
        return [
            (grant, hold.grant_lines[str(grant.id)])
            for grant in pockets.in_order(mine)
            if grant.key == (counter.scope, counter.unit)
        ]

    # Top-ups and debts ---------------------------------------------------------------------------
    def give(self, account: Account, grant: GrantState, *, valid: bool) -> None:
        """Add a top-up; what is owed on its limit is made good from it at once when it is ``valid`` now."""
        grant.is_new = account.has_grants = True
        self._keep(account, grant, shown=valid)
        self._journal.entry(account, _Kind.GRANT, grant.id, limit_after=grant.limit, source_key=grant.source_key)
        self.make_good(account, grant.key)

    def take_back(self, account: Account, grant: GrantState, amount: int, debt: GrantState) -> None:
        """Take ``amount`` of a top-up back; ``debt`` is owed for what was used of it, maybe nothing."""
        if amount:
            grant.refunded += amount
            grant.changed = True
            self._journal.entry(account, _Kind.REFUND, grant.id, limit_after=grant.limit, source_key=debt.source_key)
        debt.is_new = account.has_grants = True
        self._keep(account, debt, shown=True)
        self._journal.entry(account, _Kind.REFUND, debt.id, limit_after=debt.limit, source_key=debt.source_key)
        self.make_good(account, debt.key)

    def forgive(self, account: Account, debt: GrantState, by: str) -> int:
        """Let a debt be: what was still owed."""
        owed = debt.left
        if owed:
            debt.refunded += owed
            debt.changed = True
            source = f"{FORGIVEN}{by}"[:200]
            self._journal.entry(account, _Kind.ADJUST, debt.id, limit_after=debt.limit, source_key=source)
        return owed

    def make_good(self, account: Account, key: LimitKey) -> None:
        """Pay what is owed on a limit with what is free of it: the plan's own quota, then top-ups.

        An unlimited plan pays nothing and owes nothing that stops anybody.
        """
        counter = account.counters.get(key)
        for debt in pockets.of(account.grants, DEBT, key):
            source = f"{MADE_GOOD}{debt.source_key}"
            room = _room(counter) if counter is not None else 0
            own = min(debt.left, room or 0)
            if own and counter is not None:
                counter.used += own
                counter.changed = True
                self._journal.entry(account, _Kind.RECONCILE, counter.id, used=own, source_key=source)
            paid = own
            for grant in pockets.of(account.grants, EXTRA, key):
                part = min(debt.left - paid, grant.left)
                if part > 0:
                    paid += part
                    grant.consumed += part
                    grant.changed = True
                    self._journal.entry(account, _Kind.RECONCILE, grant.id, used=part, source_key=source)
            if paid:
                debt.consumed += paid
                debt.changed = True
                self._journal.entry(account, _Kind.RECONCILE, debt.id, used=paid, source_key=source)

    def _keep(self, account: Account, grant: GrantState, *, shown: bool) -> None:
        self.grants[grant.id] = grant
        if shown:
            account.grants = pockets.in_order([*account.grants, grant])


def _room(counter: Counter) -> int | None:
    """What a counter has free of its limit; None: it has none."""
    return None if counter.limit is None else counter.state.plan_room(counter.limit)
