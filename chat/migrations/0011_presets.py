import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

import oneai.kit.clock


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0010_attachments"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Preset",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=60)),
                ("prompt", models.TextField(blank=True)),
                ("system", models.TextField(blank=True)),
                ("model", models.CharField(blank=True, max_length=200)),
                ("temperature", models.FloatField(blank=True, null=True)),
                ("max_tokens", models.PositiveIntegerField(blank=True, null=True)),
                ("reasoning_effort", models.CharField(blank=True, max_length=10)),
                ("created_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
                ("updated_at", models.DateTimeField(default=oneai.kit.clock.now)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="presets",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "presets",
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("user"),
                        django.db.models.functions.text.Lower("name"),
                        name="presets_one_of_a_name",
                    )
                ],
            },
        ),
    ]
