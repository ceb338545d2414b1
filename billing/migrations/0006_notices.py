"""Which mails about money have been written, so that each cause is told once."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import oneai.kit.clock


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0005_invoice_corrections"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Notice",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("key", models.CharField(max_length=120, unique=True)),
                ("kind", models.CharField(max_length=40)),
                ("subject", models.CharField(max_length=255)),
                ("created_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "mail about money",
                "verbose_name_plural": "mails about money",
                "db_table": "billing_notices",
                "indexes": [models.Index(fields=["user", "created_at"], name="billing_notices_of_user")],
            },
        ),
    ]
