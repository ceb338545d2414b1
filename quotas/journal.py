"""What a book writes: ledger entries in their chain, grants, usage records and the changed rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from oneai.kit import metrics, rows
from oneai.kit.clock import uuid7
from quotas import alerts, chain, rollup
from quotas.holding import Account, Counter, HoldState
from quotas.models import Grant, Hold, LedgerEntry, QuotaAccount, QuotaCounter, UsageRecord
from quotas.pockets import GrantState

if TYPE_CHECKING:
    from quotas.figures import Charge


def period_key(account_id: UUID, start: datetime, scope: str, unit: str) -> str:
    """The cause of a period's grant: it can be given once, whoever tries."""
    return f"period:{account_id}:{start.isoformat()}:{short(scope)}:{unit}"


def short(scope: str) -> str:
    """``scope`` as a part of a key; its digest where a model's name is as long as the whole column of keys."""
    return scope if len(scope) <= _LONGEST_PART else hashlib.sha256(scope.encode()).hexdigest()


_LONGEST_PART: Final = 110


class Journal:
    """Collects the rows of one book; ``write`` inserts and updates them, one statement for each table and kind."""

    _NEW_GRANT = (
        "id", "user_id", "source_key", "kind", "parent_id", "scope", "unit", "amount", "consumed", "held", "refunded",
        "priority", "valid_from", "valid_until", "note", "created_at",
    )  # fmt: skip

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._key = chain.key()
        self._entries: list[rows.Row] = []
        self._grants: list[rows.Row] = []
        self._usage: list[rows.Row] = []
        self._corrected: list[tuple[rows.Row, rows.Row]] = []

    def entry(
        self,
        account: Account,
        kind: LedgerEntry.Kind,
        counter_id: UUID,
        *,
        hold_id: UUID | None = None,
        held: int = 0,
        used: int = 0,
        overrun: int = 0,
        limit_after: int | None = None,
        source_key: str = "",
    ) -> None:
        """One change of one counter, as the next link of the account's chain."""
        account.entry_seq += 1
        account.chain_head = mac = chain.link(
            self._key, account.chain_head, account.user_id, account.entry_seq, self._at, kind.value, counter_id,
            hold_id, held, used, overrun, limit_after, source_key,
        )  # fmt: skip
        account.changed = True
        self._entries.append(
            {
                "id": uuid7(),
                "user_id": account.user_id,
                "seq": account.entry_seq,
                "at": self._at,
                "kind": kind.value,
                "counter_id": counter_id,
                "hold_id": hold_id,
                "held_delta": held,
                "used_delta": used,
                "overrun_delta": overrun,
                "limit_after": limit_after,
                "source_key": source_key,
                "mac": mac,
            }
        )

    @property
    def unwritten_usage(self) -> list[rows.Row]:
        """Usage records of this book, as they will be written."""
        return self._usage

    def grant(self, account: Account, counter: Counter) -> None:
        """The limit that a counter begins its period with."""
        key = period_key(account.user_id, counter.period_start, counter.scope, counter.unit)
        self._grants.append(
            {
                "id": uuid7(),
                "user_id": account.user_id,
                "source_key": key,
                "kind": Grant.Kind.PLAN.value,
                "parent_id": None,
                "scope": counter.scope,
                "unit": counter.unit,
                "amount": counter.limit,
                "consumed": 0,
                "held": 0,
                "refunded": 0,
                "priority": 0,
                "valid_from": counter.period_start,
                "valid_until": counter.reset_at,
                "note": "",
                "created_at": self._at,
            }
        )
        self.entry(account, LedgerEntry.Kind.GRANT, counter.id, limit_after=counter.limit, source_key=key)

    def usage(self, hold: HoldState, charge: Charge) -> None:
        """What a settled call used. Its period is that of the admission, whenever it settles."""
        self._usage.append(
            {
                "id": uuid7(),
                "hold_id": hold.id,
                "user_id": hold.user_id,
                "team_id": hold.team_id,
                "api_key_id": hold.api_key_id,
                "reference": hold.reference,
                "conversation_id": charge.conversation_id,
                "model_id": hold.model_id,
                "upstream_id": charge.upstream_id,
                "price_id": hold.price_id,
                "prompt_tokens": charge.prompt_tokens,
                "completion_tokens": charge.completion_tokens,
                "reasoning_tokens": charge.reasoning_tokens,
                "cached_tokens": charge.cached_tokens,
                "tokens": charge.tokens,
                "nano_usd": charge.nano_usd,
                "billed_usd": charge.billed_usd,
                "source": UsageRecord.Source(charge.source).value,
                "period_start": hold.period_start,
                "asked_at": hold.created_at,
                "at": self._at,
            }
        )

    def correct(self, before: rows.Row, charge: Charge) -> None:
        """What a call used, by a later figure: ``before`` is its record as it was read under our lock."""
        after = before | {
            "prompt_tokens": charge.prompt_tokens,
            "completion_tokens": charge.completion_tokens,
            "reasoning_tokens": charge.reasoning_tokens,
            "cached_tokens": charge.cached_tokens,
            "tokens": charge.tokens,
            "nano_usd": charge.nano_usd,
            "billed_usd": charge.billed_usd,
            "source": UsageRecord.Source(charge.source).value,
            "corrections": before["corrections"] + 1,
        }
        self._corrected.append((before, after))

    # Writing -------------------------------------------------------------------------------------
    def write(
        self,
        accounts: Iterable[Account],
        counters: Iterable[Counter],
        holds: Iterable[HoldState],
        grants: Iterable[GrantState],
    ) -> None:
        """Write what is new or changed. IntegrityError when a row under our lock is not as we left it."""
        accounts = list(accounts)
        self._write_accounts([account for account in accounts if account.changed])
        self._write_counters([counter for counter in counters if counter.is_new or counter.changed])
        self._write_holds([hold for hold in holds if hold.is_new or hold.changed or hold.relined])
        self._write_grants([grant for grant in grants if grant.is_new or grant.changed])
        rows.insert(LedgerEntry, self._entries)
        rows.insert(UsageRecord, self._usage)
        zones = {account.user_id: account.zone for account in accounts}
        rollup.note(self._usage, zones)
        _count(self._usage)
        rows.update(UsageRecord, [after for _, after in self._corrected], exactly=True)
        for before, after in self._corrected:
            rollup.correct(before, after, zones)
        self._entries, self._usage, self._corrected = [], [], []

    def _write_grants(self, changed: list[GrantState]) -> None:
        new = [{name: getattr(grant, name) for name in self._NEW_GRANT} for grant in changed if grant.is_new]
        rows.insert(Grant, self._grants + new)
        rows.update(
            Grant,
            [
                {"id": grant.id, "consumed": grant.consumed, "held": grant.held, "refunded": grant.refunded}
                for grant in changed
                if not grant.is_new
            ],
            exactly=True,
        )
        self._grants = []
        for grant in changed:
            grant.is_new = grant.changed = False

    def _write_accounts(self, changed: list[Account]) -> None:
        rows.update(
            QuotaAccount,
            [
                {
                    "user_id": account.user_id,
                    "entry_seq": account.entry_seq,
                    "chain_head": account.chain_head,
                    "in_flight": account.in_flight,
                    "windows": account.windows,
                    "has_grants": account.has_grants,
                }
                for account in changed
            ],
            exactly=True,
        )
        for account in changed:
            account.changed = False

    def _write_counters(self, counters: list[Counter]) -> None:
        new = [counter for counter in counters if counter.is_new]
        old = [counter for counter in counters if not counter.is_new]
        rows.insert(QuotaCounter, [self._new_counter(counter) for counter in new])
        rows.update(
            QuotaCounter,
            [
                {
                    "id": counter.id,
                    "quota_limit": counter.limit,
                    "tokens_used": counter.used,
                    "held": counter.held,
                    "overrun": counter.overrun,
                    "updated_at": self._at,
                }
                for counter in old
            ],
            exactly=True,
        )
        alerts.note(counters, self._at)
        for counter in counters:
            counter.is_new = counter.changed = False

    def _new_counter(self, counter: Counter) -> rows.Row:
        return {
            "id": counter.id,
            "user_id": counter.user_id,
            "team_id": UUID(counter.scope[5:]) if counter.scope.startswith("team:") else None,
            "api_key_id": UUID(counter.scope[4:]) if counter.scope.startswith("key:") else None,
            "model_id": counter.scope,
            "unit": counter.unit,
            "period_start": counter.period_start,
            "reset_at": counter.reset_at,
            "quota_limit": counter.limit,
            "tokens_used": counter.used,
            "held": counter.held,
            "overrun": counter.overrun,
            "created_at": self._at,
            "updated_at": self._at,
        }

    def _write_holds(self, holds: list[HoldState]) -> None:
        new = [hold for hold in holds if hold.is_new]
        old = [hold for hold in holds if not hold.is_new]
        rows.insert(Hold, [self._new_hold(hold) for hold in new])
        rows.update(
            Hold,
            [
                {
                    "id": hold.id,
                    "state": hold.state,
                    "check_at": hold.check_at,
                    "closed_at": None if hold.is_open else self._at,
                }
                for hold in old
                if hold.changed
            ],
            where="t.state IN ('held', 'orphaned')",
            exactly=True,
        )
        relined = [hold for hold in old if hold.relined]
        rows.update(
            Hold,
            [
                {
                    "id": hold.id,
                    "lines": hold.lines,
                    "grant_lines": hold.grant_lines or None,
                    "extensions": hold.extensions or None,
                    "max_tokens": hold.max_tokens,
                    "tokens": hold.tokens,
                    "nano_usd": hold.nano_usd,
                }
                for hold in relined
            ],
            exactly=True,
        )
        for hold in holds:
            hold.is_new = hold.changed = hold.relined = False

    def _new_hold(self, hold: HoldState) -> rows.Row:
        return {
            "id": hold.id,
            "user_id": hold.user_id,
            "team_id": hold.team_id,
            "api_key_id": hold.api_key_id,
            "reference": hold.reference,
            "state": hold.state,
            "model_id": hold.model_id,
            "price_id": hold.price_id,
            "max_tokens": hold.max_tokens,
            "tokens": hold.tokens,
            "nano_usd": hold.nano_usd,
            "lines": hold.lines,
            "grant_lines": hold.grant_lines or None,
            "extensions": hold.extensions or None,
            "safe_bound": hold.safe_bound,
            "platform_day": hold.platform_day,
            "platform_shard": hold.platform_shard,
            "period_start": hold.period_start,
            "worker": hold.worker,
            "heartbeat_at": self._at,
            "check_at": hold.check_at,
            "checks": 0,
            "created_at": hold.created_at,
            "closed_at": None if hold.is_open else self._at,
        }


def _count(records: Iterable[rows.Row]) -> None:
    """Count what was charged, for whoever watches the site."""
    if not metrics.on():
        return
    for record in records:
        metrics.count("calls", str(record["source"]))
        metrics.count("tokens", "prompt", by=record["prompt_tokens"])
        metrics.count("tokens", "completion", by=record["completion_tokens"])
        metrics.count("upstream_nano_usd", by=record["nano_usd"])
