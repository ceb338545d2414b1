"""The audit: replays an account's ledger and compares it with everything that is stored about it.

What it checks is what must hold at every committed state: the chain is whole, the counters are the
sum of their entries, no admission went over its limit, open holds are what is held, and what was
settled is what the usage records say, each call once and in the period of its admission; and the sums
by day are those of the records.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q

from accounts.team_ids import is_team_id
from oneai.kit import rows
from quotas import chain, holding, moves, rollup
from quotas.models import Grant, Hold, LedgerEntry, PlatformCounter, QuotaAccount, QuotaCounter, UsageRecord
from quotas.policy import OF_CALLER, TOKENS

CARRIED: Final = ("carried:", moves.MADE_GOOD)
_ENDS: Final = (LedgerEntry.Kind.SETTLE, LedgerEntry.Kind.RELEASE)


@dataclass(frozen=True, slots=True)
class Difference:
    """Something stored that the replay gives otherwise. ``account_id`` None: the platform's own counters."""

    account_id: UUID | None
    what: str
    row: str
    stored: int | str | None
    replayed: int | str | None

    def as_json(self) -> dict[str, Any]:
        return {
            "account_id": None if self.account_id is None else str(self.account_id),
            "what": self.what,
            "row": self.row,
            "stored": self.stored,
            "replayed": self.replayed,
        }


@dataclass(slots=True)
class _Sum:
    """A counter as its entries give it."""

    limit: int | None = 0
    held: int = 0
    used: int = 0
    overrun: int = 0
    carried: int = 0
    granted: int = 0


def macs(entry: LedgerEntry, head: str, keys: Iterable[bytes]) -> list[str]:
    """What the entry after ``head`` may carry, by each of ``keys``."""
    return [
        chain.link(
            key, head, entry.user_id, entry.seq, entry.at, entry.kind, entry.counter_id, entry.hold_id,
            entry.held_delta, entry.used_delta, entry.overrun_delta, entry.limit_after, entry.source_key,
        )
        for key in keys
    ]  # fmt: skip


