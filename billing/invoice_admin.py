"""Invoices on the staff desk, to look at, to correct and to hand to the accountant; and the seller, for the owner."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html

from accounts import audit
from accounts.models import Role, User
from billing import invoice_export, invoice_files, invoice_paper, invoices, sellers
from billing.invoice_numbers import day_in_india
from billing.models import BillingDetails, Invoice, InvoiceLine, Seller
from oneai.kit.csvfile import csv_response
from oneai.kit.money import rupees
from oneai.kit.read_only_admin import ReadOnly, Rows

if TYPE_CHECKING:  # Django's own take no parameter at run time
    ModelAdmin = admin.ModelAdmin[Seller]
    ModelForm = forms.ModelForm[Seller]
else:
    ModelAdmin = admin.ModelAdmin
    ModelForm = forms.ModelForm

_OF_MONEY = {Role.FINANCE, Role.OWNER}


def _finance(request: HttpRequest) -> User:
    """Whoever asks, if money is their work. PermissionDenied for others of the staff."""
    user = request.user
    if not isinstance(user, User) or user.role not in _OF_MONEY:
        raise PermissionDenied
    return user


class ExportForm(forms.Form):
    """Which days, in which form."""

    first = forms.DateField(label="From", widget=forms.DateInput({"type": "date"}))
    last = forms.DateField(label="To, included", widget=forms.DateInput({"type": "date"}))
    form = forms.ChoiceField(label="As", choices=[("csv", "a table (CSV)"), ("gstr1", "the return GSTR-1 (JSON)")])


class CorrectionForm(forms.Form):
    """Why an invoice is written anew."""

    reason = forms.CharField(label="Reason", max_length=500, widget=forms.Textarea({"rows": 3}))


class Lines(Rows):
    model = InvoiceLine
    fields = ["position", "description", "sac", "quantity", "rate_basis_points", "taxable_paise", "cgst_paise",
              "sgst_paise", "igst_paise", "total_paise"]  # fmt: skip


@admin.register(Invoice)
class InvoiceAdmin(ReadOnly):
    """Invoices and credit notes."""

    list_display = ["number", "title", "day", "customer", "place_of_supply", "total", "paper"]
    list_filter = ["kind", "supply", "year"]
    search_fields = ["=number", "=user__email", "=payment__razorpay_payment_id"]
    date_hierarchy = "issued_at"
    ordering = ["-issued_at", "-id"]
    list_select_related = ["user"]
    show_full_result_count = False
    inlines = [Lines]
    change_list_template = "admin/billing/invoice/change_list.html"
    change_form_template = "admin/billing/invoice/change_form.html"

    @admin.display(description="paper")
    def title(self, row: Invoice) -> str:
        return invoice_paper.title_of(row)

    @admin.display(description="customer")
    def customer(self, row: Invoice) -> str:
        return str(row.buyer.get("name", ""))

    @admin.display(description="date", ordering="issued_at")
    def day(self, row: Invoice) -> str:
        return f"{day_in_india(row.issued_at):%d %b %Y}"

    @admin.display(description="total", ordering="total_paise")
    def total(self, row: Invoice) -> str:
        return rupees(-row.total_paise if row.kind == invoices.CREDIT_NOTE else row.total_paise, exact=True)

    @admin.display(description="PDF")
    def paper(self, row: Invoice) -> str:
        return format_html('<a href="{}">PDF</a>', reverse("admin:billing_invoice_pdf", args=[row.pk]))

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("export/", view(self.export), name="billing_invoice_export"),
            path("<uuid:invoice_id>/pdf", view(self.pdf), name="billing_invoice_pdf"),
            path("<uuid:invoice_id>/correct/", view(self.correct), name="billing_invoice_correct"),
            *super().get_urls(),
        ]

    def pdf(self, request: HttpRequest, invoice_id: UUID) -> HttpResponseBase:
        """The paper, for whoever may look at invoices."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return invoice_files.answer(request, get_object_or_404(Invoice, pk=invoice_id))

    def export(self, request: HttpRequest) -> HttpResponse:
        """Invoices for the accountant: a form, and what it asks for as a download."""
        who = _finance(request)
        form = ExportForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                response = _download(**form.cleaned_data)
            except ValueError as error:
                form.add_error(None, str(error))
            else:
                asked = {name: str(value) for name, value in form.cleaned_data.items()}
                audit.record(who.email, "invoices.exported", details=asked, actor_id=who.pk)
                return response
        return self._form(request, form, "Export invoices", "Download")

    def correct(self, request: HttpRequest, invoice_id: UUID) -> HttpResponse:
        """Write an invoice anew with the customer's billing details of today."""
        who = _finance(request)
        invoice = get_object_or_404(Invoice, pk=invoice_id)
        form = CorrectionForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                note, written = invoices.correct(invoice, who.email, form.cleaned_data["reason"])
            except invoices.NoInvoice as error:
                form.add_error(None, str(error))
            else:
                self.message_user(
                    request,
                    f"{note.number} takes {invoice.number} back, {written.number} is in its stead.",
                    messages.SUCCESS,
                )
                return HttpResponseRedirect(reverse("admin:billing_invoice_change", args=[written.pk]))
        return self._form(request, form, f"Write {invoice.number} anew", "Write anew", invoice)

    def _form(self, request: HttpRequest, form: forms.Form, title: str, button: str, of: Any = None) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": title,
            "form": form,
            "button": button,
            "invoice": of,
            "opts": self.opts,
        }
        status = 400 if form.errors else 200
        return TemplateResponse(request, "admin/billing/invoice/form.html", context, status=status)


