"""The few models the landing page names, out of the catalogue."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from django.apps import apps
from django.db.models import Q

SHOWN = 8
# The sandbox's rows of faults and scenarios can be asked like any other, and advertise nothing.
NOT_SHOWN = Q(slug__startswith="sandbox/") | Q(slug__startswith="oddities/")
_PICO_USD_PER_MILLION = Decimal(10**6) / Decimal(10**12)


class ShownModel(NamedTuple):
    """A model as the page says it; prices are dollars per million tokens, as text."""

    slug: str
    name: str
    maker: str
    local: bool
    context_length: int | None
    prompt_price: str
    completion_price: str


def dollars_per_million(pico_usd_per_token: int) -> str:
    """``0.15`` for 150,000 pico-USD a token; at least two decimals, exact."""
    amount = Decimal(pico_usd_per_token) * _PICO_USD_PER_MILLION
    text = f"{amount:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    whole, _, part = text.partition(".")
    return f"{whole}.{part.ljust(2, '0')}"


def models() -> list[ShownModel]:
    """Listed models, one per maker first so that a long list of one maker hides nobody. One query."""
    # By name: this app stands below chat and billing and may show their tables, not import them.
    rows = list(
        apps.get_model("chat", "AIModel")
        .objects.filter(is_enabled=True, is_listed=True, unusable_reason="", price__isnull=False)
        .exclude(NOT_SHOWN)
        .select_related("price")
        .order_by("-released_at", "slug")[:200]
    )
    first: list[Any] = []
    rest: list[Any] = []
    makers: set[str] = set()
    for row in rows:
        maker = row.slug.partition("/")[0]
        (rest if maker in makers else first).append(row)
        makers.add(maker)
    return [
        ShownModel(
            slug=row.slug,
            name=row.name,
            maker=row.slug.partition("/")[0],
            local=row.slug.startswith("local/"),
            context_length=row.context_length,
            prompt_price=dollars_per_million(row.price.prompt_pico_usd),
            completion_price=dollars_per_million(row.price.completion_pico_usd),
        )
        for row in (first + rest)[:SHOWN]
        if row.price is not None
    ]


def plans() -> list[Any]:
    """The plans on sale, in their order. One query."""
    return list(apps.get_model("billing", "Plan").objects.filter(is_active=True).order_by("position"))
