"""One trace of deeds on the database of the environment: ``python -m tests.quotas.trace SEED LIVES DEEDS``.

Prints every row that it left, in the order of making, with ids by their order and without digests, as
one line of JSON for each life: two databases must print the same.
"""

from __future__ import annotations

import json
import random
import re
import sys
from datetime import datetime
from typing import Any
from uuid import UUID

import django

django.setup()

from django.db import transaction  # noqa: E402
from django.db.models import Model  # noqa: E402

from quotas.models import (  # noqa: E402
    Allowance,
    Grant,
    Hold,
    LedgerEntry,
    Override,
    PlatformCounter,
    QuotaAccount,
    QuotaCounter,
    UsageRecord,
)
from tests.quotas.life import Life  # noqa: E402

TABLES: tuple[type[Model], ...] = (
    QuotaAccount, Allowance, Override, QuotaCounter, Grant, Hold, LedgerEntry, UsageRecord,
)  # fmt: skip
# Digests cover ids; the rest is the wall's clock. Shards are many on one database and one on the other.
_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
LEFT_OUT = {"mac", "chain_head", "platform_shard"}
BY_THE_WALL = {("holds", "check_at"), ("allowances", "created_at"), ("quota_overrides", "created_at")}


def deed(life: Life, dice: random.Random) -> None:
    """One deed, drawn."""
    who, payer = dice.randrange(2), dice.randrange(3)
    index, amount = dice.randrange(10), dice.randrange(3000)
    days = dice.choice([None, 9])
    deeds: list[tuple[int, Any]] = [
        (6, lambda: life.admit(who, dice.randrange(2), amount, dice.randrange(1, 20_000), index == 0, index == 1)),
        (2, lambda: life.admit_side_by_side(who, amount, dice.randrange(1, 20_000))),
        (3, lambda: life.extend(index, amount)),
        (3, lambda: life.settle(index, amount, dice.randrange(10**7))),
        (1, lambda: life.settle_exactly(index)),
        (1, lambda: life.stop(index, dice.randrange(11))),
        (1, lambda: life.fail(index)),
        (1, lambda: life.settle_two_at_once(amount)),
        (1, lambda: life.kill(index)),
        (1, lambda: life.sweep(amount)),
        (1, lambda: life.end_again(index, amount)),
        (2, lambda: life.correct(index, amount, dice.randrange(10**7))),
        (1, lambda: life.override(payer, dice.randrange(4), amount * 20, dice.choice([0, 0, 3]), days)),
        (1, lambda: life.change_plan(who, amount * 50, dice.choice([None, amount * 5]))),
        (1, lambda: life.renew(payer)),
        (1, lambda: life.upgrade(payer, amount + 1)),
        (
            2,
            lambda: life.top_up(payer, amount * 5 + 1, dice.choice([0, 10**7]), days, dice.randrange(4)),
        ),
        (1, lambda: life.refund(index, dice.randrange(1, 5))),
        (1, lambda: life.forgive(payer)),
        (2, lambda: life.join(who, dice.choice([None, amount * 6]))),
        (1, lambda: life.leave(who)),
        (2, lambda: life.team_plan(amount * 50, dice.choice([None, amount * 5]), days)),
        (2, lambda: life.time_passes(dice.choice([1, 24, 24 * 20, 24 * 31]))),
    ]
    dice.choices([do for _, do in deeds], [weight for weight, _ in deeds])[0]()


def rows(life: Life) -> list[Any]:
    """What the life left, comparable between databases."""
    names: dict[str, str] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, UUID):
            return names.setdefault(str(value), f"#{len(names)}")
        if isinstance(value, dict):  # in the order of the keys' making: jsonb keeps none
            return {plain(key): plain(each) for key, each in sorted(value.items())}
        if isinstance(value, list | tuple):
            return [plain(each) for each in value]
        if isinstance(value, str):
            return _ID.sub(lambda found: names.setdefault(str(UUID(found[0])), f"#{len(names)}"), value)
        return value

    found: list[Any] = []
    ids = [purse.id for purse in life.purses]
    for table in TABLES:
        name = table._meta.db_table
        kept = [
            field.attname
            for field in table._meta.concrete_fields
            if field.attname not in LEFT_OUT and (name, field.attname) not in BY_THE_WALL
        ]
        for row in table._default_manager.filter(user_id__in=ids).order_by("pk").values_list(*kept):
            found.append([name, *plain(row)])
    days = PlatformCounter.objects.order_by("day").values_list("day", "used", "held")
    sums: dict[str, list[int]] = {}
    for day, used, held in days:
        total = sums.setdefault(str(day), [0, 0])
        total[0] += used
        total[1] += held
    return [*found, sums]


def main() -> None:
    seed, lives, deeds = (int(each) for each in sys.argv[1:4])
    for number in range(lives):
        dice = random.Random(seed * 1000 + number)
        with transaction.atomic():
            life = Life()
            for _ in range(deeds):
                deed(life, dice)
            life.check()
            print(json.dumps(rows(life), sort_keys=True, default=str))
            transaction.set_rollback(True)


if __name__ == "__main__":
    main()
