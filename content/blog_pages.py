"""The blog: posts, tags, feeds."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib.syndication.views import Feed
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.feedgenerator import Atom1Feed
from django.views.decorators.http import require_safe

from content import reading
from content.models import Post

PER_PAGE = 10
FEED_LENGTH = 20


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The posts that are out, newest first; ``?tag=`` narrows them."""
    tag = request.GET.get("tag", "").strip()[:60]
    shown = Paginator(reading.posts(tag), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "content/blog.html", {"posts": shown, "tag": tag})


@require_safe
def post(request: HttpRequest, slug: str) -> HttpResponse:
    """One post; a draft or one that is still to come only for staff who may see posts."""
    shown = reading.posts().filter(slug=slug).first()
    user = request.user
    if shown is None and user.is_authenticated and user.is_staff and user.has_perm("content.view_post"):
        shown = Post.objects.select_related("author").filter(slug=slug).first()
    if shown is None:
        raise Http404
    return render(request, "content/post.html", {"post": shown})


class PostsFeed(Feed):  # type: ignore[type-arg]
    """RSS 2.0 of the newest posts."""

    description_template = None

    def title(self) -> str:
        return f"{settings.SITE_NAME}: blog"

    def link(self) -> str:
        return reverse("blog")

    def description(self) -> str:
        return f"What changes at {settings.SITE_NAME}, and why."

    def items(self) -> list[Post]:
        return list(reading.posts()[:FEED_LENGTH])

    def item_title(self, item: Post) -> str:
        return item.title

    def item_description(self, item: Post) -> str:
        return item.summary

    def item_link(self, item: Post) -> str:
        return reverse("post", args=[item.slug])

    def item_author_name(self, item: Post) -> str:
        return item.author.name

    def item_pubdate(self, item: Post) -> datetime | None:
        return item.published_at

    def item_updateddate(self, item: Post) -> datetime:
        return item.updated_at

    def item_categories(self, item: Post) -> list[str]:
        return list(item.tags)


class AtomFeed(PostsFeed):
    """The same as Atom."""

    feed_type = Atom1Feed

    def subtitle(self) -> str:
        return self.description()


urlpatterns = [
    path("blog", index, name="blog"),
    path("blog/feed.rss", PostsFeed(), name="blog_rss"),
    path("blog/feed.atom", AtomFeed(), name="blog_atom"),
    path("blog/<slug:slug>", post, name="post"),
]
