"""Tax invoices and credit notes, who writes them and to whom."""

from __future__ import annotations

from typing import Any

from django.db import models

from oneai.kit.clock import now, uuid7


class Seller(models.Model):
    """Who sells: one row, edited by the owner. Without a GSTIN no tax is shown or taken.

    ``lut`` is the reference of a letter of undertaking: with one, exports carry no tax.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    legal_name = models.CharField(max_length=200, blank=True)
    address = models.TextField(blank=True)
    state_code = models.CharField(max_length=2, blank=True)
    gstin = models.CharField(max_length=15, blank=True)
    lut = models.CharField(max_length=40, blank=True)
    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=20, blank=True)
    sac = models.CharField(max_length=6, default="998434")
    gst_rate_basis_points = models.PositiveIntegerField(default=1800)
    invoice_prefix = models.CharField(max_length=4, default="OA")
    credit_prefix = models.CharField(max_length=4, default="CN")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "sellers"

    def __str__(self) -> str:
        return self.legal_name or "nobody named yet"


class BillingDetails(models.Model):
    """To whom a customer's invoices are written. ``state_code`` is the GST code of the state; ``country`` ISO 3166."""

    user = models.OneToOneField(
        "accounts.User", on_delete=models.CASCADE, primary_key=True, related_name="billing_details"
    )
    name = models.CharField(max_length=200, blank=True)
    address = models.TextField(blank=True)
    city = models.CharField(max_length=100, blank=True)
    postal_code = models.CharField(max_length=12, blank=True)
    state_code = models.CharField(max_length=2, blank=True)
    country = models.CharField(max_length=2, default="IN")
    gstin = models.CharField(max_length=15, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "billing_details"
        verbose_name_plural = "billing details"

    def __str__(self) -> str:
        return self.name or str(self.pk)


class InvoiceSeries(models.Model):
    """The last number given in a series of a financial year: counted on under the row's lock, without a gap."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    prefix = models.CharField(max_length=4)
    year = models.CharField(max_length=4)
    last = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "invoice_series"
        constraints = [models.UniqueConstraint(fields=["prefix", "year"], name="invoice_series_once")]

    def __str__(self) -> str:
        return f"{self.prefix}/{self.year}"


class InvoiceKind(models.TextChoices):
    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class Kept(models.Model):
    """A row of a paper: written once. A mistake is corrected by further papers."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("an invoice is never changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("an invoice is never deleted")


class Invoice(Kept):
    """A tax invoice of a payment or a credit note of a refund. Never changed; written by ``billing.invoices``.

    ``seller`` and ``buyer`` are copies of that moment. Totals are in paise: taxable + cgst + sgst + igst = total.
    A credit note ``corrects`` an invoice; one without a refund takes back all that is left of it, and the invoice
    written in its stead ``replaces`` it and has no payment of its own. ``supply`` is one of ``billing.gst.Supply``.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.PROTECT, related_name="invoices", db_index=False)
    kind = models.CharField(max_length=11, default="invoice")
    number = models.CharField(max_length=16, unique=True)
    year = models.CharField(max_length=4)
    payment = models.OneToOneField(
        "billing.Payment", on_delete=models.PROTECT, null=True, blank=True, related_name="invoice"
    )
    refund = models.OneToOneField(
        "billing.Refund", on_delete=models.PROTECT, null=True, blank=True, related_name="credit_note"
    )
    corrects = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="credit_notes")
    replaces = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="replaced_by")
    issued_at = models.DateTimeField(default=now)
    period_start = models.DateTimeField(null=True, blank=True)
    period_end = models.DateTimeField(null=True, blank=True)
    seller = models.JSONField(default=dict)
    buyer = models.JSONField(default=dict)
    place_of_supply = models.CharField(max_length=2, blank=True)
    supply = models.CharField(max_length=14, default="untaxed")
    currency = models.CharField(max_length=3, default="INR")
    taxable_paise = models.BigIntegerField()
    cgst_paise = models.BigIntegerField(default=0)
    sgst_paise = models.BigIntegerField(default=0)
    igst_paise = models.BigIntegerField(default=0)
    total_paise = models.BigIntegerField()
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "invoices"
        indexes = [
            models.Index(fields=["user", "issued_at"], name="invoices_of_user"),
            models.Index(fields=["issued_at"], name="invoices_by_date"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    total_paise=models.F("taxable_paise")
                    + models.F("cgst_paise")
                    + models.F("sgst_paise")
                    + models.F("igst_paise")
                ),
                name="invoices_add_up",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    models.Q(payment__isnull=False, replaces__isnull=True)
                    | models.Q(payment__isnull=True, replaces__isnull=False),
                    kind="invoice",
                    refund__isnull=True,
                    corrects__isnull=True,
                )
                | models.Q(kind="credit_note", payment__isnull=True, replaces__isnull=True, corrects__isnull=False),
                name="invoices_have_a_cause",
            ),
            models.UniqueConstraint(
                fields=["corrects"],
                condition=models.Q(refund__isnull=True, corrects__isnull=False),
                name="invoices_corrected_once",
            ),
        ]

    def __str__(self) -> str:
        return self.number


class InvoiceLine(Kept):
    """A line of an invoice: what was sold, in paise."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveSmallIntegerField()
    description = models.CharField(max_length=300)
    sac = models.CharField(max_length=6, blank=True)
    quantity = models.PositiveIntegerField(default=1)
    rate_basis_points = models.PositiveIntegerField(default=0)
    taxable_paise = models.BigIntegerField()
    cgst_paise = models.BigIntegerField(default=0)
    sgst_paise = models.BigIntegerField(default=0)
    igst_paise = models.BigIntegerField(default=0)
    total_paise = models.BigIntegerField()

    class Meta:
        db_table = "invoice_lines"
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["invoice", "position"], name="invoice_lines_in_order")]


class InvoicePdf(models.Model):
    """The PDF of an invoice as it was mailed: the same bytes ever after. Written by ``billing.invoice_files``."""

    invoice = models.OneToOneField(Invoice, on_delete=models.PROTECT, primary_key=True, related_name="pdf")
    digest = models.CharField(max_length=64)
    content = models.BinaryField()
    drawn_at = models.DateTimeField(default=now)

    class Meta:
        db_table = "invoice_pdfs"


class InvoiceMail(models.Model):
    """That an invoice is to be mailed to the customer: made with it, marked when the mail is in the outbox."""

    invoice = models.OneToOneField(Invoice, on_delete=models.PROTECT, primary_key=True, related_name="mail")
    written_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "invoice_mails"
        indexes = [
            models.Index(fields=["invoice"], condition=models.Q(written_at=None), name="invoice_mails_to_write"),
        ]
