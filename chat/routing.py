"""Where a call goes: with which of an upstream's keys, and who is asked when the chosen model can't answer.

Decided before any text, from what is known then: what staff listed as fallbacks, what rests after failures,
and what the call needs of a model (docs/decisions/0054-before-the-first-token.md).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from chat import catalog, context
from chat.breaker import Breakers
from chat.catalog import CatalogModel
from chat.openrouter.client import Call, Endpoint
from chat.upstreams import Upstream, key_name
from oneai.kit.errors import Refusal

MOST_TRIES: Final = 2
KEY_REST: Final = 60.0  # of a key that was refused: longer than a bill takes to pay is no use, and shorter floods
_OF_THE_KEY: Final = frozenset({"upstream_unconfigured", "upstream_unpaid"})
_OF_THE_MODEL: Final = frozenset(
    {"upstream_error", "upstream_overloaded", "upstream_timeout", "upstream_invalid", "upstream_interrupted"}
)


def another_may_do(refusal: Refusal) -> bool:
    """Whether another model or key could do what this failure says that one could not.

    What is wrong with the request, or was refused for its content, is not carried elsewhere.
    """
    if refusal.code in _OF_THE_KEY or refusal.code in _OF_THE_MODEL:
        return True
    retired = (refusal.details or {}).get("upstream_status") == 404
    return refusal.code == "upstream_refused" and retired


@dataclass(frozen=True, slots=True)
class Needs:
    """What a call needs of whoever answers it: ``prompt`` is the estimate of its tokens."""

    images: bool
    tools: bool
    schema: bool
    prompt: int

    @classmethod
    def of(cls, call: Call, prompt: int) -> Needs:
        """The needs of ``call``."""
        return cls(
            images=any(map(context.has_image, call.messages)),
            tools=bool(call.params.get("tools")),
            schema=bool(call.params.get("response_format")),
            prompt=prompt,
        )

    def met_by(self, model: CatalogModel) -> bool:
        """Whether ``model`` can be asked instead. One whose abilities nobody told is taken to have them."""
        if not model.usable or model.price is None:
            return False
        if model.context_length is not None and model.context_length <= self.prompt:
            return False
        if self.images and "image" not in model.input_modalities:
            return False
        if not model.supports:
            return True
        schemas = {"response_format", "structured_outputs"}
        if self.schema and schemas.isdisjoint(model.supports):
            return False
        return not self.tools or "tools" in model.supports


class Router:
    """One process's view of what works: its upstreams with their keys, and the breakers of models and keys."""

    def __init__(self, upstreams: Mapping[str, Upstream]) -> None:
        self.upstreams = upstreams
        self.refused_keys: dict[tuple[str, str], str] = {}  # since the owner was last told of them
        self._breakers = Breakers()
        self._turn = 0

    def endpoint(self, name: str) -> Endpoint:
        """Where to call, with the next of the upstream's keys that does not rest. Refusal ``model_not_usable``."""
        upstream = self.upstreams.get(name)
        if upstream is None:
            raise Refusal("model_not_usable", param="model")
        key = ""
        if upstream.keys:
            count = len(upstream.keys)
            self._turn = (self._turn + 1) % count
            ordered = [upstream.keys[(self._turn + step) % count] for step in range(count)]
            # One that rests after an overload may do; one that was refused would not.
            key = min(ordered, key=lambda one: self._reluctance(name, one))
        return Endpoint(base_url=upstream.base_url, key=key, openrouter=upstream.kind == "openrouter")

    def _reluctance(self, name: str, key: str) -> int:
        code = self._breakers.resting(_key_name(name, key))
        return 2 if code in _OF_THE_KEY else int(bool(code))

    # What was seen --------------------------------------------------------------------------------

    def worked(self, model: CatalogModel, endpoint: Endpoint) -> None:
        """An answer has begun."""
        self._breakers.worked(model.slug)
        if endpoint.key:
            self._breakers.worked(_key_name(model.upstream, endpoint.key))

    def failed(self, model: CatalogModel, endpoint: Endpoint, refusal: Refusal) -> None:
        """A call failed before its first token."""
        if refusal.code in _OF_THE_KEY and (refusal.details or {}).get("preflight"):
            return  # what this call would have cost at most is too much for the key; others may be served
        if refusal.code in _OF_THE_KEY:
            self._breakers.failed(_key_name(model.upstream, endpoint.key), refusal.code, rest=KEY_REST)
            self.refused_keys[model.upstream, key_name(endpoint.key)] = refusal.code
        elif another_may_do(refusal):
            if endpoint.key and refusal.code == "upstream_overloaded":
                # Some limits are a key's own: the next call takes another, if there is one.
                self._breakers.failed(_key_name(model.upstream, endpoint.key), refusal.code, rest=5.0)
            self._breakers.failed(model.slug, refusal.code)
        else:
            self.worked(model, endpoint)  # it answers, if not what was hoped for

    def undecided(self, model: CatalogModel) -> None:
        """A call ended before anything was seen of the model."""
        self._breakers.undecided(model.slug)

    # Whom to ask ----------------------------------------------------------------------------------

    def resting(self, model: CatalogModel, needs: Needs) -> Refusal | None:
        """Why ``model`` should not be asked now; None when it may be, or when nobody could answer in its place."""
        code = self._breakers.resting(model.slug)
        if not code or self._instead(model, needs, {model.slug}, awake=True) is None:
            self._breakers.trial(model.slug)
            return None
        return Refusal(code)

    def another(
        self, model: CatalogModel, endpoint: Endpoint, refusal: Refusal, needs: Needs, asked: Collection[str]
    ) -> CatalogModel | None:
        """Whom to ask after ``model`` failed: a model of its list, or itself when another key may do better.

        ``asked`` has the slugs that were asked already. None: nobody.
        """
        if not another_may_do(refusal):
            return None
        spare = self._spare_key(model.upstream, endpoint.key)
        if refusal.code in _OF_THE_KEY and spare:
            return model
        elsewhere = model.upstream if refusal.code in _OF_THE_KEY else ""
        found = self._instead(model, needs, asked, awake=True, not_at=elsewhere)
        found = found or self._instead(model, needs, asked, awake=False, not_at=elsewhere)
        if found is None and spare:
            return model
        return found

    def _instead(
        self, model: CatalogModel, needs: Needs, asked: Collection[str], *, awake: bool, not_at: str = ""
    ) -> CatalogModel | None:
        chosen = catalog.find(model.slug)
        for slug in chosen.fallbacks if chosen is not None else ():
            found = catalog.find(slug)
            if found is None or slug in asked or found.upstream not in self.upstreams or not needs.met_by(found):
                continue
            if found.upstream == not_at or (awake and self._breakers.resting(slug)):
                continue
            return found
        return None

    def _spare_key(self, name: str, key: str) -> bool:
        upstream = self.upstreams.get(name)
        if upstream is None:
            return False
        return any(one != key and self._reluctance(name, one) < 2 for one in upstream.keys)


def _key_name(upstream: str, key: str) -> str:
    return f"{upstream} key {key_name(key)}"
