"""The tags that put built files into pages."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.template import Context, Template
from pytest_django.fixtures import Settings

from content.templatetags import assets


@pytest.fixture
def dist(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    settings.FRONTEND_DIST = tmp_path
    monkeypatch.setattr(assets, "_loaded", None)
    return tmp_path


def build(dist: Path, script: str) -> None:
    folder = dist / ".vite"
    folder.mkdir(exist_ok=True)
    manifest = {
        "src/site.css": {"file": "assets/site-1.css"},
        "src/chat.ts": {"file": script, "imports": ["_shared.js"]},
        "_shared.js": {"file": "assets/shared-1.js"},
        "src/icons.svg": {"file": "assets/icons-1.svg"},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def rendered(tag: str) -> str:
    return Template("{% load assets %}" + tag).render(Context({"csp_nonce": "n-1"}))


def test_names_become_the_hashed_files_with_the_pages_nonce(dist: Path) -> None:
    build(dist, "assets/chat-1.js")
    assert rendered('{% vite_css "site.css" %}') == '<link rel="stylesheet" href="/static/assets/site-1.css">'
    assert rendered('{% vite_js "chat.ts" %}') == (
        '<link rel="modulepreload" href="/static/assets/shared-1.js" nonce="n-1">'
        '<script type="module" src="/static/assets/chat-1.js" nonce="n-1"></script>'
    )
    assert '/static/assets/icons-1.svg#copy"' in rendered('{% icon "copy" %}')


def test_a_missing_build_says_what_to_do(dist: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="npm run build"):
        rendered('{% vite_css "site.css" %}')


def test_an_unknown_name_says_which_there_are(dist: Path) -> None:
    build(dist, "assets/chat-1.js")
    with pytest.raises(ImproperlyConfigured, match=r"no 'none.ts'.*chat\.ts"):
        rendered('{% vite_js "none.ts" %}')


@pytest.mark.parametrize(("debug", "second"), [(True, "chat-2.js"), (False, "chat-1.js")])
def test_a_new_build_is_seen_at_once_in_development_only(
    dist: Path, settings: Settings, debug: bool, second: str
) -> None:
    settings.DEVELOPMENT = debug
    build(dist, "assets/chat-1.js")
    assert "chat-1.js" in rendered('{% vite_js "chat.ts" %}')
    build(dist, "assets/chat-2.js")
    path = dist / ".vite" / "manifest.json"
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1_000_000))
    assert second in rendered('{% vite_js "chat.ts" %}')


@pytest.mark.parametrize(
    ("filter_", "value", "expected"),
    [
        ("rupees_exact", 12345600, "₹1,23,456.00"),
        ("rupees_exact", 49950, "₹499.50"),
        ("rupees_exact", 0, "₹0.00"),
        ("thousands", 1234567, "1,234,567"),
        ("short_count", 128000, "128k"),
        ("short_count", 1048576, "1M"),
    ],
)
def test_numbers_are_written_as_people_read_them(filter_: str, value: int, expected: str) -> None:
    template = Template("{% load prices %}{{ value|" + filter_ + " }}")
    assert template.render(Context({"value": value})) == expected
