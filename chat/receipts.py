"""The receipt of an answer: what was set aside, used and charged, at which price, and where each figure is from.

Everything is read from stored rows, and the charge can be worked out again from the receipt alone
(docs/receipts.md says how; ``tools/check_receipt.py`` does it).
"""

from __future__ import annotations

from typing import Any, Final

from accounts.principal import Principal
from chat.access import message_for
from chat.models import Generation, Message, ModelPrice
from oneai.kit.clock import utc_text
from oneai.kit.errors import Refusal
from oneai.kit.money import per_million_string, usd_string
from quotas import records
from quotas.models import Hold, UsageRecord

BILLED, PRICED, HELD = "billed", "priced", "held"
"""What a charge follows: the upstream's own bill, the price times the tokens, or all that was held."""
BASES: Final = (BILLED, PRICED, HELD)
STATES: Final = ("running", "settled", "free")


def receipt(who: Principal, message_id: str) -> dict[str, Any]:
    """The receipt of the person's own answer; Refusal ``not_found`` also for what no model wrote."""
    return receipt_of(message_for(who, message_id))


def receipt_of(message: Message) -> dict[str, Any]:
    """The receipt of ``message``. Refusal ``not_found`` when no model was asked for it."""
    generation = Generation.objects.filter(pk=message.generation_id).first() if message.generation_id else None
    hold = Hold.objects.filter(pk=generation.hold_id).first() if generation else None
    if generation is None or hold is None:
        raise Refusal("not_found")
    record = UsageRecord.objects.filter(hold=hold).first()
    if record is not None and not (record.tokens or record.nano_usd):
        record = None  # a call that gave nothing is free: its record says only that it was made
    price = ModelPrice.objects.filter(pk=hold.price_id).first() if hold.price_id else None
    entries = records.entries_of([hold])[hold.pk]
    return {
        "message_id": str(message.pk),
        "generation_id": str(generation.pk),
        "model": hold.model_id,
        "state": _state(hold, record),
        "asked_at": utc_text(hold.created_at),
        "team_id": str(hold.team_id) if hold.team_id else None,
        "hold": records.hold_json(hold),
        "price": None if price is None else price_json(price),
        "usage": None if record is None else records.tokens_json(record),
        "charge": None if record is None else charge_json(record, hold),
        "limits": records.balances(hold, entries),
        "ledger_entries": records.entries_json(hold, entries),
    }


def _state(hold: Hold, record: UsageRecord | None) -> str:
    if record is not None:
        return "settled"
    return "free" if hold.state in (Hold.State.SETTLED, Hold.State.RELEASED) else "running"


def price_json(price: ModelPrice) -> dict[str, Any]:
    """A version of a price, exact: pico-USD per token and nano-USD per call."""
    return {
        "id": str(price.pk),
        "version": price.version,
        "source": price.source,
        "prompt_pico_usd": price.prompt_pico_usd,
        "completion_pico_usd": price.completion_pico_usd,
        "cached_pico_usd": price.cached_pico_usd,
        "request_nano_usd": price.request_nano_usd,
        "prompt_usd_per_million": per_million_string(price.prompt_pico_usd),
        "completion_usd_per_million": per_million_string(price.completion_pico_usd),
    }


def _basis(record: UsageRecord) -> str:
    if record.source == UsageRecord.Source.HOLD_AMOUNT:
        return HELD
    return BILLED if record.billed_usd else PRICED


def charge_json(record: UsageRecord, hold: Hold) -> dict[str, Any]:
    """What was charged for a call, and on what basis; the overrun is what exceeded its hold."""
    return {
        "tokens": record.tokens,
        "nano_usd": record.nano_usd,
        "cost_usd": usd_string(record.nano_usd),
        "source": record.source,
        "basis": _basis(record),
        "billed_usd": record.billed_usd or None,
        "overrun_tokens": max(0, record.tokens - hold.tokens),
        "overrun_nano_usd": max(0, record.nano_usd - hold.nano_usd),
        "settled_at": utc_text(record.at),
    }
