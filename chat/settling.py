"""From what an upstream reports to what an account is charged."""

from __future__ import annotations

from uuid import UUID

from chat.openrouter.wire import Usage
from oneai.kit.money import nano_from_usd, plain_decimal
from quotas.ledger import Charge, Price, cost_nano
from quotas.models import UsageRecord


def charge_for(usage: Usage, price: Price, source: str, upstream_id: str, conversation_id: UUID | None) -> Charge:
    """The charge for ``usage``: the upstream's own bill when it gives one, else our price times its tokens."""
    if usage.cost is not None:
        nano, billed = nano_from_usd(usage.cost), plain_decimal(usage.cost)
    else:
        nano, billed = cost_nano(price, usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens), ""
    return Charge(
        tokens=usage.prompt_tokens + usage.completion_tokens,
        nano_usd=nano,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cached_tokens=usage.cached_tokens,
        source=UsageRecord.Source(source),
        upstream_id=upstream_id,
        conversation_id=conversation_id,
        billed_usd=billed,
    )


def free_of_charge(upstream_id: str, conversation_id: UUID | None) -> Charge:
    """The charge for a call that was made, or may have been, and gave nothing.

    By our rule it costs nothing, whatever its provider bills. It is recorded all the same: each call has a record.
    """
    return Charge(
        tokens=0,
        nano_usd=0,
        prompt_tokens=0,
        completion_tokens=0,
        source=UsageRecord.Source.LOCAL_ESTIMATE,
        upstream_id=upstream_id,
        conversation_id=conversation_id,
    )
