"""What a call costs, in nano-USD, from a pinned price: integers only, each line rounded up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from oneai.kit.money import nano_from_pico

PICO_PER_NANO: Final = 1000


@dataclass(frozen=True, slots=True)
class Price:
    """One version of a model's price: pico-USD per token, nano-USD per call.

    ``cached_pico`` is what a prompt token costs that the provider had cached; None: as any other.
    ValueError for a negative figure: an unknown price is never a gift.
    """

    id: UUID | None
    prompt_pico: int
    completion_pico: int
    request_nano: int = 0
    cached_pico: int | None = None

    def __post_init__(self) -> None:
        if min(self.prompt_pico, self.completion_pico, self.request_nano, self.cached_pico or 0) < 0:
            raise ValueError("a price is never negative")

    @property
    def is_free(self) -> bool:
        """Whether no call at this price can cost anything."""
        return not (self.prompt_pico or self.completion_pico or self.request_nano or self.cached_pico)


def cost_nano(price: Price, prompt: int, completion: int, cached: int = 0) -> int:
    """Nano-USD for ``prompt`` tokens (``cached`` of them from the provider's cache) and ``completion`` tokens."""
    if price.cached_pico is None:
        cached = 0  # one line, rounded once
    return (
        nano_from_pico((prompt - cached) * price.prompt_pico)
        + nano_from_pico(cached * (price.cached_pico or 0))
        + nano_from_pico(completion * price.completion_pico)
        + price.request_nano
    )


def input_bound_nano(price: Price, prompt: int, fees: int = 0) -> int:
    """The most that ``prompt`` tokens and the call itself can cost, whatever the provider has cached.

    ``fees`` is nano-USD for what is charged by number, as pictures are.

    The one nano beside it is what rounding two lines up may cost more than rounding one.
    """
    dearest = max(price.prompt_pico, price.cached_pico or 0)
    split = 1 if price.cached_pico else 0
    return nano_from_pico(prompt * dearest) + split + price.request_nano + fees


def affordable_completion(price: Price, room_nano: int, prompt: int, fees: int = 0) -> int | None:
    """How many completion tokens ``room_nano`` covers beside the input; None: any number, negative: not even that."""
    left = room_nano - input_bound_nano(price, prompt, fees)
    if left < 0:
        return left
    if price.completion_pico == 0:
        return None
    return left * PICO_PER_NANO // price.completion_pico
