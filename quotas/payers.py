"""Whose limits a call moves: those of who asks, or of the team that pays for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from accounts.team_ids import is_team_id
from quotas.holding import Account, Counter, HoldState, account_of, read_accounts
from quotas.policy import OF_CALLER, LimitKey, Terms, has_allowance, of_member, team_of


@dataclass(slots=True)
class Payer:
    """``account`` pays for what ``caller`` asks: their own, or their team's. The hold and the rates are the caller's.

    ``own`` are the counters of the caller's keys and caps in the payer's period: all that a call moves lies in
    that one. Who pays for themselves has all of their counters in one place.
    """

    caller: Account
    account: Account
    terms: Terms
    own: dict[LimitKey, Counter]

    @classmethod
    def alone(cls, account: Account) -> Payer:
        """The account itself."""
        return cls(account, account, account.terms, account.counters)

    @property
    def team_id(self) -> UUID | None:
        """The team that pays."""
        return None if self.account is self.caller else self.account.user_id

    @property
    def counters(self) -> Mapping[LimitKey, Counter]:
        """Every counter that a call may move, as far as it is there."""
        return self.account.counters if self.account is self.caller else {**self.account.counters, **self.own}

    def owner(self, scope: str) -> Account:
        """Whose counter and whose ledger a limit is in."""
        return self.caller if scope.startswith(OF_CALLER) else self.account

    def keep(self, counter: Counter) -> None:
        """Have a new counter found from now on."""
        place = self.own if counter.scope.startswith(OF_CALLER) else self.account.counters
        place[counter.scope, counter.unit] = counter


def payer_of(caller: Account, accounts: Mapping[UUID, Account], counters: Iterable[Counter], at: datetime) -> Payer:
    """Who pays for ``caller`` now: their team while it has a plan, else they themselves.

    ``accounts`` has the team's, when there is one; ``counters`` are all that were read.
    """
    if is_team_id(caller.user_id):
        return Payer(caller, caller, of_member(caller.terms, caller.user_id, None), caller.counters)
    team_id = team_of(caller.policy)
    team = accounts.get(team_id) if team_id is not None else None
    if team is None or not has_allowance(team.policy, at):
        return Payer.alone(caller)
    return drawing_on(team, caller, counters)


def drawing_on(team: Account, caller: Account, counters: Iterable[Counter]) -> Payer:
    """``caller`` with ``team`` as the payer."""
    own = {
        (counter.scope, counter.unit): counter
        for counter in counters
        if counter.user_id == caller.user_id
        and counter.period_start == team.period_start
        and counter.scope.startswith(OF_CALLER)
    }
    return Payer(caller, team, of_member(team.terms, team.user_id, caller.policy), own)


def period_of(user_id: UUID, signed_up: datetime, at: datetime) -> tuple[datetime, datetime]:
    """The period, from its start to its end, that the account's calls are counted in now."""
    accounts = {row["user_id"]: account_of(row, None, at) for row in read_accounts(user_id, signed_up)}
    paying = payer_of(accounts[user_id], accounts, (), at).account
    return paying.period_start, paying.reset_at


def teams_of(accounts: Iterable[Mapping[str, object]], holds: Iterable[HoldState]) -> set[UUID]:
    """The teams that pay for somebody in these rows of accounts, or have paid for one of these holds."""
    found = {team_of(row["policy"]) for row in accounts}  # type: ignore[arg-type]
    found |= {hold.team_id for hold in holds}
    return {each for each in found if each is not None}