class _Replay:
    """One account, read under its lock."""

    def __init__(self, account: QuotaAccount) -> None:
        self.account = account
        self._mine = Q(team_id=account.pk) if is_team_id(account.pk) else Q(user_id=account.pk)
        self.found: list[Difference] = []
        self.sums: dict[UUID, _Sum] = {}
        self.ends: Tally[tuple[UUID, UUID]] = Tally()
        self.burned: Tally[tuple[UUID, UUID]] = Tally()
        self.corrected: Tally[tuple[UUID, UUID]] = Tally()

    def differs(self, what: str, row: object, stored: Any, replayed: Any) -> None:
        if stored != replayed:
            self.found.append(Difference(self.account.pk, what, str(row), stored, replayed))

    def run(self) -> list[Difference]:
        self._entries()
        holds = {hold.id: hold for hold in Hold.objects.filter(self._mine).iterator()}
        usage = {record.hold_id: record for record in UsageRecord.objects.filter(self._mine).iterator()}
        counters = {counter.id: counter for counter in QuotaCounter.objects.filter(user_id=self.account.pk)}
        grants = {grant.id: grant for grant in Grant.objects.filter(user_id=self.account.pk).exclude(kind="plan")}
        for missing in self.sums.keys() - counters.keys() - grants.keys():
            self.differs("counter.missing", missing, None, "entries")
        self._counters(counters)
        self._grants(grants, holds)
        self._holds(holds, usage, counters, grants)
        # A team's calls are added up with those of who made them.
        own = [vars(record) for record in usage.values() if record.user_id == self.account.pk]
        for row, stored, counted in rollup.differences(self.account.pk, self.account.zone, own):
            self.differs("usage.daily", row, str(stored), str(counted))
        return self.found

    def _entries(self) -> None:
        keys = chain.accepted_keys()
        head, seq = "", 0
        for entry in LedgerEntry.objects.filter(user_id=self.account.pk).order_by("seq").iterator():
            seq += 1
            if entry.seq != seq:
                self.differs("chain.sequence", entry.id, entry.seq, seq)
                seq = entry.seq
            good = macs(entry, head, keys)
            if entry.mac not in good:
                self.differs("chain.mac", entry.id, entry.mac, good[0])
            head = entry.mac
            self._apply(entry)
        self.differs("account.chain_head", self.account.pk, self.account.chain_head, head)
        self.differs("account.entry_seq", self.account.pk, self.account.entry_seq, seq)

    def _apply(self, entry: LedgerEntry) -> None:
        sum_ = self.sums.setdefault(entry.counter_id, _Sum())
        if entry.kind == LedgerEntry.Kind.GRANT:
            sum_.granted += 1
        if entry.kind in (LedgerEntry.Kind.GRANT, LedgerEntry.Kind.ADJUST, LedgerEntry.Kind.REFUND):
            sum_.limit = entry.limit_after
        sum_.held += entry.held_delta
        sum_.used += entry.used_delta
        sum_.overrun += entry.overrun_delta
        if entry.kind == LedgerEntry.Kind.RECONCILE and entry.source_key.startswith(CARRIED):
            sum_.carried += entry.used_delta
        if entry.kind == LedgerEntry.Kind.HOLD and sum_.limit is not None and sum_.used + sum_.held > sum_.limit:
            self.differs("bound", entry.id, sum_.used + sum_.held, sum_.limit)
        if entry.kind in _ENDS and entry.hold_id is not None:
            self.ends[entry.hold_id, entry.counter_id] += 1
            self.burned[entry.hold_id, entry.counter_id] += entry.used_delta
        elif entry.kind == LedgerEntry.Kind.RECONCILE and entry.hold_id is not None:
            self.burned[entry.hold_id, entry.counter_id] += entry.used_delta
            self.corrected[entry.hold_id, entry.counter_id] += entry.used_delta

    def _counters(self, counters: dict[UUID, QuotaCounter]) -> None:
        for counter in counters.values():
            sum_ = self.sums.get(counter.id, _Sum())
            name = f"{counter.model_id} {counter.unit} {counter.period_start.isoformat()}"
            self.differs("counter.granted", name, 1, sum_.granted)
            self.differs("counter.limit", name, counter.quota_limit, sum_.limit)
            self.differs("counter.held", name, counter.held, sum_.held)
            self.differs("counter.used", name, counter.tokens_used, sum_.used)
            self.differs("counter.overrun", name, counter.overrun, sum_.overrun)

    def _grants(self, grants: dict[UUID, Grant], holds: dict[UUID, Hold]) -> None:
        held: Tally[UUID] = Tally()
        asked: Tally[UUID] = Tally()
        for hold in holds.values():
            if not self._pays(hold):
                continue
            for text, amount in (hold.grant_lines or {}).items():
                grant = grants.get(UUID(text))
                if grant is None or grant.kind != Grant.Kind.EXTRA:
                    self.differs("hold.grant", hold.reference, text, None)
                elif hold.state in holding.OPEN:
                    held[grant.id] += amount
        for grant in grants.values():
            sum_ = self.sums.get(grant.id, _Sum())
            amount = grant.amount or 0
            self.differs("grant.given", grant.source_key, sum_.granted, int(grant.kind == Grant.Kind.EXTRA))
            self.differs("grant.limit", grant.source_key, amount - grant.refunded, sum_.limit)
            self.differs("grant.used", grant.source_key, grant.consumed, sum_.used)
            self.differs("grant.held", grant.source_key, grant.held, sum_.held)
            self.differs("holds.of_grant", grant.source_key, grant.held, held[grant.id])
            if grant.parent_id is not None:
                asked[grant.parent_id] += amount
        for grant_id, amount in asked.items():
            parent = grants.get(grant_id)
            given = 0 if parent is None else parent.amount or 0
            back = amount + (0 if parent is None else parent.refunded)
            if back > given:
                self.differs("grant.refunds", grant_id, back, given)

    def _holds(
        self,
        holds: dict[UUID, Hold],
        usage: dict[UUID, UsageRecord],
        counters: dict[UUID, QuotaCounter],
        grants: dict[UUID, Grant],
    ) -> None:
        held: Tally[UUID] = Tally()
        used: Tally[UUID] = Tally()
        overrun: Tally[UUID] = Tally()
        running = 0
        elsewhere = self._elsewhere(holds.values(), counters)
        for hold in holds.values():
            record = usage.get(hold.id)
            settled = hold.state == Hold.State.SETTLED
            self.differs("usage.records", hold.reference, int(record is not None), int(settled))
            is_open = hold.state in holding.OPEN
            running += is_open and hold.user_id == self.account.pk
            for text, amount in hold.lines.items():
                counter_id = UUID(text)
                counter = counters.get(counter_id)
                if counter is None:
                    if counter_id not in elsewhere:
                        self.differs("hold.counter", hold.reference, text, None)
                    continue
                self.differs(
                    "hold.period", hold.reference, hold.period_start.isoformat(), counter.period_start.isoformat()
                )
                beside, burned = self._beside(hold, counter, grants, is_open=is_open)
                actual = 0 if record is None else record.tokens if counter.unit == TOKENS else record.nano_usd
                ends = self.ends.pop((hold.id, counter_id), 0)
                at_end = actual - burned - self.corrected[hold.id, counter_id]
                self.differs("hold.ends", hold.reference, ends, 0 if is_open or not (amount or at_end) else 1)
                if is_open:
                    held[counter_id] += amount
                if settled and record is not None:
                    used[counter_id] += actual - burned
                    overrun[counter_id] += max(0, actual - amount - beside)
            if record is not None:
                period = record.period_start.isoformat()
                self.differs("usage.period", hold.reference, period, hold.period_start.isoformat())
                payers = (record.user_id, record.team_id), (hold.user_id, hold.team_id)
                self.differs("usage.payer", hold.reference, str(payers[0]), str(payers[1]))
        for (hold_id, counter_id), ends in self.ends.items():
            self.differs("hold.ends", f"{hold_id} {counter_id}", ends, 0)
        for counter_id, counter in counters.items():
            name = f"{counter.model_id} {counter.unit} {counter.period_start.isoformat()}"
            carried = self.sums.get(counter_id, _Sum()).carried
            self.differs("holds.held", name, counter.held, held[counter_id])
            self.differs("usage.used", name, counter.tokens_used, used[counter_id] + carried)
            self.differs("usage.overrun", name, counter.overrun, overrun[counter_id])
        self.differs("account.in_flight", self.account.pk, self.account.in_flight, running)

    def _pays(self, hold: Hold) -> bool:
        """Whether this account's plan pays for a call: not for one of its own that its team pays for."""
        return hold.team_id is None or hold.team_id == self.account.pk

    def _elsewhere(self, holds: Iterable[Hold], counters: dict[UUID, QuotaCounter]) -> set[UUID]:
        """Of the counters that team's calls lie on those of the other account: the team's, or its member's caps."""
        missing = {
            UUID(text): (hold.user_id, hold.team_id)
            for hold in holds
            if hold.team_id is not None
            for text in hold.lines
            if UUID(text) not in counters
        }
        found = set()
        for counter in QuotaCounter.objects.filter(pk__in=missing).only("user_id", "model_id"):
            member, team = missing[counter.pk]
            if counter.user_id == (member if counter.model_id.startswith(OF_CALLER) else team):
                found.add(counter.pk)
        return found

    def _beside(
        self, hold: Hold, counter: QuotaCounter, grants: dict[UUID, Grant], *, is_open: bool
    ) -> tuple[int, int]:
        """What the hold had on top-ups of the counter's limit, and what of them its end used."""
        held = burned = 0
        for text, amount in (hold.grant_lines or {}).items():
            grant = grants.get(UUID(text))
            if grant is None or (grant.scope, grant.unit) != (counter.model_id, counter.unit):
                continue
            held += amount
            burned += self.burned.pop((hold.id, grant.id), 0)
            ends = self.ends.pop((hold.id, grant.id), 0)
            self.differs("hold.ends", hold.reference, ends, 0 if is_open else 1)
        return held, burned


