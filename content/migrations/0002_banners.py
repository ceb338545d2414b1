from django.db import migrations, models

import oneai.kit.clock


class Migration(migrations.Migration):
    dependencies = [("content", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Banner",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("text", models.CharField(max_length=300)),
                (
                    "level",
                    models.CharField(choices=[("info", "Info"), ("warning", "Warning")], default="info", max_length=7),
                ),
                ("starts_at", models.DateTimeField(default=oneai.kit.clock.now)),
                ("until", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("actor", models.CharField(blank=True, max_length=254)),
                ("created_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
            ],
            options={
                "db_table": "banners",
                "ordering": ["-starts_at", "-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("ended_at", None)), fields=["-starts_at"], name="banners_not_ended"
                    )
                ],
            },
        ),
    ]
