"""Every dispute of a payment by its id: a bank may dispute the same payment again."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0006_notices")]

    operations = [
        migrations.AddField(model_name="payment", name="disputes", field=models.JSONField(blank=True, default=dict)),
    ]
