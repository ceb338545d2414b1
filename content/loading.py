"""Brings the documentation and the posts of the repository into their tables. May be repeated at any time."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from content import markdown
from content.models import Author, DocsPage, Post
from oneai.kit.clock import now

_VERSION: Final = "2"  # raised when the same text is rendered differently
_FRONT: Final = re.compile(r"\A\+\+\+\n(.*?)\n\+\+\+\n", re.DOTALL)


class InvalidContent(ValueError):
    """A file that can't be loaded; the text names it and says why."""


@dataclass(slots=True)
class Loaded:
    """How many rows were written and how many pages of the repository are gone from the site."""

    pages: int = 0
    posts: int = 0
    removed: int = 0


def folder() -> Path:
    """Where the repository's documentation lies."""
    return Path(settings.BASE_DIR) / "docs"


def load(root: Path | None = None) -> Loaded:
    """Load what has changed since the last time; what staff have edited stays as they left it."""
    root = root or folder()
    done = Loaded()
    with transaction.atomic():
        _load_pages(root, done)
        _load_posts(root / "blog", done)
    return done


def _sections(root: Path) -> list[tuple[str, list[str]]]:
    path = root / "contents.toml"
    if not path.exists():
        return []
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
        return [(str(each["name"]), [str(page) for page in each["pages"]]) for each in read.get("section", [])]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise InvalidContent(f"{path.name}: {error}") from error


def _checksum(*parts: str) -> str:
    return hashlib.sha256("\0".join((_VERSION, *parts)).encode()).hexdigest()


def _load_pages(root: Path, done: Loaded) -> None:
    sections = _sections(root)
    files = {name: Path(name).stem for _, names in sections for name in names}
    known = {page.slug: page for page in DocsPage.objects.all()}
    position = 0
    for section, names in sections:
        for name in names:
            position += 1
            try:
                source = (root / name).read_text(encoding="utf-8")
            except OSError as error:
                raise InvalidContent(f"contents.toml names {name}, which can't be read: {error.strerror}") from error
            page = known.pop(files[name], None) or DocsPage(slug=files[name])
            checksum = _checksum(section, str(position), source, *sorted(files))
            if page.edited_at or page.checksum == checksum:
                continue
            write_page(page, source, section, position, partial(_address, name=name, files=files))
            page.checksum = checksum
            page.save()
            done.pages += 1
    for page in known.values():
        if page.checksum and not page.edited_at:  # of the repository, and no longer in it
            page.delete()
            done.removed += 1


def write_page(
    page: DocsPage, source: str, section: str, position: int, links: markdown.Links = lambda address: address
) -> None:
    """Put ``source`` and what is made of it into ``page``, unsaved. InvalidContent when it has no title."""
    made = markdown.render(source, links)
    title = made.title or page.title
    if not title:
        raise InvalidContent(f"{page.slug}: the first line is its title, as in `# Title`")
    page.title, page.section, page.position = title[:200], section, position
    page.body, page.html, page.text, page.headings = source, made.html, made.text, made.headings
    page.summary = first_sentence(made.opening)
    page.updated_at = now()


def first_sentence(text: str, most: int = 200) -> str:
    """The beginning of a text for lists and search engines, cut at a word."""
    end = re.search(r"[.:!?](?=\s|$)", text[:most])
    if end:
        return text[: end.end()].rstrip(":")
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + "…"


def _address(address: str, name: str, files: Mapping[str, str]) -> str | None:
    """Where a link of the file ``name`` leads on the site; None for what is only in the repository."""
    if re.match(r"(https?|mailto):", address) or address.startswith(("/", "#")):
        return address
    path, _, part = address.partition("#")
    joined: list[str] = []
    for step in (PurePosixPath(name).parent / path).parts:
        if step == "..":
            if not joined:
                return None
            joined.pop()
        else:
            joined.append(step)
    slug = files.get("/".join(joined))
    return None if slug is None else f"/docs/{slug}" + (f"#{part}" if part else "")


def _load_posts(root: Path, done: Loaded) -> None:
    known = {post.slug: post for post in Post.objects.all()}
    for path in sorted(root.glob("*.md")):
        source = path.read_text(encoding="utf-8")
        post = known.get(path.stem) or Post(slug=path.stem)
        checksum = _checksum(source)
        if post.edited_at or post.checksum == checksum:
            continue
        head = _FRONT.match(source)
        try:
            front: dict[str, Any] = tomllib.loads(head[1]) if head else {}
        except tomllib.TOMLDecodeError as error:
            raise InvalidContent(f"blog/{path.name}: {error}") from error
        made = markdown.render(source[head.end() :] if head else source)
        if not made.title:
            raise InvalidContent(f"blog/{path.name}: the first line is its title, as in `# Title`")
        name = str(front.get("author") or settings.SITE_NAME)
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "author"
        post.author = Author.objects.get_or_create(slug=slug, defaults={"name": name})[0]
        post.title, post.body, post.html = made.title[:200], source[head.end() :] if head else source, made.html
        post.summary = str(front.get("summary") or first_sentence(made.opening))[:300]
        post.tags = [str(tag) for tag in front.get("tags", [])]
        post.published_at = _moment(front.get("published"))
        post.checksum, post.updated_at = checksum, now()
        post.save()
        done.posts += 1


def _moment(value: Any) -> datetime | None:
    """A date or time of the front matter, in UTC; None for a draft."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC)
