"""What readers see of the documentation and the blog."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from django.db.models import QuerySet

from content.models import DocsPage, Post
from oneai.kit.clock import now


def contents() -> list[tuple[str, list[DocsPage]]]:
    """The published pages by section, in order; bodies are not read."""
    pages = DocsPage.objects.filter(is_published=True).only("slug", "title", "section", "summary", "position")
    return [(section, list(group)) for section, group in groupby(pages, key=lambda page: page.section)]


def neighbours(page: DocsPage, sections: list[tuple[str, list[DocsPage]]]) -> tuple[DocsPage | None, DocsPage | None]:
    """The pages before and after one, in the order of the contents."""
    flat = [each for _, pages in sections for each in pages]
    at = next((index for index, each in enumerate(flat) if each.slug == page.slug), None)
    if at is None:
        return None, None
    return flat[at - 1] if at else None, flat[at + 1] if at + 1 < len(flat) else None


def posts(tag: str = "") -> QuerySet[Post]:
    """The posts that are out, newest first; with ``tag`` those that carry it."""
    out = Post.objects.filter(published_at__lte=now()).select_related("author").order_by("-published_at", "-id")
    if not tag:
        return out
    # Few posts: what JSON can be asked differs between the databases.
    return out.filter(pk__in=[pk for pk, tags in out.values_list("pk", "tags") if tag in tags])


def as_search_result(found: Any) -> dict[str, Any]:
    """A found page as the API says it."""
    return {
        "slug": found.slug,
        "url": f"/docs/{found.slug}",
        "title": found.title,
        "section": found.section,
        "excerpt": found.plain,
    }
