"""The four plans as rows, so that `migrate` alone leaves a usable site."""

from __future__ import annotations

from typing import Any

from django.db import migrations

EVERY_MODEL = "Every model on the site"
CHAT = "Streaming chat with history, Markdown, code and math"
API = "OpenAI-compatible API with keys of your own"
EXACT = "Usage counted to the token, shown as you go"

PLANS = [
    {
        "code": "free",
        "name": "Free",
        "tagline": "Try every model, no card needed.",
        "price_month_paise": 0,
        "price_year_paise": 0,
        "tokens": 50_000,
        "nano_usd": 250_000_000,
        "rates": (20, 40_000, 4),
        "features": [
            EVERY_MODEL,
            CHAT,
            API,
            EXACT,
        ],
    },
    {
        "code": "plus",
        "name": "Plus",
        "tagline": "For everyday work.",
        "price_month_paise": 49_900,
        "price_year_paise": 499_000,
        "tokens": 2_000_000,
        "nano_usd": 4_000_000_000,
        "rates": (60, 200_000, 8),
        "features": [
            EVERY_MODEL,
            CHAT,
            API,
            EXACT,
        ],
    },
    {
        "code": "pro",
        "name": "Pro",
        "tagline": "For long documents and heavy use.",
        "price_month_paise": 149_900,
        "price_year_paise": 1_499_000,
        "tokens": 8_000_000,
        "nano_usd": 14_000_000_000,
        "rates": (120, 500_000, 16),
        "features": [
            EVERY_MODEL,
            CHAT,
            API,
            EXACT,
        ],
    },
    {
        "code": "team",
        "name": "Team",
        "tagline": "For groups, priced by seat.",
        "price_month_paise": 129_900,
        "price_year_paise": 1_299_000,
        "per_seat": True,
        "tokens": 6_000_000,
        "nano_usd": 12_000_000_000,
        "rates": (240, 1_000_000, 32),
        "features": [
            EVERY_MODEL,
            CHAT,
            API,
            EXACT,
        ],
    },
]


def add(apps: Any, schema_editor: Any) -> None:
    plan = apps.get_model("billing", "Plan")
    for position, row in enumerate(PLANS):
        values = dict(row)
        code, tokens, nano_usd = values.pop("code"), values.pop("tokens"), values.pop("nano_usd")
        requests, tokens_a_minute, concurrent = values.pop("rates")
        plan.objects.get_or_create(
            code=code,
            defaults=values
            | {
                "position": position,
                "limits": [
                    {"scope": "*", "unit": "tokens", "limit": tokens},
                    {"scope": "*", "unit": "nano_usd", "limit": nano_usd},
                ],
                "model_patterns": ["*"],
                "requests_per_minute": requests,
                "tokens_per_minute": tokens_a_minute,
                "concurrent_generations": concurrent,
            },
        )


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]

    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
