"""Bringing the catalogue into step with what the upstreams offer. The one writer of models and prices.

A price is never edited: a new one is a new version, and holds pin theirs. What can't be used is kept
with its reason, what vanished is unlisted; a catalogue that fails, is empty or is garbage changes nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import Max

from chat import pricing
from chat.models import AIModel, ModelPrice
from chat.offers import CatalogueFailed, Offer, fetch
from chat.upstreams import Upstream, upstreams
from oneai.kit import clock

log = structlog.get_logger("catalog")

GONE: Final = "its provider no longer offers it"

_FIELDS: Final = (
    "upstream", "upstream_slug", "name", "description", "context_length", "max_output", "input_modalities",
    "output_modalities", "supports", "is_listed", "unusable_reason", "expires_at", "released_at",
)  # fmt: skip


@dataclass(slots=True)
class Counts:
    """What a sync did, in models; ``priced`` counts new price versions."""

    upstream: str
    seen: int = 0
    added: int = 0
    changed: int = 0
    priced: int = 0
    unusable: int = 0
    unlisted: int = 0
    skipped: int = 0


def _hold_off_others(upstream: str) -> None:
    """Hold the others off until the transaction ends; on SQLite the transaction itself does."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [zlib.crc32(f"catalog:{upstream}".encode())])


def _same(price: ModelPrice, offered: pricing.PriceList) -> bool:
    return all(getattr(price, name) == value for name, value in asdict(offered).items())


def _reason(offer: Offer, model: AIModel) -> str:
    """Why ``model`` can't be used as offered; empty when it can."""
    if "text" not in offer.values["output_modalities"]:
        return "it does not write text"
    expires = offer.values["expires_at"]
    if expires and expires <= clock.now():
        return "its provider has retired it"
    staff = model.price is not None and model.price.source == ModelPrice.Source.STAFF
    return "" if staff else offer.price_problem[:200]


def _new_version(model: AIModel, offer: Offer, version: int) -> ModelPrice | None:
    """A new version of the model's price; None when the one in force stays. A price set by staff stays."""
    if offer.price is None:
        return None
    if model.price is not None and (model.price.source == ModelPrice.Source.STAFF or _same(model.price, offer.price)):
        return None
    return ModelPrice(model=model, version=version, **asdict(offer.price))


def _write(upstream: Upstream, offers: list[Offer], counts: Counts) -> None:
    at = clock.now()
    rows = {row.slug: row for row in AIModel.objects.select_related("price").filter(upstream=upstream.name)}
    taken = set(
        AIModel.objects.exclude(upstream=upstream.name)
        .filter(slug__in=[offer.slug for offer in offers])
        .values_list("slug", flat=True)
    )
    versions = dict(
        ModelPrice.objects.filter(model__upstream=upstream.name)
        .values("model_id")
        .annotate(last=Max("version"))
        .values_list("model_id", "last")
    )
    added, changed, prices = [], [], []
    for offer in offers:
        if offer.slug in taken:  # another upstream's model has that name; two would be one to the user
            counts.skipped += 1
            continue
        row = rows.pop(offer.slug, None)
        model = row or AIModel(slug=offer.slug)
        before = [getattr(model, name) for name in _FIELDS]
        for name, value in offer.values.items():
            setattr(model, name, value)
        model.unusable_reason = _reason(offer, model)
        model.is_listed = not model.unusable_reason
        counts.seen += 1
        counts.unusable += not model.is_listed
        model.synced_at = at
        if row is None:
            added.append(model)
        if price := _new_version(model, offer, versions.get(model.id, 0) + 1):
            prices.append((model, price))
        if row is not None and (price or before != [getattr(model, name) for name in _FIELDS]):
            changed.append(model)
    counts.added, counts.changed, counts.priced = len(added), len(changed), len(prices)
    for model in rows.values():
        if model.is_listed or model.unusable_reason != GONE:
            model.is_listed, model.unusable_reason = False, GONE
            changed.append(model)
            counts.unlisted += 1
    AIModel.objects.bulk_create(added)
    ModelPrice.objects.bulk_create([price for _, price in prices])
    for model, price in prices:
        model.price = price
    fresh = [model for model in added if model.price is not None]
    AIModel.objects.bulk_update(fresh, ["price"], batch_size=200)
    AIModel.objects.bulk_update(changed, [*_FIELDS, "price", "synced_at"], batch_size=50)


def sync(name: str) -> Counts:
    """Read the catalogue of the upstream ``name`` and write what changed, in one transaction.

    CatalogueFailed when it could not be had or read, or no upstream has that name.
    """
    upstream = upstreams().get(name)
    if upstream is None:
        raise CatalogueFailed(f"no upstream is called {name}")
    offers, skipped = fetch(upstream)
    counts = Counts(name, skipped=skipped)
    with transaction.atomic():
        _hold_off_others(name)
        _write(upstream, offers, counts)
    log.info("catalog_synced", upstream=name, seen=counts.seen, added=counts.added, priced=counts.priced)
    return counts


def unlist_removed_upstreams() -> int:
    """Unlist the models of upstreams that the settings no longer name; returns how many."""
    return (
        AIModel.objects.filter(is_listed=True)
        .exclude(upstream__in=list(upstreams()))
        .update(is_listed=False, unusable_reason="its provider is no longer configured")
    )


def sync_all() -> tuple[list[Counts], list[str]]:
    """Sync every configured upstream: what was done, and a sentence for each that failed."""
    done, failed = [], []
    for name in upstreams():
        try:
            done.append(sync(name))
        except CatalogueFailed as failure:
            log.warning("catalog_failed", upstream=name, reason=str(failure))
            failed.append(str(failure))
    unlist_removed_upstreams()
    return done, failed


def set_staff_price(model_id: UUID, price: pricing.PriceList) -> ModelPrice:
    """Put a price of the staff's in force for a model, as a new version; a sync leaves it alone.

    It also makes a model usable whose own price could not be used.
    """
    with transaction.atomic():
        model = AIModel.objects.get(pk=model_id)
        _hold_off_others(model.upstream)
        last = ModelPrice.objects.filter(model=model).aggregate(last=Max("version"))["last"] or 0
        version = ModelPrice(model=model, version=last + 1, source=ModelPrice.Source.STAFF, **asdict(price))
        version.save(force_insert=True)
        AIModel.objects.filter(pk=model.pk).update(price=version)
    return version


def switch(model_ids: Iterable[UUID], *, on: bool) -> list[str]:
    """Switch models on or off for everybody; the slugs of those that were not so already."""
    with transaction.atomic():
        changing = AIModel.objects.filter(pk__in=list(model_ids)).exclude(is_enabled=on).order_by("slug")
        slugs = list(changing.values_list("slug", flat=True))
        AIModel.objects.filter(slug__in=slugs).update(is_enabled=on)
    return slugs


def set_fallbacks(model_id: UUID, slugs: Sequence[str]) -> None:
    """Name the models that answer when this one can't, the first first."""
    AIModel.objects.filter(pk=model_id).update(fallbacks=list(slugs) or None)
