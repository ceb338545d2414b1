"""The documentation and the blog as rows, what readers said of them, and what they looked for.

Pages and posts of the repository are loaded by ``content.loading``; one that staff have changed on the
desk (``edited_at``) is theirs from then on and not loaded again.
"""

from __future__ import annotations

from django.db import models

from oneai.kit.clock import now, uuid7


class DocsPage(models.Model):
    """A page of the documentation. ``body`` is Markdown; ``html``, ``text`` and ``headings`` are made of it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(max_length=80, unique=True)
    title = models.CharField(max_length=200)
    section = models.CharField(max_length=80)
    position = models.PositiveIntegerField(default=0)
    summary = models.CharField(max_length=300, blank=True)
    body = models.TextField()
    html = models.TextField(editable=False)
    text = models.TextField(editable=False)
    headings = models.JSONField(default=list, editable=False)
    checksum = models.CharField(max_length=64, blank=True, editable=False)
    is_published = models.BooleanField(default=True)
    edited_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "docs_pages"
        ordering = ["position", "slug"]

    def __str__(self) -> str:
        return self.title


class DocsFeedback(models.Model):
    """What a reader said of a page. ``user`` when they were signed in."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    page = models.ForeignKey(DocsPage, on_delete=models.CASCADE, related_name="feedback")
    user = models.ForeignKey("accounts.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    helpful = models.BooleanField()
    comment = models.TextField(blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "docs_feedback"
        verbose_name_plural = "docs feedback"
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{'helpful' if self.helpful else 'not helpful'}: {self.page_id}"


class DocsSearch(models.Model):
    """What was looked for in the documentation, how often, and how many pages were found last."""

    query = models.CharField(max_length=100, primary_key=True)
    times = models.PositiveIntegerField(default=1)
    found = models.PositiveIntegerField(default=0)
    first_at = models.DateTimeField(default=now, editable=False)
    last_at = models.DateTimeField(default=now)

    class Meta:
        db_table = "docs_searches"
        verbose_name_plural = "docs searches"
        ordering = ["-last_at"]

    def __str__(self) -> str:
        return self.query


class Author(models.Model):
    """Who signs posts."""

    slug = models.SlugField(max_length=60, primary_key=True)
    name = models.CharField(max_length=100)
    about = models.CharField(max_length=300, blank=True)

    class Meta:
        db_table = "authors"

    def __str__(self) -> str:
        return self.name


class Post(models.Model):
    """A post of the blog: a draft without ``published_at``, scheduled while that lies ahead, else to be read."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(max_length=80, unique=True)
    title = models.CharField(max_length=200)
    summary = models.CharField(max_length=300, blank=True)
    body = models.TextField()
    html = models.TextField(editable=False)
    author = models.ForeignKey(Author, on_delete=models.PROTECT, related_name="posts")
    tags = models.JSONField(default=list, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    checksum = models.CharField(max_length=64, blank=True, editable=False)
    edited_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "posts"
        ordering = ["-published_at", "-created_at"]
        indexes = [models.Index(fields=["published_at"], name="posts_newest")]

    def __str__(self) -> str:
        return self.title


class Banner(models.Model):
    """What every page says on top for a time; written by ``content.banner``. The newest that holds is shown."""

    class Level(models.TextChoices):
        INFO = "info"
        WARNING = "warning"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    text = models.CharField(max_length=300)
    level = models.CharField(max_length=7, choices=Level.choices, default=Level.INFO)
    starts_at = models.DateTimeField(default=now)
    until = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    actor = models.CharField(max_length=254, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "banners"
        ordering = ["-starts_at", "-id"]
        indexes = [models.Index(fields=["-starts_at"], condition=models.Q(ended_at=None), name="banners_not_ended")]

    def __str__(self) -> str:
        return self.text
