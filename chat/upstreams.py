"""The servers that answer: OpenRouter, and any OpenAI-compatible ones that the settings add."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from oneai import env

OPENROUTER: Final = "openrouter"

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,30}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where an upstream's API begins (no trailing slash), and the keys that it takes, which may be none."""

    name: str
    base_url: str
    keys: tuple[str, ...] = field(repr=False)
    kind: Literal["openrouter", "openai"]

    def headers(self, key: str = "") -> dict[str, str]:
        """The headers of a call with ``key``, or with the first."""
        key = key or (self.keys[0] if self.keys else "")
        return {"Authorization": f"Bearer {key}"} if key else {}


def key_name(key: str) -> str:
    """What a key is called where it must not be said: the beginning of its digest."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _extra(entry: str) -> Upstream:
    """The upstream in one entry of EXTRA_UPSTREAMS, ``name=url|key``; ``none`` or nothing is no key."""
    name, equals, rest = entry.partition("=")
    url, _, key = rest.partition("|")
    name, url, key = name.strip(), url.strip().rstrip("/"), key.strip()
    if not equals or not _NAME.fullmatch(name) or name == OPENROUTER:
        raise ImproperlyConfigured(
            "EXTRA_UPSTREAMS must be name=url|key, the name in lower-case letters, digits, - and _, "
            f"and not {OPENROUTER}"
        )
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ImproperlyConfigured(f"EXTRA_UPSTREAMS: the URL of {name} must begin with http:// or https://")
    return Upstream(name, url, (key,) if key not in {"", "none"} else (), "openai")


def upstreams() -> dict[str, Upstream]:
    """Every configured upstream by its name, with its keys as they are now.

    ImproperlyConfigured when EXTRA_UPSTREAMS can't be read.
    """
    found = {}
    keys = tuple(settings.OPENROUTER_API_KEYS)
    if keys:
        if "upstream" not in settings.IMITATED:
            keys = tuple(env.listed_now("OPENROUTER_API_KEY", list(keys)))
        found[OPENROUTER] = Upstream(OPENROUTER, settings.OPENROUTER_BASE_URL, keys, "openrouter")
    for entry in settings.EXTRA_UPSTREAMS:
        upstream = _extra(entry)
        if upstream.name in found:
            raise ImproperlyConfigured(f"EXTRA_UPSTREAMS names {upstream.name} twice")
        found[upstream.name] = upstream
    return found
