"""A settled call, figure by figure: its record, its hold, and the ledger entries that both are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, Sum

from oneai.kit.clock import utc_text
from oneai.kit.money import usd_string
from quotas.models import Grant, Hold, LedgerEntry, QuotaCounter, UsageRecord
from quotas.policy import OF_CALLER, PLAN_WIDE, TOKENS, team_scope
from quotas.refusals import named

LIMIT, TOP_UP = "limit", "top_up"
_LIMITS: Final = (LedgerEntry.Kind.GRANT, LedgerEntry.Kind.ADJUST, LedgerEntry.Kind.REFUND)
_ENDED: Final = (LedgerEntry.Kind.SETTLE, LedgerEntry.Kind.RELEASE, LedgerEntry.Kind.RECONCILE)


def entries_of(holds: Sequence[Hold]) -> dict[UUID, list[LedgerEntry]]:
    """The ledger entries of each hold, in the order of the ledger; of a team's call those of both accounts."""
    pots = {UUID(line) for hold in holds for line in (*hold.lines, *(hold.grant_lines or {}))}
    ids = [hold.pk for hold in holds]
    found: dict[UUID, list[LedgerEntry]] = defaultdict(list)
    for entry in LedgerEntry.objects.filter(counter_id__in=pots, hold_id__in=ids).order_by("seq"):
        if entry.hold_id is not None:
            found[entry.hold_id].append(entry)
    return found


@dataclass(frozen=True, slots=True)
class _Pot:
    """What entries move: a limit of a period, or a top-up beside it. ``team``: the one that pays for the call."""

    id: UUID
    scope: str
    unit: str
    kind: str
    team: str = ""

    @property
    def name(self) -> dict[str, Any]:
        """The limit as it is told; ``shared``, where a team pays, is whether it is all its members'."""
        shared = {} if not self.team else {"shared": not self.scope.startswith(OF_CALLER)}
        return {"scope": named(self.scope, self.team), "unit": self.unit, **shared}


def _pots(hold: Hold, entries: Sequence[LedgerEntry]) -> dict[UUID, _Pot]:
    ids = {entry.counter_id for entry in entries}
    team = "" if hold.team_id is None else team_scope(hold.team_id)
    found = [_Pot(row.pk, row.model_id, row.unit, LIMIT, team) for row in QuotaCounter.objects.filter(pk__in=ids)]
    found += [_Pot(row.pk, row.scope, row.unit, TOP_UP, team) for row in Grant.objects.filter(pk__in=ids)]
    return {pot.id: pot for pot in found}


def entry_json(entry: LedgerEntry, pot: _Pot | None) -> dict[str, Any]:
    """A ledger entry as the API shows it; amounts are in its ``unit``."""
    return {
        "id": str(entry.pk),
        "seq": entry.seq,
        "kind": entry.kind,
        "at": utc_text(entry.at),
        **(pot.name if pot else {"scope": None, "unit": None}),
        "top_up": pot is not None and pot.kind == TOP_UP,
        "held": entry.held_delta,
        "used": entry.used_delta,
        "overrun": entry.overrun_delta,
    }


def tokens_json(record: UsageRecord) -> dict[str, int]:
    """Tokens by kind."""
    return {
        "prompt_tokens": record.prompt_tokens,
        "completion_tokens": record.completion_tokens,
        "reasoning_tokens": record.reasoning_tokens,
        "cached_tokens": record.cached_tokens,
        "total_tokens": record.tokens,
    }


def hold_json(hold: Hold) -> dict[str, Any]:
    """What was set aside for a call."""
    return {
        "id": str(hold.pk),
        "state": hold.state,
        "max_tokens": hold.max_tokens,
        "tokens": hold.tokens,
        "nano_usd": hold.nano_usd,
        "cost_usd": usd_string(hold.nano_usd),
    }


def record_json(record: UsageRecord, entries: Sequence[LedgerEntry]) -> dict[str, Any]:
    """A usage record with its ledger entries."""
    return {
        "id": str(record.pk),
        "asked_at": utc_text(record.asked_at),
        "settled_at": utc_text(record.at),
        "period_start": utc_text(record.period_start),
        "reference": record.reference,
        "model": record.model_id,
        "key_id": str(record.api_key_id) if record.api_key_id else None,
        "team_id": str(record.team_id) if record.team_id else None,
        "conversation_id": str(record.conversation_id) if record.conversation_id else None,
        **tokens_json(record),
        "cost_usd": usd_string(record.nano_usd),
        "source": record.source,
        "price_id": str(record.price_id) if record.price_id else None,
        "hold": hold_json(record.hold),
        "ledger_entries": [{"id": str(entry.pk), "seq": entry.seq, "kind": entry.kind} for entry in entries],
    }


def _order(pot: _Pot) -> tuple[bool, str, bool, bool, str]:
    return pot.scope != PLAN_WIDE, pot.scope, pot.unit != TOKENS, pot.kind == TOP_UP, str(pot.id)


def balances(hold: Hold, entries: Sequence[LedgerEntry]) -> list[dict[str, Any]]:
    """For each limit and top-up that the call counted on: what was left of it before the charge and after.

    All of it is out of the ledger. Left is the limit as it stood, less what was used of it; what other
    calls have set aside is still theirs to give back and not taken off. null is unlimited. Plan-wide
    limits come first, and top-ups after the limit that they add to.
    """
    held = hold.lines | (hold.grant_lines or {})
    found = []
    for pot in sorted(_pots(hold, entries).values(), key=_order):
        own = [entry for entry in entries if entry.counter_id == pot.id]
        last = own[-1]
        ended = last.kind in _ENDED
        charged = sum(entry.used_delta for entry in own)
        ledger = LedgerEntry.objects.filter(counter_id=pot.id)
        until = Q(seq__lte=last.seq) if ended else Q()
        used = ledger.filter(until).aggregate(used=Sum("used_delta"))["used"] or 0
        limits = ledger.filter(until, kind__in=_LIMITS).order_by("-seq").values_list("limit_after", flat=True)
        limit = limits.first()
        after = None if limit is None else limit - int(used)
        found.append(
            {
                **pot.name,
                "top_up": pot.kind == TOP_UP,
                "limit": limit,
                "held": held.get(str(pot.id), 0),
                "charged": charged,
                "balance_before": None if after is None else after + charged,
                "balance_after": after,
            }
        )
    return found


def entries_json(hold: Hold, entries: Sequence[LedgerEntry]) -> list[dict[str, Any]]:
    """The ledger entries of a hold with the limits that they moved."""
    pots = _pots(hold, entries)
    return [entry_json(entry, pots.get(entry.counter_id)) for entry in entries]