def _download(first: Any, last: Any, form: str) -> HttpResponse:
    if form == "csv":
        rows = invoice_export.table(invoice_export.between(first, last))
        return csv_response(f"invoices-{first}-{last}.csv", invoice_export.COLUMNS, rows)
    found = json.dumps(invoice_export.gstr1(first, last), indent=1)
    response = HttpResponse(found, content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="gstr1-{first}-{last}.json"'
    return response


@admin.register(BillingDetails)
class BillingDetailsAdmin(ReadOnly):
    """To whom a customer's invoices are written; they change it themselves."""

    list_display = ["user", "name", "state_code", "country", "gstin", "updated_at"]
    search_fields = ["=user__email", "=gstin", "name"]
    list_select_related = ["user"]
    show_full_result_count = False


class SellerForm(ModelForm):
    """Refuses what an invoice may not say."""

    class Meta:
        model = Seller
        exclude: list[str] = []
        help_texts = {
            "state_code": "The GST code of the state, such as 27; left empty it is the GSTIN's.",
            "gstin": "Without one, papers are bills of supply and carry no tax.",
            "lut": "The reference of your letter of undertaking: with one, exports carry no tax.",
            "sac": "What you sell, as the tax office numbers it. Ask your accountant.",
            "gst_rate_basis_points": "1800 is 18 %. Prices include it.",
            "invoice_prefix": "How invoice numbers begin. A new prefix begins a new series.",
            "credit_prefix": "How the numbers of credit notes begin.",
        }

    def clean_gstin(self) -> str:
        return "".join(str(self.cleaned_data["gstin"]).split()).upper()

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        names = [name for name in self.fields if name not in self.cleaned_data]
        if not names:
            for name, text in sellers.faults(self.cleaned_data).items():
                self.add_error(name, text)
        return cleaned


@admin.register(Seller)
class SellerAdmin(ModelAdmin):
    """The one seller. Papers that are written keep what they say."""

    form = SellerForm
    list_display = ["__str__", "gstin", "state_code", "sac", "gst_rate_basis_points", "invoice_prefix", "updated_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and not Seller.objects.exists()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Seller, form: Any, change: bool) -> None:
        """Save, with an audit entry."""
        actor: Any = request.user
        obj.pk = sellers.ROW
        if obj.gstin and not obj.state_code:
            obj.state_code = sellers.copy_of(obj)["state_code"]
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            audit.record(str(actor), "seller.changed", details={"fields": list(form.changed_data)}, actor_id=actor.pk)
