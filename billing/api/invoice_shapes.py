"""The shapes of invoices and billing details over HTTP."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from billing import details
from billing.gst import Supply
from billing.models import BillingDetails, Invoice, InvoiceKind
from billing.states import name_of
from oneai.kit.fields import Body, Text


class TaxedShape(serializers.Serializer[Any]):
    """What an amount consists of, in paise: taxable + cgst + sgst + igst = total."""

    taxable = serializers.IntegerField(source="taxable_paise")
    cgst = serializers.IntegerField(source="cgst_paise")
    sgst = serializers.IntegerField(source="sgst_paise", help_text="UTGST in a union territory.")
    igst = serializers.IntegerField(source="igst_paise")
    total = serializers.IntegerField(source="total_paise")


class InvoiceLineShape(TaxedShape):
    """A line: what was sold."""

    description = serializers.CharField()
    sac = serializers.CharField(help_text="Service accounting code.")
    quantity = serializers.IntegerField()
    rate_basis_points = serializers.IntegerField(help_text="Of all taxes together: 1800 is 18 %.")


class SellerShape(serializers.Serializer[Any]):
    """The seller as on the paper."""

    name = serializers.CharField()
    address = serializers.CharField()
    state_code = serializers.CharField()
    state = serializers.CharField()
    gstin = serializers.CharField()


class BuyerShape(serializers.Serializer[Any]):
    """The customer as on the paper."""

    name = serializers.CharField()
    email = serializers.CharField()
    address = serializers.CharField()
    city = serializers.CharField()
    postal_code = serializers.CharField()
    state_code = serializers.CharField()
    state = serializers.CharField()
    country = serializers.CharField()
    gstin = serializers.CharField()


class InvoiceShape(TaxedShape):
    """An invoice or credit note in a list. Amounts are in paise."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=InvoiceKind.choices)
    number = serializers.CharField()
    issued_at = serializers.DateTimeField()
    currency = serializers.CharField()
    corrects = serializers.UUIDField(source="corrects_id", allow_null=True, help_text="Of a credit note: the invoice.")
    replaces = serializers.UUIDField(source="replaces_id", allow_null=True, help_text="The invoice that it stands for.")
    pdf = serializers.SerializerMethodField()

    def get_pdf(self, invoice: Invoice) -> str:
        return f"/api/subscription/invoice/{invoice.pk}/pdf"


class InvoiceDetailShape(InvoiceShape):
    """All that the paper says."""

    period_start = serializers.DateTimeField(allow_null=True)
    period_end = serializers.DateTimeField(allow_null=True)
    place_of_supply = serializers.CharField(help_text="The GST code of a state; 96 outside India, empty if unknown.")
    place_of_supply_name = serializers.SerializerMethodField()
    supply = serializers.ChoiceField(choices=[supply.value for supply in Supply])
    seller = SellerShape()
    buyer = BuyerShape()
    lines = serializers.SerializerMethodField()
    total_in_words = serializers.CharField(source="in_words")
    payment_id = serializers.CharField(source="razorpay_payment", help_text="Razorpay's id of the payment.")

    def get_place_of_supply_name(self, invoice: Invoice) -> str:
        return name_of(invoice.place_of_supply)

    def get_lines(self, invoice: Invoice) -> list[dict[str, Any]]:
        return list(InvoiceLineShape(invoice.lines.order_by("position"), many=True).data)


class BillingDetailsShape(serializers.ModelSerializer[BillingDetails]):
    """To whom invoices are written."""

    state = serializers.SerializerMethodField()

    class Meta:
        model = BillingDetails
        fields = ["name", "address", "city", "postal_code", "state_code", "state", "country", "gstin"]

    def get_state(self, row: BillingDetails) -> str:
        return name_of(row.state_code)


class BillingDetailsBody(Body):
    """A change of billing details; "" empties a field, left out keeps it. A GSTIN sets the state."""

    name = Text(required=False, allow_blank=True, max_length=1000)
    address = Text(
        required=False, allow_blank=True, max_length=2000, help_text="Up to six lines.", trim_whitespace=False
    )
    city = Text(required=False, allow_blank=True, max_length=1000)
    postal_code = Text(required=False, allow_blank=True, max_length=100)
    state_code = Text(required=False, allow_blank=True, max_length=100, help_text="The GST code: 27 is Maharashtra.")
    country = Text(required=False, allow_blank=True, max_length=100, help_text="ISO 3166, two letters; IN when empty.")
    gstin = Text(required=False, allow_blank=True, max_length=100)


assert set(BillingDetailsBody().fields) == set(details.LENGTHS)
