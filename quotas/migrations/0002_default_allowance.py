"""What an account without an allowance of its own may: the free plan, from the first day on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import migrations


def add(apps: Any, schema_editor: Any) -> None:
    allowance = apps.get_model("quotas", "Allowance")
    if allowance.objects.filter(user=None, team_id=None).exists():
        return
    allowance.objects.create(
        user=None,
        plan="free",
        limits=[
            {"scope": "*", "unit": "tokens", "limit": 50_000},
            {"scope": "*", "unit": "nano_usd", "limit": 250_000_000},
        ],
        model_patterns=["*"],
        requests_per_minute=20,
        tokens_per_minute=40_000,
        concurrent_generations=4,
        starts_at=datetime(2020, 1, 1, tzinfo=UTC),
        source="default",
    )


class Migration(migrations.Migration):
    dependencies = [("quotas", "0001_initial")]

    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
