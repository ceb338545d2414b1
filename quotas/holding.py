"""What a batch has in hand: accounts, counters and holds as plain objects, read by few statements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from accounts.models import User
from accounts.team_ids import is_team_id
from oneai.kit import rows
from oneai.kit.clock import period_edges
from quotas import alerts
from quotas.admission import CounterState
from quotas.models import Allowance, Grant, Hold, QuotaAccount, QuotaCounter
from quotas.pockets import GrantState
from quotas.policy import RATES, LimitKey, Policy, Terms, micros, team_of, terms_at
from quotas.rates import Window

OPEN: Final = (Hold.State.HELD.value, Hold.State.ORPHANED.value)
KNOWN_MOST: Final = 100_000

ACCOUNT: Final = (
    "user_id", "anchor", "zone", "policy", "entry_seq", "chain_head", "in_flight", "windows", "has_grants"
)  # fmt: skip
_COUNTER: Final = (
    "id", "user_id", "model_id", "unit", "period_start", "reset_at", "quota_limit", "tokens_used", "held", "overrun"
)  # fmt: skip
_HOLD: Final = (
    "id", "user_id", "team_id", "api_key_id", "reference", "state", "model_id", "price_id", "max_tokens", "tokens",
    "nano_usd", "lines", "grant_lines", "extensions", "platform_day", "platform_shard", "period_start",
    "created_at", "check_at",
)  # fmt: skip


@dataclass(slots=True)
class Counter:
    """A row of usage_quotas. ``is_new``: not in the table yet; ``seen``: the alert it had reached when read."""

    id: UUID
    user_id: UUID
    scope: str
    unit: str
    period_start: datetime
    reset_at: datetime
    limit: int | None
    used: int = 0
    held: int = 0
    overrun: int = 0
    seen: int = 0
    is_new: bool = False
    changed: bool = False

    @property
    def state(self) -> CounterState:
        return CounterState(self.used, self.held)


@dataclass(slots=True)
class HoldState:
    """A row of holds. ``lines`` maps counter ids to the amounts held there, ``grant_lines`` ids of top-ups.

    ``team_id``: the team that pays, whose counters are among the lines. ``relined``: a line was added or grew.
    """

    id: UUID
    user_id: UUID
    api_key_id: UUID | None
    reference: str
    state: str
    model_id: str
    price_id: UUID | None
    max_tokens: int
    tokens: int
    nano_usd: int
    lines: dict[str, int]
    platform_day: date | None
    platform_shard: int | None
    period_start: datetime
    created_at: datetime
    team_id: UUID | None = None
    grant_lines: dict[str, int] = field(default_factory=dict)
    extensions: list[int] = field(default_factory=list)
    check_at: datetime | None = None
    worker: str = ""
    safe_bound: int | None = None
    is_new: bool = False
    changed: bool = False
    relined: bool = False

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def shard(self) -> tuple[date, int] | None:
        """Where the platform's day holds it; None: it can cost nothing."""
        if self.platform_day is None or self.platform_shard is None:
            return None
        return self.platform_day, self.platform_shard


@dataclass(slots=True)
class Account:
    """A row of quota_accounts, the terms in force, and the counters of its current period by limit.

    ``grants``: the top-ups that are valid now, in the order in which they are used, and the debts.
    """

    user_id: UUID
    zone: str
    policy: Mapping[str, Any] | None
    entry_seq: int
    chain_head: str
    in_flight: int
    windows: dict[str, Window]
    period_start: datetime
    reset_at: datetime
    terms: Terms
    has_grants: bool = False
    grants: list[GrantState] = field(default_factory=list)
    counters: dict[LimitKey, Counter] = field(default_factory=dict)
    changed: bool = False


_known: dict[UUID, None] = {}


