"""Works a receipt's charge out again from the receipt alone, in integers: `python tools/check_receipt.py FILE…`.

A file holds what GET /api/messages/{id}/receipt answered, or a list of such answers; `-` is the standard
input. Prints each receipt that does not come out; exit status 1 when there is one. docs/receipts.md explains the rule.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

NANO_DIGITS = 9


def nano_from_pico(pico: int) -> int:
    """Nano-USD, rounded up."""
    return -(-pico // 1000)


def nano_from_text(usd: str) -> int:
    """Nano-USD for plain decimals such as 0.0000415, rounded up."""
    whole, _, decimals = usd.partition(".")
    kept, rest = decimals[:NANO_DIGITS].ljust(NANO_DIGITS, "0"), decimals[NANO_DIGITS:]
    return int(f"{whole or 0}{kept}") + bool(rest.strip("0"))


def cost_at_price(price: dict[str, Any], usage: dict[str, int]) -> int:
    """Nano-USD of the tokens at the price, each line rounded up by itself."""
    cached_price: int | None = price["cached_pico_usd"]
    cached = 0 if cached_price is None else usage["cached_tokens"]
    lines = (
        nano_from_pico((usage["prompt_tokens"] - cached) * int(price["prompt_pico_usd"])),
        nano_from_pico(cached * (cached_price or 0)),
        nano_from_pico(usage["completion_tokens"] * int(price["completion_pico_usd"])),
        int(price["request_nano_usd"]),
    )
    return sum(lines)


def expected(receipt: dict[str, Any]) -> tuple[int, int]:
    """(tokens, nano-USD) that the receipt's own figures come to."""
    charge, hold, usage = receipt["charge"], receipt["hold"], receipt["usage"]
    if charge is None:
        return 0, 0
    if charge["basis"] == "held":
        return hold["tokens"], hold["nano_usd"]
    tokens = usage["prompt_tokens"] + usage["completion_tokens"]
    if charge["basis"] == "billed":
        nano = nano_from_text(charge["billed_usd"])
    else:
        nano = cost_at_price(receipt["price"], usage)
    if charge["source"] == "local_estimate":  # an estimate is never charged beyond what was set aside
        return min(tokens, hold["tokens"]), min(nano, hold["nano_usd"])
    return tokens, nano


def limit_of(line: dict[str, Any]) -> tuple[str, str, bool | None]:
    """Which limit a line is about; a team's quota and a member's cap on it have one scope."""
    return line["scope"], line["unit"], line.get("shared")


def faults(receipt: dict[str, Any]) -> list[str]:
    """What in the receipt does not come out."""
    found = []
    charge = receipt["charge"] or {"tokens": 0, "nano_usd": 0, "overrun_tokens": 0, "overrun_nano_usd": 0}
    tokens, nano = expected(receipt)
    if (tokens, nano) != (charge["tokens"], charge["nano_usd"]):
        found.append(f"charged {charge['tokens']} tokens, {charge['nano_usd']} nano-USD; expected {tokens}, {nano}")
    of = {"tokens": charge["tokens"], "nano_usd": charge["nano_usd"]}
    if receipt["state"] != "running":
        for one in dict.fromkeys(limit_of(limit) for limit in receipt["limits"]):
            scope, unit, _ = one
            taken = sum(each["charged"] for each in receipt["limits"] if limit_of(each) == one)
            if taken != of[unit]:
                found.append(f"{scope} {unit}: {taken} was taken, the receipt says {of[unit]}")
        for limit in receipt["limits"]:
            name = f"{limit['scope']} {limit['unit']}"
            if limit["limit"] is not None and limit["balance_before"] - limit["charged"] != limit["balance_after"]:
                found.append(
                    f"{name}: {limit['balance_before']} less {limit['charged']} is not {limit['balance_after']}"
                )
    taken_by, entered = Counter[tuple[Any, ...]](), Counter[tuple[Any, ...]]()
    for each in receipt["limits"]:
        taken_by[*limit_of(each), each["top_up"]] += each["charged"]
    for entry in receipt["ledger_entries"]:
        entered[*limit_of(entry), entry["top_up"]] += entry["used"]
    if +taken_by != +entered:
        found.append("the ledger entries do not add up to what was taken")
    return found


def main() -> int:
    status = 0
    for name in sys.argv[1:] or ["-"]:
        read = json.loads(sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8"))
        for receipt in read if isinstance(read, list) else [read]:
            for fault in faults(receipt):
                print(f"{receipt['message_id']}: {fault}")
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
