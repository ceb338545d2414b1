"""The documentation and the blog as rows."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import oneai.kit.clock


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Author",
            fields=[
                ("slug", models.SlugField(max_length=60, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=100)),
                ("about", models.CharField(blank=True, max_length=300)),
            ],
            options={
                "db_table": "authors",
            },
        ),
        migrations.CreateModel(
            name="DocsPage",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("slug", models.SlugField(max_length=80, unique=True)),
                ("title", models.CharField(max_length=200)),
                ("section", models.CharField(max_length=80)),
                ("position", models.PositiveIntegerField(default=0)),
                ("summary", models.CharField(blank=True, max_length=300)),
                ("body", models.TextField()),
                ("html", models.TextField(editable=False)),
                ("text", models.TextField(editable=False)),
                ("headings", models.JSONField(default=list, editable=False)),
                ("checksum", models.CharField(blank=True, editable=False, max_length=64)),
                ("is_published", models.BooleanField(default=True)),
                ("edited_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("created_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
                ("updated_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
            ],
            options={
                "db_table": "docs_pages",
                "ordering": ["position", "slug"],
            },
        ),
        migrations.CreateModel(
            name="DocsSearch",
            fields=[
                ("query", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("times", models.PositiveIntegerField(default=1)),
                ("found", models.PositiveIntegerField(default=0)),
                ("first_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
                ("last_at", models.DateTimeField(default=oneai.kit.clock.now)),
            ],
            options={
                "verbose_name_plural": "docs searches",
                "db_table": "docs_searches",
                "ordering": ["-last_at"],
            },
        ),
        migrations.CreateModel(
            name="DocsFeedback",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("helpful", models.BooleanField()),
                ("comment", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "page",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="feedback", to="content.docspage"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "docs feedback",
                "db_table": "docs_feedback",
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="Post",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("slug", models.SlugField(max_length=80, unique=True)),
                ("title", models.CharField(max_length=200)),
                ("summary", models.CharField(blank=True, max_length=300)),
                ("body", models.TextField()),
                ("html", models.TextField(editable=False)),
                ("tags", models.JSONField(blank=True, default=list)),
                ("published_at", models.DateTimeField(blank=True, null=True)),
                ("checksum", models.CharField(blank=True, editable=False, max_length=64)),
                ("edited_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("created_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
                ("updated_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="posts", to="content.author"
                    ),
                ),
            ],
            options={
                "db_table": "posts",
                "ordering": ["-published_at", "-created_at"],
                "indexes": [models.Index(fields=["published_at"], name="posts_newest")],
            },
        ),
    ]
