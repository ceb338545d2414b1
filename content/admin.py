"""Documentation and blog on the staff desk, and what readers said and sought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from accounts import audit
from content import loading, markdown
from content.models import Author, DocsFeedback, DocsPage, DocsSearch, Post
from oneai.kit.clock import now

if TYPE_CHECKING:  # Django's own take no parameter at run time
    PageAdmin = admin.ModelAdmin[DocsPage]
    PostAdminBase = admin.ModelAdmin[Post]
    AuthorAdminBase = admin.ModelAdmin[Author]
    FeedbackAdmin = admin.ModelAdmin[DocsFeedback]
    SearchAdmin = admin.ModelAdmin[DocsSearch]
else:
    PageAdmin = PostAdminBase = AuthorAdminBase = FeedbackAdmin = SearchAdmin = admin.ModelAdmin


def _record(request: HttpRequest, action: str, target: str, fields: list[str]) -> None:
    actor: Any = request.user
    audit.record(str(actor), action, target=target, details={"fields": fields}, actor_id=actor.pk)


@admin.register(DocsPage)
class DocsPageAdmin(PageAdmin):
    list_display = ["title", "slug", "section", "position", "is_published", "edited_at"]
    list_filter = ["section", "is_published"]
    search_fields = ["title", "body"]
    fields = ["slug", "title", "section", "position", "is_published", "body"]

    def save_model(self, request: HttpRequest, obj: DocsPage, form: Any, change: bool) -> None:
        """Make the page of its Markdown; from now on the repository does not overwrite it."""
        title = obj.title
        loading.write_page(obj, obj.body, obj.section, obj.position)
        obj.title, obj.edited_at = title, now()
        super().save_model(request, obj, form, change)
        _record(request, "docs.changed" if change else "docs.added", obj.slug, list(form.changed_data))


@admin.register(Post)
class PostAdmin(PostAdminBase):
    list_display = ["title", "author", "published_at", "edited_at"]
    list_filter = ["author"]
    search_fields = ["title", "body"]
    prepopulated_fields = {"slug": ["title"]}
    fields = ["title", "slug", "author", "summary", "tags", "published_at", "body"]

    def view_on_site(self, obj: Post) -> str:
        return f"/blog/{obj.slug}"

    def save_model(self, request: HttpRequest, obj: Post, form: Any, change: bool) -> None:
        """Make the post of its Markdown; without a date it is a draft, with one ahead it waits."""
        made = markdown.render(obj.body)
        obj.html, obj.updated_at, obj.edited_at = made.html, now(), now()
        obj.summary = obj.summary or loading.first_sentence(made.opening)
        if not isinstance(obj.tags, list):
            obj.tags = []
        super().save_model(request, obj, form, change)
        _record(request, "post.changed" if change else "post.added", obj.slug, list(form.changed_data))


@admin.register(Author)
class AuthorAdmin(AuthorAdminBase):
    list_display = ["name", "slug"]


@admin.register(DocsFeedback)
class DocsFeedbackAdmin(FeedbackAdmin):
    list_display = ["page", "helpful", "comment", "user", "created_at"]
    list_filter = ["helpful", "page"]
    list_select_related = ["page", "user"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(DocsSearch)
class DocsSearchAdmin(SearchAdmin):
    list_display = ["query", "times", "found", "last_at"]
    ordering = ["found", "-times"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
