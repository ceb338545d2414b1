"""A rotated key stays its row, and its end is announced."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import migrations, models

from oneai.kit.clock import now

WEEK = timedelta(days=7)


def announce(apps: Any, schema_editor: Any) -> None:
    """Keys that have an end already are announced like those that get one from now on."""
    keys = apps.get_model("accounts", "ApiKey").objects.filter(revoked_at=None, expires_at__gt=now() + WEEK)
    keys.update(warn_at=models.F("expires_at") - WEEK)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_names_for_people"),
    ]

    operations = [
        migrations.RemoveField(
            model_name="apikey",
            name="rotated_from",
        ),
        migrations.AddField(
            model_name="apikey",
            name="previous_digest",
            field=models.CharField(blank=True, max_length=64, null=True, unique=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="previous_prefix",
            field=models.CharField(blank=True, max_length=32, null=True, unique=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="previous_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="warn_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name="apikey",
            index=models.Index(
                condition=models.Q(("revoked_at", None), ("warn_at__isnull", False)),
                fields=["warn_at"],
                name="api_keys_to_warn_of",
            ),
        ),
        migrations.RunPython(announce, migrations.RunPython.noop, elidable=True),
    ]
