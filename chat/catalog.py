"""The catalogue of models as admission, the upstream client and the pages read it: from memory.

``snapshot`` and ``find`` never touch the database, so they may be called on the event loop; somebody
calls ``refresh`` in a thread every few seconds (the clock of a server does). Synchronous code that has
no such clock behind it (commands, a view's first call) asks for ``current``, which reloads what is old.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from chat.catalog_sync import Counts, sync, sync_all
from chat.models import AIModel, ModelClass
from chat.offers import CatalogueFailed
from chat.upstreams import Upstream, upstreams
from oneai.kit import clock
from oneai.kit.errors import Refusal
from quotas import bounds
from quotas.policy import matches

FRESH_SECONDS: Final = 5.0
LOCAL: Final = "local/"
USUAL_DEFAULT: Final = "openai/gpt-4o-mini"


@dataclass(frozen=True, slots=True)
class Price:
    """A version of a price: pico-USD per token, nano-USD per call; ``cached_pico`` None: as the prompt."""

    id: UUID
    prompt_pico: int
    completion_pico: int
    cached_pico: int | None
    request_nano: int
    image_nano: int


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """A model as last read. ``usable`` says whether it may be asked now, ``reason`` why not."""

    id: UUID
    slug: str
    upstream: str
    upstream_slug: str
    name: str
    context_length: int | None
    max_output: int | None
    input_modalities: tuple[str, ...]
    supports: tuple[str, ...]
    price: Price | None
    usable: bool
    reason: str
    listed: bool
    released_at: datetime | None
    fallbacks: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    bound_ppm: int | None = None  # of a million tokens that a prompt can't exceed, so many at most; None: not trusted

    @property
    def sees(self) -> bool:
        """Whether it reads pictures."""
        return "image" in self.input_modalities

    @property
    def local(self) -> bool:
        """Whether it runs on the machine of this site."""
        return self.slug.startswith(LOCAL)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole catalogue at one moment, by slug; ``read_at`` in monotonic seconds, -inf before the first."""

    models: Mapping[str, CatalogModel] = field(default_factory=lambda: MappingProxyType({}))
    read_at: float = float("-inf")
    default: CatalogModel | None = None

    @property
    def offered(self) -> list[CatalogModel]:
        """What may be asked now, by slug."""
        return [model for model in self.models.values() if model.usable]


_snapshot = Snapshot()
_loading = threading.Lock()

_COLUMNS: Final = (
    "id", "slug", "upstream", "upstream_slug", "name", "context_length", "max_output", "input_modalities",
    "supports", "released_at", "is_enabled", "is_listed", "unusable_reason", "expires_at", "fallbacks", "price_id",
    "price__prompt_pico_usd", "price__completion_pico_usd", "price__cached_pico_usd",
    "price__request_nano_usd", "price__image_nano_usd",
)  # fmt: skip


def _reason(row: dict[str, object], at: datetime, known: Mapping[str, Upstream]) -> str:
    """Why the model of ``row`` can't be asked; empty when it can."""
    expires = row["expires_at"]
    if not row["is_enabled"]:
        return "it is switched off here"
    if row["upstream"] not in known:
        return "its provider is not configured"
    if isinstance(expires, datetime) and expires <= at:
        return "its provider has retired it"
    if not row["is_listed"]:
        return str(row["unusable_reason"]) or "it is not offered"
    return "" if row["price_id"] else "it has no price"


def _default(models: list[CatalogModel]) -> CatalogModel | None:
    usable = [model for model in models if model.usable]
    for model in usable:
        if model.local:
            return model
    for model in usable:
        if model.slug == USUAL_DEFAULT:
            return model

    def cost(model: CatalogModel) -> tuple[int, str]:
        price = model.price
        return (price.prompt_pico + price.completion_pico + price.request_nano if price else 0), model.slug

    return min(usable, key=cost, default=None)


def _load() -> Snapshot:
    at, known = clock.now(), upstreams()
    learnt = bounds.in_force(at)
    classes = list(ModelClass.objects.values_list("name", "patterns"))
    models = []
    for row in AIModel.objects.order_by("slug").values(*_COLUMNS):
        reason = _reason(row, at, known)
        price = row["price_id"] and Price(
            id=row["price_id"],
            prompt_pico=row["price__prompt_pico_usd"],
            completion_pico=row["price__completion_pico_usd"],
            cached_pico=row["price__cached_pico_usd"],
            request_nano=row["price__request_nano_usd"],
            image_nano=row["price__image_nano_usd"],
        )
        models.append(
            CatalogModel(
                id=row["id"],
                slug=row["slug"],
                upstream=row["upstream"],
                upstream_slug=row["upstream_slug"],
                name=row["name"],
                context_length=row["context_length"],
                max_output=row["max_output"],
                input_modalities=tuple(row["input_modalities"]),
                supports=tuple(row["supports"]),
                price=price or None,
                usable=not reason,
                reason=reason,
                listed=bool(row["is_listed"] and row["is_enabled"]),
                released_at=row["released_at"],
                fallbacks=tuple(row["fallbacks"] or ()),
                bound_ppm=learnt.get(row["slug"]),
                classes=tuple(name for name, patterns in classes if matches(patterns, row["slug"])),
            )
        )
    by_slug = MappingProxyType({model.slug: model for model in models})
    return Snapshot(by_slug, time.monotonic(), _default(models))


def refresh() -> Snapshot:
    """Read the catalogue from the database: synchronous, three queries. Others read the old one meanwhile."""
    global _snapshot
    with _loading:
        _snapshot = _load()
    return _snapshot


def snapshot() -> Snapshot:
    """The catalogue in memory, however old; no database."""
    return _snapshot


def current() -> Snapshot:
    """The catalogue, reloaded when it is older than five seconds; synchronous.

    While one thread reloads, the others take what is there, unless there is nothing yet.
    """
    global _snapshot
    if time.monotonic() - _snapshot.read_at < FRESH_SECONDS:
        return _snapshot
    if not _loading.acquire(blocking=_snapshot.read_at == float("-inf")):
        return _snapshot
    try:
        if time.monotonic() - _snapshot.read_at >= FRESH_SECONDS:
            _snapshot = _load()
    finally:
        _loading.release()
    return _snapshot


def find(slug: str) -> CatalogModel | None:
    """The model that users call ``slug``, usable or not; from memory."""
    return _snapshot.models.get(slug)


def usable(slug: str) -> CatalogModel:
    """The model ``slug`` if it may be asked now, from memory.

    Refusal ``model_not_found`` or ``model_not_usable``.
    """
    model = find(slug)
    if model is None:
        raise Refusal("model_not_found", param="model")
    if not model.usable:
        raise Refusal("model_not_usable", f"The model can't be used: {model.reason}.", param="model")
    return model


def default_model() -> CatalogModel | None:
    """For a new conversation, from memory: this machine's own model, else the usual, else the cheapest."""
    return _snapshot.default


__all__ = [
    "CatalogModel", "CatalogueFailed", "Counts", "Price", "Snapshot", "Upstream", "current", "default_model",
    "find", "refresh", "snapshot", "sync", "sync_all", "upstreams", "usable",
]  # fmt: skip
