"""What an upstream offers: its list of models fetched, read and bounded. No table is touched here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from chat import pricing
from chat.upstreams import Upstream
from oneai.kit import http

TIMEOUT: Final = 20.0
MOST_PAGES: Final = 20
MOST_MODELS: Final = 10_000
MOST_TOKENS: Final = 10**9


class CatalogueFailed(Exception):
    """An upstream's catalogue could not be had or read; nothing was changed. The text says why."""


@dataclass(slots=True)
class Offer:
    """One model as an upstream offers it, read and bounded. ``price`` is None when it can't be used."""

    upstream_slug: str
    slug: str
    values: dict[str, Any] = field(default_factory=dict)
    price: pricing.PriceList | None = None
    price_problem: str = ""


def _text(value: object, limit: int) -> str:
    return value.replace("\x00", "").strip()[:limit] if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    return [entry for entry in value if isinstance(entry, str)][:100] if isinstance(value, list) else []


def _tokens(*values: object) -> int | None:
    """The first of ``values`` that is a sensible number of tokens."""
    for value in values:
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_TOKENS:
            return value
    return None


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _expiry(value: object) -> datetime | None:
    """The moment a model is removed: the end of a date is the end of service."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if len(value) == len("2026-01-31"):
        moment = datetime.combine(moment.date(), time.max)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _released(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e11:
        return None
    return datetime.fromtimestamp(value, UTC)


def read_offer(row: object, upstream: Upstream) -> Offer | None:
    """The offer in one row of ``/models``; None when the row names no model that could be asked for."""
    if not isinstance(row, dict):
        return None
    given = row.get("id")
    name = _text(given, 200)
    if not name or name != given or any(character.isspace() for character in name):
        return None
    ours = upstream.kind == "openrouter"
    slug = name if ours else f"{upstream.name}/{name}"
    if len(slug) > 200:
        return None
    architecture, top, meta = (_mapping(row.get(key)) for key in ("architecture", "top_provider", "meta"))
    offer = Offer(name, slug)
    offer.values = {
        "upstream": upstream.name,
        "upstream_slug": name,
        "name": _text(row.get("name"), 200) or name,
        "description": _text(row.get("description"), 2000),
        "context_length": _tokens(
            row.get("context_length"), top.get("context_length"), row.get("max_model_len"),
            meta.get("n_ctx"), meta.get("n_ctx_train"),
        ),
        "max_output": _tokens(top.get("max_completion_tokens")),
        "input_modalities": _texts(architecture.get("input_modalities")) or ["text"],
        "output_modalities": _texts(architecture.get("output_modalities")) or ["text"],
        "supports": _texts(row.get("supported_parameters")),
        "expires_at": _expiry(row.get("expiration_date")),
        "released_at": _released(row.get("created")),
    }  # fmt: skip
    try:
        # What somebody's own server asks for a token is not in its catalogue: free until staff price it.
        offer.price = pricing.read(row.get("pricing")) if ours else pricing.FREE
    except pricing.BadPrice as problem:
        offer.price_problem = str(problem)
    return offer


def _pages(upstream: Upstream) -> Iterable[object]:
    """The rows of an upstream's catalogue, over all of its pages."""
    url: str | None = f"{upstream.base_url}/models"
    origin = urlsplit(upstream.base_url)[:2]
    for _ in range(MOST_PAGES):
        if url is None:
            return
        try:
            answer = http.fetch_json(url, headers=upstream.headers(), timeout=TIMEOUT)
        except http.HTTPFailure as failure:
            raise CatalogueFailed(f"{upstream.name}: {failure}") from failure
        rows = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            raise CatalogueFailed(f"{upstream.name}: the answer is not a list of models")
        yield from rows
        following = _mapping(answer.get("links")).get("next")
        url = urljoin(url, following) if isinstance(following, str) and following else None
        if url is not None and urlsplit(url)[:2] != origin:
            raise CatalogueFailed(f"{upstream.name}: the next page is on another server")
    if url is not None:
        raise CatalogueFailed(f"{upstream.name}: the list does not end")


def fetch(upstream: Upstream) -> tuple[list[Offer], int]:
    """What ``upstream`` offers, each once, and how many rows named nothing. CatalogueFailed when none do."""
    offers: dict[str, Offer] = {}
    skipped = 0
    for row in _pages(upstream):
        offer = read_offer(row, upstream)
        if offer is None:
            skipped += 1
        elif len(offers) < MOST_MODELS:
            offers.setdefault(offer.slug, offer)
    if not offers:
        raise CatalogueFailed(f"{upstream.name}: the list has no models")
    return list(offers.values()), skipped
