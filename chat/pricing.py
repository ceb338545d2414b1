"""Prices as upstreams publish them, read into integers; what can't be trusted is refused.

Pure: no table and no network. A price list here bounds what a call can cost: where a model has
several prices (long prompts, hours of the day), the highest of them counts. What a call really
cost is what the upstream bills; these prices decide how much is held for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from oneai.kit.money import NANO, PICO

MOST_USD: Final = {PICO: 1, NANO: 100}
"""The highest prices believed, in dollars per token, and per call or image: sums stay within 64 bits."""

_NUMBER: Final = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,3})?", re.ASCII)


class BadPrice(ValueError):
    """A price that can't be used; the text says which and why, for people."""


@dataclass(frozen=True, slots=True)
class PriceList:
    """The bounds of one model's price: pico-USD per token, nano-USD per call and per image.

    ``cached_pico_usd`` is None when cached input has no price of its own.
    """

    prompt_pico_usd: int
    completion_pico_usd: int
    cached_pico_usd: int | None = None
    request_nano_usd: int = 0
    image_nano_usd: int = 0


FREE: Final = PriceList(0, 0)


def _integer(name: str, value: object, scale: int) -> int:
    """``value`` dollars in units of 1/``scale`` dollar, rounded up."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise BadPrice(f"the {name} price is not a number")
    text = str(value).strip()
    if not _NUMBER.fullmatch(text):
        raise BadPrice(f"the {name} price is not a number")
    amount = Decimal(text)
    if amount < 0:
        raise BadPrice(f"the {name} price is negative")
    # Looked at before any arithmetic: a huge exponent would overflow it.
    if amount and (amount.adjusted() > 3 or amount > MOST_USD[scale]):
        raise BadPrice(f"the {name} price is above ${MOST_USD[scale]}")
    if not amount or amount.adjusted() < -60:
        return 1 if amount else 0
    return int((amount * scale).to_integral_value(rounding=ROUND_CEILING))


def _overrides(pricing: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    overrides = pricing.get("overrides")
    if overrides is None:
        return
    if not isinstance(overrides, list) or not all(isinstance(entry, Mapping) for entry in overrides):
        raise BadPrice("the price overrides can't be read")
    yield from overrides


def _highest(name: str, pricing: Mapping[str, Any], scale: int) -> int | None:
    """The highest of a price and its overrides; None when it is nowhere given."""
    found = [entry[name] for entry in (pricing, *_overrides(pricing)) if entry.get(name) is not None]
    return max((_integer(name, value, scale) for value in found), default=None)


def read(pricing: object) -> PriceList:
    """The price list in an upstream's ``pricing`` object, its strings in dollars per token or unit.

    BadPrice when prompt or completion is missing, or any price used here is negative (routers
    publish -1 for "depends"), not finite, not a number or beyond belief. Reasoning is billed as
    completion, so its own price, where there is a higher one, is the bound of both.
    """
    if not isinstance(pricing, Mapping):
        raise BadPrice("there is no price")
    for name in ("prompt", "completion"):
        if pricing.get(name) is None:
            raise BadPrice(f"there is no {name} price")
    return PriceList(
        prompt_pico_usd=_highest("prompt", pricing, PICO) or 0,
        completion_pico_usd=max(
            _highest("completion", pricing, PICO) or 0, _highest("internal_reasoning", pricing, PICO) or 0
        ),
        cached_pico_usd=_highest("input_cache_read", pricing, PICO),
        request_nano_usd=_highest("request", pricing, NANO) or 0,
        image_nano_usd=_highest("image", pricing, NANO) or 0,
    )
