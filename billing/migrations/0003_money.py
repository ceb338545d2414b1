"""Everything that money needs a row for: prices, subscriptions, payments, refunds, invoices, the inbox."""

from __future__ import annotations

import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models

import oneai.kit.clock


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_keys_rotate_in_place"),
        ("billing", "0002_plans"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="BillingDetails",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="billing_details",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("name", models.CharField(blank=True, max_length=200)),
                ("address", models.TextField(blank=True)),
                ("city", models.CharField(blank=True, max_length=100)),
                ("postal_code", models.CharField(blank=True, max_length=12)),
                ("state_code", models.CharField(blank=True, max_length=2)),
                ("country", models.CharField(default="IN", max_length=2)),
                ("gstin", models.CharField(blank=True, max_length=15)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "db_table": "billing_details",
            },
        ),
        migrations.CreateModel(
            name="Coupon",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("code", models.CharField(max_length=40, unique=True)),
                ("percent", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("amount_paise", models.BigIntegerField(blank=True, null=True)),
                ("bonus_tokens", models.BigIntegerField(blank=True, null=True)),
                ("plans", models.JSONField(blank=True, default=list)),
                ("razorpay_offer_id", models.CharField(blank=True, max_length=40)),
                ("starts_at", models.DateTimeField(default=oneai.kit.clock.now)),
                ("until", models.DateTimeField(blank=True, null=True)),
                ("most_uses", models.PositiveIntegerField(blank=True, null=True)),
                ("uses", models.PositiveIntegerField(default=0)),
                ("uses_per_user", models.PositiveSmallIntegerField(default=1)),
                ("is_active", models.BooleanField(default=True)),
                ("note", models.CharField(blank=True, max_length=200)),
                ("created_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
            ],
            options={
                "db_table": "coupons",
            },
        ),
        migrations.CreateModel(
            name="Seller",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ("legal_name", models.CharField(blank=True, max_length=200)),
                ("address", models.TextField(blank=True)),
                ("state_code", models.CharField(blank=True, max_length=2)),
                ("gstin", models.CharField(blank=True, max_length=15)),
                ("email", models.EmailField(blank=True, max_length=254)),
                ("phone", models.CharField(blank=True, max_length=20)),
                ("sac", models.CharField(default="998434", max_length=6)),
                ("gst_rate_basis_points", models.PositiveIntegerField(default=1800)),
                ("invoice_prefix", models.CharField(default="OA", max_length=4)),
                ("credit_prefix", models.CharField(default="CN", max_length=4)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "db_table": "sellers",
            },
        ),
        migrations.AddField(
            model_name="plan",
            name="only_for",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="plan",
            name="trial_days",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.CreateModel(
            name="CouponUse",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("discount_paise", models.BigIntegerField(default=0)),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                ("released_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
                (
                    "coupon",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="taken", to="billing.coupon"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "db_table": "coupon_uses",
            },
        ),
        migrations.CreateModel(
            name="Difference",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("kind", models.CharField(max_length=40)),
                ("reference", models.CharField(max_length=80)),
                ("ours", models.JSONField(blank=True, default=dict)),
                ("theirs", models.JSONField(blank=True, default=dict)),
                ("repaired_at", models.DateTimeField(blank=True, null=True)),
                ("told_at", models.DateTimeField(blank=True, null=True)),
                ("found_at", models.DateTimeField(default=oneai.kit.clock.now)),
            ],
            options={
                "db_table": "billing_differences",
                "indexes": [models.Index(fields=["found_at"], name="billing_differences_newest")],
            },
        ),
        migrations.CreateModel(
            name="InvoiceSeries",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("prefix", models.CharField(max_length=4)),
                ("year", models.CharField(max_length=4)),
                ("last", models.PositiveIntegerField(default=0)),
            ],
            options={
                "db_table": "invoice_series",
                "constraints": [models.UniqueConstraint(fields=("prefix", "year"), name="invoice_series_once")],
            },
        ),
        migrations.CreateModel(
            name="Pack",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("code", models.SlugField(max_length=40, unique=True)),
                ("name", models.CharField(max_length=60)),
                ("amount_paise", models.BigIntegerField()),
                ("currency", models.CharField(default="INR", max_length=3)),
                ("tokens", models.BigIntegerField()),
                ("nano_usd", models.BigIntegerField(blank=True, null=True)),
                ("days", models.PositiveIntegerField(blank=True, null=True)),
                ("position", models.PositiveSmallIntegerField(default=0)),
                ("is_active", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "db_table": "packs",
                "ordering": ["position", "code"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount_paise__gte", 100), ("tokens__gt", 0)), name="packs_positive"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Price",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("version", models.PositiveIntegerField()),
                ("interval", models.CharField(choices=[("month", "Month"), ("year", "Year")], max_length=5)),
                ("amount_paise", models.BigIntegerField()),
                ("currency", models.CharField(default="INR", max_length=3)),
                ("terms", models.JSONField(default=dict)),
                ("razorpay_plan_id", models.CharField(blank=True, max_length=40, null=True, unique=True)),
                ("mode", models.CharField(default="test", max_length=4)),
                ("current", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="prices", to="billing.plan"
                    ),
                ),
            ],
            options={
                "db_table": "plan_prices",
            },
        ),
        migrations.CreateModel(
            name="Purchase",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("team_id", models.UUIDField(blank=True, null=True)),
                ("razorpay_order_id", models.CharField(blank=True, max_length=40, null=True, unique=True)),
                ("mode", models.CharField(default="test", max_length=4)),
                ("amount_paise", models.BigIntegerField()),
                ("currency", models.CharField(default="INR", max_length=3)),
                ("tokens", models.BigIntegerField()),
                ("nano_usd", models.BigIntegerField(blank=True, null=True)),
                ("days", models.PositiveIntegerField(blank=True, null=True)),
                ("status", models.CharField(default="creating", max_length=10)),
                ("idempotency_key", models.CharField(blank=True, max_length=80, null=True, unique=True)),
                ("credited_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "coupon_use",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing.couponuse",
                    ),
                ),
                (
                    "pack",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="billing.pack"),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="purchases",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "purchases",
            },
        ),
        migrations.CreateModel(
            name="Payment",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("razorpay_payment_id", models.CharField(max_length=40, unique=True)),
                ("razorpay_order_id", models.CharField(blank=True, max_length=40)),
                ("razorpay_invoice_id", models.CharField(blank=True, max_length=40)),
                ("mode", models.CharField(default="test", max_length=4)),
                ("amount_paise", models.BigIntegerField()),
                ("refunded_paise", models.BigIntegerField(default=0)),
                ("currency", models.CharField(default="INR", max_length=3)),
                ("status", models.CharField(max_length=10)),
                ("method", models.CharField(blank=True, max_length=20)),
                ("international", models.BooleanField(default=False)),
                ("error_code", models.CharField(blank=True, max_length=80)),
                ("error_description", models.CharField(blank=True, max_length=300)),
                ("period_start", models.DateTimeField(blank=True, null=True)),
                ("period_end", models.DateTimeField(blank=True, null=True)),
                ("disputed_at", models.DateTimeField(blank=True, null=True)),
                ("dispute", models.CharField(blank=True, max_length=20)),
                ("paid_at", models.DateTimeField(blank=True, null=True)),
                ("effect_at", models.DateTimeField(blank=True, null=True)),
                ("fetched_at", models.DateTimeField(default=oneai.kit.clock.now)),
                ("created_at", models.DateTimeField(default=oneai.kit.clock.now)),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payments",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "purchase",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payments",
                        to="billing.purchase",
                    ),
                ),
            ],
            options={
                "db_table": "payments",
            },
        ),
        migrations.CreateModel(
            name="Refund",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("key", models.CharField(max_length=80, unique=True)),
                ("razorpay_refund_id", models.CharField(blank=True, max_length=40, null=True, unique=True)),
                ("amount_paise", models.BigIntegerField()),
                ("status", models.CharField(default="asked", max_length=10)),
                ("reason", models.TextField(blank=True)),
                ("actor", models.CharField(blank=True, max_length=254)),
                ("taken", models.JSONField(blank=True, default=dict)),
                ("owed", models.JSONField(blank=True, default=dict)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("due_at", models.DateTimeField(blank=True, null=True)),
                ("last_error", models.CharField(blank=True, max_length=300)),
                ("processed_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
                (
                    "payment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="refunds", to="billing.payment"
                    ),
                ),
            ],
            options={
                "db_table": "refunds",
            },
        ),
        migrations.CreateModel(
            name="Invoice",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("kind", models.CharField(default="invoice", max_length=11)),
                ("number", models.CharField(max_length=16, unique=True)),
                ("year", models.CharField(max_length=4)),
                ("issued_at", models.DateTimeField(default=oneai.kit.clock.now)),
                ("period_start", models.DateTimeField(blank=True, null=True)),
                ("period_end", models.DateTimeField(blank=True, null=True)),
                ("seller", models.JSONField(default=dict)),
                ("buyer", models.JSONField(default=dict)),
                ("place_of_supply", models.CharField(blank=True, max_length=2)),
                ("currency", models.CharField(default="INR", max_length=3)),
                ("taxable_paise", models.BigIntegerField()),
                ("cgst_paise", models.BigIntegerField(default=0)),
                ("sgst_paise", models.BigIntegerField(default=0)),
                ("igst_paise", models.BigIntegerField(default=0)),
                ("total_paise", models.BigIntegerField()),
                ("created_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
                (
                    "corrects",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="credit_notes",
                        to="billing.invoice",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="invoices",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "payment",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="invoice",
                        to="billing.payment",
                    ),
                ),
                (
                    "refund",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="credit_note",
                        to="billing.refund",
                    ),
                ),
            ],
            options={
                "db_table": "invoices",
            },
        ),
        migrations.CreateModel(
            name="Subscription",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("team_id", models.UUIDField(blank=True, db_index=True, null=True)),
                ("razorpay_subscription_id", models.CharField(blank=True, max_length=40, null=True, unique=True)),
                ("razorpay_customer_id", models.CharField(blank=True, max_length=40)),
                ("mode", models.CharField(default="test", max_length=4)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("creating", "Creating"),
                            ("created", "Created"),
                            ("authenticated", "Authenticated"),
                            ("active", "Active"),
                            ("pending", "Pending"),
                            ("halted", "Halted"),
                            ("paused", "Paused"),
                            ("cancelled", "Cancelled"),
                            ("completed", "Completed"),
                            ("expired", "Expired"),
                        ],
                        default="creating",
                        max_length=13,
                    ),
                ),
                ("quantity", models.PositiveIntegerField(default=1)),
                ("current_period_start", models.DateTimeField(blank=True, null=True)),
                ("current_period_end", models.DateTimeField(blank=True, null=True)),
                ("starts_at", models.DateTimeField(blank=True, null=True)),
                ("charge_at", models.DateTimeField(blank=True, null=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("paid_count", models.PositiveIntegerField(default=0)),
                ("total_count", models.PositiveIntegerField(default=0)),
                ("payment_method", models.CharField(blank=True, max_length=20)),
                ("international", models.BooleanField(default=False)),
                ("short_url", models.URLField(blank=True, max_length=300)),
                ("terms", models.JSONField(default=dict)),
                ("trial", models.BooleanField(default=False)),
                ("allowed_until", models.DateTimeField(blank=True, null=True)),
                ("cancel_at_cycle_end", models.BooleanField(default=False)),
                ("cancel_sent_at", models.DateTimeField(blank=True, null=True)),
                ("cancel_reason", models.TextField(blank=True)),
                ("next_quantity", models.PositiveIntegerField(blank=True, null=True)),
                ("idempotency_key", models.CharField(blank=True, max_length=80, null=True, unique=True)),
                ("metadata", models.JSONField(blank=True, default=dict)),
                ("fetched_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "coupon_use",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing.couponuse",
                    ),
                ),
                (
                    "next_price",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing.price",
                    ),
                ),
                (
                    "plan",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="billing.plan"),
                ),
                (
                    "price",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="subscriptions", to="billing.price"
                    ),
                ),
                (
                    "replaces",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="replaced_by",
                        to="billing.subscription",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="subscriptions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "subscriptions",
            },
        ),
        migrations.AddField(
            model_name="payment",
            name="subscription",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="payments",
                to="billing.subscription",
            ),
        ),
        migrations.CreateModel(
            name="SubscriptionChange",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("kind", models.CharField(max_length=40)),
                ("before", models.CharField(blank=True, max_length=40)),
                ("after", models.CharField(blank=True, max_length=40)),
                ("actor", models.CharField(blank=True, max_length=254)),
                ("reason", models.TextField(blank=True)),
                ("details", models.JSONField(blank=True, default=dict)),
                ("created_at", models.DateTimeField(default=oneai.kit.clock.now, editable=False)),
                (
                    "subscription",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="changes", to="billing.subscription"
                    ),
                ),
            ],
            options={
                "db_table": "subscription_changes",
                "ordering": ["created_at", "id"],
            },
        ),
        migrations.CreateModel(
            name="Trial",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("identity", models.CharField(max_length=64, unique=True)),
                ("plan", models.CharField(max_length=40)),
                ("ends_at", models.DateTimeField()),
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
            ],
            options={
                "db_table": "trials",
            },
        ),
        migrations.CreateModel(
            name="WebhookEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("source", models.CharField(default="razorpay", max_length=20)),
                ("event_id", models.CharField(max_length=80)),
                ("event_type", models.CharField(blank=True, max_length=80)),
                ("account_id", models.CharField(blank=True, max_length=40)),
                ("body", models.TextField(blank=True)),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("done", "Done"), ("ignored", "Ignored"), ("dead", "Dead")],
                        default="waiting",
                        max_length=8,
                    ),
                ),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("due_at", models.DateTimeField(default=oneai.kit.clock.now)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("leased_by", models.CharField(blank=True, max_length=80)),
                ("last_error", models.CharField(blank=True, max_length=500)),
                ("received_at", models.DateTimeField(default=oneai.kit.clock.now)),
                ("handled_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "webhook_events",
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "waiting")), fields=["due_at"], name="webhook_events_due"
                    ),
                    models.Index(fields=["received_at"], name="webhook_events_newest"),
                ],
                "constraints": [models.UniqueConstraint(fields=("source", "event_id"), name="webhook_events_once")],
            },
        ),
        migrations.CreateModel(
            name="InvoiceLine",
            fields=[
                (
                    "id",
                    models.UUIDField(default=oneai.kit.clock.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("position", models.PositiveSmallIntegerField()),
                ("description", models.CharField(max_length=300)),
                ("sac", models.CharField(blank=True, max_length=6)),
                ("quantity", models.PositiveIntegerField(default=1)),
                ("rate_basis_points", models.PositiveIntegerField(default=0)),
                ("taxable_paise", models.BigIntegerField()),
                ("cgst_paise", models.BigIntegerField(default=0)),
                ("sgst_paise", models.BigIntegerField(default=0)),
                ("igst_paise", models.BigIntegerField(default=0)),
                ("total_paise", models.BigIntegerField()),
                (
                    "invoice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="lines", to="billing.invoice"
                    ),
                ),
            ],
            options={
                "db_table": "invoice_lines",
                "ordering": ["position"],
                "constraints": [models.UniqueConstraint(fields=("invoice", "position"), name="invoice_lines_in_order")],
            },
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.UniqueConstraint(
                fields=("plan", "interval", "mode", "version"), name="plan_prices_version"
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.UniqueConstraint(
                condition=models.Q(("current", True)),
                fields=("plan", "interval", "mode"),
                name="plan_prices_one_current",
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(condition=models.Q(("amount_paise__gt", 0)), name="plan_prices_positive"),
        ),
        migrations.AddIndex(
            model_name="purchase",
            index=models.Index(fields=["user", "created_at"], name="purchases_of_user"),
        ),
        migrations.AddIndex(
            model_name="purchase",
            index=models.Index(fields=["status", "created_at"], name="purchases_to_look_at"),
        ),
        migrations.AddConstraint(
            model_name="purchase",
            constraint=models.CheckConstraint(condition=models.Q(("amount_paise__gt", 0)), name="purchases_positive"),
        ),
        migrations.AddIndex(
            model_name="refund",
            index=models.Index(fields=["status", "due_at"], name="refunds_to_send"),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.CheckConstraint(condition=models.Q(("amount_paise__gt", 0)), name="refunds_positive"),
        ),
        migrations.AddIndex(
            model_name="invoice",
            index=models.Index(fields=["user", "issued_at"], name="invoices_of_user"),
        ),
        migrations.AddIndex(
            model_name="invoice",
            index=models.Index(fields=["issued_at"], name="invoices_by_date"),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "total_paise",
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.expressions.CombinedExpression(
                                django.db.models.expressions.CombinedExpression(
                                    models.F("taxable_paise"), "+", models.F("cgst_paise")
                                ),
                                "+",
                                models.F("sgst_paise"),
                            ),
                            "+",
                            models.F("igst_paise"),
                        ),
                    )
                ),
                name="invoices_add_up",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "invoice"), ("payment__isnull", False), ("refund__isnull", True)),
                    models.Q(("kind", "credit_note"), ("refund__isnull", False)),
                    _connector="OR",
                ),
                name="invoices_have_a_cause",
            ),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(fields=["user", "created_at"], name="subscriptions_of_user"),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(fields=["status", "fetched_at"], name="subscriptions_to_look_at"),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(fields=["user", "created_at"], name="payments_of_user"),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(fields=["created_at"], name="payments_newest"),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("amount_paise__gte", 0),
                    ("refunded_paise__gte", 0),
                    ("refunded_paise__lte", models.F("amount_paise")),
                ),
                name="payments_refunded_within",
            ),
        ),
    ]