def _make_missing(account_ids: Sequence[UUID]) -> None:
    """Rows for people who have none yet; their period begins when they signed up."""
    account, user = rows.table(QuotaAccount), rows.table(User)
    sql = (
        f"INSERT INTO {account.name} "  # noqa: S608
        "(user_id, anchor, zone, policy, entry_seq, chain_head, in_flight, windows, created_at) "
        f"SELECT id, created_at, timezone, NULL, 0, '', 0, '{{}}', created_at FROM {user.name} "
        f"WHERE id IN ({rows.marks(len(account_ids))}) ORDER BY id ON CONFLICT DO NOTHING"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [account.to_db("user_id", value) for value in account_ids])


def lock_accounts(account_ids: Iterable[UUID]) -> list[rows.Row]:
    """Lock the rows of ``account_ids`` in sorted order, making those that are missing.

    Rows are made before the first lock is taken: a batch that waits for another's new row then holds
    nothing that the other could want. Whoever was seen before is not looked for again.
    """
    ids = sorted(set(account_ids))
    if connection.vendor == "postgresql":
        unseen = [value for value in ids if value not in _known]
        if unseen:
            _make_missing(unseen)
    found = _locked(ids)
    if len(found) < len(ids):
        there = {row["user_id"] for row in found}
        _make_missing([value for value in ids if value not in there])
        found = _locked(ids)
    if len(_known) > KNOWN_MOST:
        _known.clear()
    _known.update(dict.fromkeys(row["user_id"] for row in found))
    return found


def _locked(ids: Sequence[UUID]) -> list[rows.Row]:
    return rows.select(QuotaAccount, ACCOUNT, by="user_id", values=ids, order="user_id", lock=True)


def read_accounts(account_id: UUID, signed_up: datetime | None = None) -> list[rows.Row]:
    """The account's row and that of its team, with no lock. ``signed_up`` begins the period of one that has no row yet.

    User.DoesNotExist when that is not known and there is no such person.
    """
    found = rows.select(QuotaAccount, ACCOUNT, by="user_id", values=[account_id])
    if not found:
        begins = signed_up or User.objects.only("created_at").get(pk=account_id).created_at
        return [blank_account(account_id, begins)]
    team_id = team_of(found[0]["policy"])
    return found if team_id is None else found + rows.select(QuotaAccount, ACCOUNT, by="user_id", values=[team_id])


def allowance_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """An allowance as an account's policy keeps it."""
    return {
        "plan": row["plan"],
        "limits": row["limits"],
        "patterns": row["model_patterns"],
        "starts": micros(row["starts_at"]),
        "until": None if row["until"] is None else micros(row["until"]),
        **{name: row[name] for name in RATES},
    }


ALLOWANCE: Final = ("plan", "limits", "model_patterns", *RATES, "starts_at", "until")


def default_allowance(at: datetime) -> dict[str, Any] | None:
    """The default allowance in force at ``at``; None when there is none, and nothing is allowed."""
    this = rows.table(Allowance)
    sql = (
        f"SELECT {','.join(ALLOWANCE)} FROM {this.name} "  # noqa: S608 (names of ours)
        "WHERE user_id IS NULL AND team_id IS NULL AND starts_at <= %s AND (until IS NULL OR until > %s) "
        "ORDER BY starts_at DESC, id DESC LIMIT 1"
    )
    moment = this.to_db("starts_at", at)
    found = this.decoded(ALLOWANCE, rows.query(this, sql, [moment, moment]))
    return allowance_json(found[0]) if found else None


def read_holds(hold_ids: Iterable[UUID]) -> dict[UUID, HoldState]:
    """The holds with these ids, whatever their state."""
    found = rows.select(Hold, _HOLD, by="id", values=hold_ids)
    for row in found:
        row["grant_lines"] = row["grant_lines"] or {}
        row["extensions"] = row["extensions"] or []
    return {row["id"]: HoldState(**row) for row in found}