def replay(user_id: UUID, *, lock: bool = True) -> list[Difference]:
    """Everything that differs for one account; empty when all is well.

    Takes the account's lock meanwhile, unless the caller reads one state of the database throughout.
    """
    accounts = QuotaAccount.objects.filter(pk=user_id)
    if not lock:
        account = accounts.first()
        return [] if account is None else _Replay(account).run()
    with transaction.atomic():
        account = accounts.select_for_update().first()
        return [] if account is None else _Replay(account).run()


def replay_platform(since: date | None = None) -> list[Difference]:
    """What differs between the platform's daily counters and the holds and usage records under them.

    With ``since`` only the days from then on, and no row older than the day before is read.
    """
    platform, holds, usage = (rows.table(model) for model in (PlatformCounter, Hold, UsageRecord))
    recent, params = "", []
    if since is not None:
        # Ids sort by time: the primary key leads to the newest.
        oldest = int((datetime.combine(since, time.min, UTC) - timedelta(days=1)).timestamp() * 1000)
        recent, params = " WHERE h.id >= %s", [holds.to_db("id", UUID(int=oldest << 80))]
    # One statement: its figures are of one moment, and nobody is kept waiting.
    sql = f"""
        SELECT 0, day, shard, held, used FROM {platform.name}
        UNION ALL SELECT 1, platform_day, platform_shard, SUM(nano_usd), 0 FROM {holds.name}
          WHERE state IN ('held', 'orphaned') AND platform_day IS NOT NULL GROUP BY platform_day, platform_shard
        UNION ALL SELECT 1, COALESCE(h.platform_day, DATE(u.at)), COALESCE(h.platform_shard, 0), 0, SUM(u.nano_usd)
          FROM {usage.name} u JOIN {holds.name} h ON h.id = u.hold_id{recent} GROUP BY 2, 3"""  # noqa: S608 (names of ours)
    stored: dict[tuple[date, int], tuple[int, int]] = {}
    sums: dict[tuple[date, int], tuple[int, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        for is_sum, day, shard, held, used in cursor.fetchall():
            into = sums if is_sum else stored
            key = (platform.from_db("day", day), int(shard))
            before = into.get(key, (0, 0))
            into[key] = (before[0] + int(held), before[1] + int(used))
    found: list[Difference] = []
    for key in sorted(stored.keys() | {key for key, amounts in sums.items() if any(amounts)}):
        if since is not None and key[0] < since:
            continue
        name = f"{key[0]} shard {key[1]}"
        for what, have, replayed in zip(
            ("platform.held", "platform.used"), stored.get(key, (0, 0)), sums.get(key, (0, 0)), strict=True
        ):
            if have != replayed:
                found.append(Difference(None, what, name, have, replayed))
    return found


def accounts() -> Iterator[UUID]:
    """Every account that has a ledger."""
    yield from QuotaAccount.objects.order_by("pk").values_list("pk", flat=True).iterator()
