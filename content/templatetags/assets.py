"""Template tags for the built front end: style sheets, scripts, icons.

Vite writes hashed files and a manifest; the tags look names up there, so a page always asks for
exactly the files of one build. The hashes are Vite's own: no storage hashes them a second time.
"""

from __future__ import annotations

import json
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from django import template
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.forms import BoundField, Textarea
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

_SOURCE = "src/"


class _Loaded(NamedTuple):
    stamp: tuple[int, int]
    entries: dict[str, dict[str, Any]]


_lock = threading.Lock()
_loaded: _Loaded | None = None


def manifest_path() -> Path:
    """Where the build leaves its manifest."""
    return Path(settings.FRONTEND_DIST) / ".vite" / "manifest.json"


def _entries() -> dict[str, dict[str, Any]]:
    """The manifest, read once; in development, again when the file has changed."""
    global _loaded
    loaded = _loaded
    if loaded is not None and not settings.DEVELOPMENT:
        return loaded.entries
    path = manifest_path()
    try:
        status = path.stat()
        stamp = (status.st_mtime_ns, status.st_size)
        if loaded is None or loaded.stamp != stamp:
            with _lock:
                loaded = _loaded = _Loaded(stamp, json.loads(path.read_text("utf-8")))
    except FileNotFoundError as error:
        raise ImproperlyConfigured(
            f"The front end is not built: {path} is missing. "
            "Run `make run` once, or `npm ci && npm run build` in frontend/."
        ) from error
    return loaded.entries


def _entry(name: str) -> dict[str, Any]:
    try:
        return _entries()[_SOURCE + name]
    except KeyError:
        known = ", ".join(sorted(key.removeprefix(_SOURCE) for key in _entries() if key.startswith(_SOURCE)))
        raise ImproperlyConfigured(f"The front end has no {name!r}; it has {known}.") from None


def _url(file: str) -> str:
    return settings.STATIC_URL + file


@register.simple_tag
def vite_css(name: str) -> SafeString:
    """A ``<link>`` to a built style sheet, by its name in frontend/src ("site.css")."""
    return format_html('<link rel="stylesheet" href="{}">', _url(_entry(name)["file"]))


@register.simple_tag(takes_context=True)
def vite_js(context: template.Context, name: str) -> SafeString:
    """A module script with the page's nonce, and preloads of the chunks it imports at once."""
    entry, nonce = _entry(name), context.get("csp_nonce", "")
    seen: dict[str, None] = {}
    waiting = list(entry.get("imports", ()))
    while waiting:
        chunk = _entries()[waiting.pop(0)]
        if chunk["file"] not in seen:
            seen[chunk["file"]] = None
            waiting += chunk.get("imports", ())
    preloads = format_html_join(
        "", '<link rel="modulepreload" href="{}" nonce="{}">', ((_url(file), nonce) for file in seen)
    )
    script = format_html('<script type="module" src="{}" nonce="{}"></script>', _url(entry["file"]), nonce)
    return preloads + script


@register.simple_tag
def icon_sheet() -> str:
    """The address of the icon sprite, for scripts that add icons."""
    return _url(_entry("icons.svg")["file"])


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """A decorative icon of the sprite; the text beside it or the button's label says what it means."""
    return _icon(name, extra, icon_sheet())


@lru_cache(maxsize=256)
def _icon(name: str, extra: str, sheet: str) -> SafeString:
    # Kept: a long conversation has hundreds of the same few.
    return format_html(
        '<svg class="icon{}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        f" {extra}" if extra else "",
        sheet,
        name,
    )


@register.simple_tag
def public_file(name: str) -> str:
    """The address of an unhashed file of frontend/public ("favicon.svg")."""
    return static(name)


@register.filter
def styled(field: BoundField) -> SafeString:
    """A form field with our class; Django itself ties errors and help text to it (aria-describedby)."""
    kind = getattr(field.field.widget, "input_type", "text")
    if kind in {"checkbox", "radio", "hidden"}:
        return field.as_widget()
    if isinstance(field.field.widget, Textarea):
        return field.as_widget(attrs={"class": "textarea"})
    return field.as_widget(attrs={"class": "input", "placeholder": ""})
