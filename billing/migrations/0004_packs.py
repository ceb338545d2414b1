"""Three packs of tokens as rows, so that a site can sell them once payments are set up."""

from __future__ import annotations

from typing import Any

from django.db import migrations

PACKS = [
    ("small", "Half a million tokens", 14_900, 500_000, 1_000_000_000),
    ("medium", "Two million tokens", 54_900, 2_000_000, 4_000_000_000),
    ("large", "Ten million tokens", 249_900, 10_000_000, 18_000_000_000),
]
DAYS = 365


def add(apps: Any, schema_editor: Any) -> None:
    pack = apps.get_model("billing", "Pack")
    for position, (code, name, paise, tokens, nano_usd) in enumerate(PACKS):
        values = {"name": name, "amount_paise": paise, "tokens": tokens, "nano_usd": nano_usd, "days": DAYS}
        pack.objects.get_or_create(code=code, defaults=values | {"position": position})


class Migration(migrations.Migration):
    dependencies = [("billing", "0003_money")]

    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
