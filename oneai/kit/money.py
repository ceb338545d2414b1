"""Integer money: prices per token in pico-USD, costs in nano-USD, rupees in paise, amounts for people as strings."""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal, InvalidOperation
from typing import Final

PICO: Final = 10**12
NANO: Final = 10**9
PICO_PER_NANO: Final = 1000
DECIMALS: Final = 24
LARGEST_USD: Final = 1_000_000  # keeps every amount within the 64 bits of its column


def nano_from_pico(pico: int) -> int:
    """Nano-USD for an amount of pico-USD, rounded up: a cost is never rounded away."""
    return -(-pico // PICO_PER_NANO)


def _decimal(value: Decimal | str | float | int) -> Decimal:
    try:
        # str() of a float is its shortest exact form; Decimal(float) would carry the binary error.
        amount = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError("not a number") from error
    if not amount.is_finite():
        raise ValueError("not a finite number")
    if amount < 0:
        raise ValueError("negative")
    if amount > LARGEST_USD:
        raise ValueError("too large")
    return amount


def nano_from_usd(value: Decimal | str | float | int) -> int:
    """Nano-USD for an amount in dollars, rounded up. ValueError when negative, not finite or absurd."""
    return int((_decimal(value) * NANO).to_integral_value(rounding=ROUND_CEILING))


def pico_from_price(value: Decimal | str | float | int) -> int:
    """Pico-USD for a price in dollars per token, rounded up.

    ValueError when negative (routers publish -1 for "depends"), not finite or not a number.
    """
    return int((_decimal(value) * PICO).to_integral_value(rounding=ROUND_CEILING))


def usd_string(nano: int) -> str:
    """Dollars as a plain decimal string without trailing zeros, exact to the nano: ``0.0000415``."""
    sign, nano = ("-", -nano) if nano < 0 else ("", nano)
    whole, part = divmod(nano, NANO)
    return f"{sign}{whole}.{part:09d}".rstrip("0").rstrip(".")


def dollars(nano: int) -> str:
    """An amount as people read it: ``$1.50``, ``$0.0000415``; at least two decimals, exact to the nano."""
    whole, _, part = usd_string(abs(nano)).partition(".")
    return f"{'-' if nano < 0 else ''}${whole}.{part.ljust(2, '0')}"


def rupees(paise: int, *, exact: bool = False) -> str:
    """₹1,23,456 for 12345600 paise: Indian grouping; two decimals when there are any paise, or always if ``exact``."""
    whole, part = divmod(abs(paise), 100)
    head, groups = str(whole)[:-3], [str(whole)[-3:]]
    while head:
        groups.insert(0, head[-2:])
        head = head[:-2]
    return f"{'-' if paise < 0 else ''}₹{','.join(groups)}" + (f".{part:02d}" if part or exact else "")


def plain_decimal(value: Decimal | str | float | int) -> str:
    """A number as it was given, without an exponent, beyond 24 decimals rounded up; at most 40 characters.

    ValueError when negative, not finite or absurd.
    """
    amount = _decimal(value)
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -DECIMALS:
        amount = amount.quantize(Decimal(1).scaleb(-DECIMALS), ROUND_CEILING, Context(prec=60))
    return f"{amount:f}"


def per_million_string(pico_per_token: int) -> str:
    """A price in dollars per million tokens as a plain decimal string."""
    whole, part = divmod(pico_per_token, 1_000_000)
    return f"{whole}.{part:06d}".rstrip("0").rstrip(".")
