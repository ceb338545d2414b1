"""The PDFs of invoices, kept as they were mailed."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import oneai.kit.clock


class Migration(migrations.Migration):
    dependencies = [("billing", "0007_disputes")]

    operations = [
        migrations.CreateModel(
            name="InvoicePdf",
            fields=[
                (
                    "invoice",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="pdf",
                        serialize=False,
                        to="billing.invoice",
                    ),
                ),
                ("digest", models.CharField(max_length=64)),
                ("content", models.BinaryField()),
                ("drawn_at", models.DateTimeField(default=oneai.kit.clock.now)),
            ],
            options={"db_table": "invoice_pdfs"},
        ),
    ]