def read_counters(account_ids: Sequence[UUID], counter_ids: Iterable[str], at: datetime) -> list[Counter]:
    """The accounts' counters of periods that end after ``at``, and those with ``counter_ids``, in one statement."""
    this = rows.table(QuotaCounter)
    users = [this.to_db("user_id", value) for value in account_ids]
    extra = [this.to_db("id", value) for value in dict.fromkeys(counter_ids)]
    names = ",".join(this.columns[name] for name in _COUNTER)
    sql = f"SELECT {names} FROM {this.name} WHERE (user_id IN ({rows.marks(len(users))}) AND reset_at > %s)"  # noqa: S608
    if extra:
        sql += f" OR id IN ({rows.marks(len(extra))})"
    found = this.decoded(_COUNTER, rows.query(this, sql, [*users, this.to_db("reset_at", at), *extra]))
    return [
        Counter(
            id=row["id"],
            user_id=row["user_id"],
            scope=row["model_id"],
            unit=row["unit"],
            period_start=row["period_start"],
            reset_at=row["reset_at"],
            limit=row["quota_limit"],
            used=row["tokens_used"],
            held=row["held"],
            overrun=row["overrun"],
            seen=alerts.reached(row["unit"], row["quota_limit"], row["tokens_used"]),
        )
        for row in found
    ]


_GRANT: Final = (
    "id", "user_id", "source_key", "kind", "parent_id", "scope", "unit", "amount", "consumed", "held", "refunded",
    "priority", "valid_from", "valid_until", "created_at", "note",
)  # fmt: skip


def read_grants(account_ids: Sequence[UUID], grant_ids: Iterable[str], at: datetime) -> list[GrantState]:
    """The accounts' top-ups and debts that have something left or come later, and those with ``grant_ids``."""
    this = rows.table(Grant)
    users = [this.to_db("user_id", value) for value in account_ids]
    extra = [this.to_db("id", value) for value in dict.fromkeys(grant_ids)]
    names = ",".join(this.columns[name] for name in _GRANT)
    parts, params = [], []
    if users:
        parts.append(
            f"(user_id IN ({rows.marks(len(users))}) AND kind <> 'plan' AND amount - consumed - refunded > 0 "
            "AND (valid_until IS NULL OR valid_until > %s))"
        )
        params += [*users, this.to_db("valid_until", at)]
    if extra:
        parts.append(f"id IN ({rows.marks(len(extra))})")
        params += extra
    if not parts:
        return []
    sql = f"SELECT {names} FROM {this.name} WHERE {' OR '.join(parts)}"  # noqa: S608 (names of ours)
    return [GrantState(**row) for row in this.decoded(_GRANT, rows.query(this, sql, params))]


def blank_account(user_id: UUID, anchor: datetime) -> rows.Row:
    """The row of an account that has asked for nothing yet."""
    return {
        "user_id": user_id,
        "anchor": anchor,
        "zone": "UTC",
        "policy": None,
        "entry_seq": 0,
        "chain_head": "",
        "in_flight": 0,
        "windows": {},
        "has_grants": False,
    }


def terms_for(user_id: UUID, policy: Policy | None, default: Mapping[str, Any] | None, at: datetime) -> Terms:
    """The terms in force at ``at``; a team has nothing that was not given to it."""
    return terms_at(policy, None if is_team_id(user_id) else default, at)


def account_of(row: Mapping[str, Any], default: Mapping[str, Any] | None, at: datetime) -> Account:
    """The account in ``row`` as it stands at ``at``."""
    start, end = period_edges(row["anchor"], at)
    return Account(
        user_id=row["user_id"],
        zone=row["zone"],
        policy=row["policy"],
        entry_seq=row["entry_seq"],
        chain_head=row["chain_head"],
        in_flight=row["in_flight"],
        windows=dict(row["windows"] or {}),
        period_start=start,
        reset_at=end,
        terms=terms_for(row["user_id"], row["policy"], default, at),
        has_grants=row["has_grants"],
    )
