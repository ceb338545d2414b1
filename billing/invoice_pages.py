"""Pages of invoices: the list, the paper, and the section of the settings that says to whom they are written."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import User
from billing import details, invoice_paper
from billing.countries import COUNTRIES
from billing.models import Invoice
from billing.states import STATES
from oneai.kit.errors import Refusal

SHOWN: Final = 25


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _own(request: HttpRequest) -> QuerySet[Invoice]:
    return Invoice.objects.filter(user=_person(request))


@require_safe
@never_cache
@login_required
def listed(request: HttpRequest) -> HttpResponse:
    """Every invoice and credit note, the newest first, a page at a time: ``?before=`` is the last one shown."""
    papers = _own(request).order_by("-issued_at", "-id")
    try:
        last = papers.get(pk=UUID(request.GET["before"])) if "before" in request.GET else None
    except (ValueError, Invoice.DoesNotExist) as error:
        raise Http404 from error
    if last is not None:
        papers = papers.filter(Q(issued_at__lt=last.issued_at) | Q(issued_at=last.issued_at, id__lt=last.pk))
    page = list(papers[: SHOWN + 1])
    rows = [(paper, invoice_paper.title_of(paper)) for paper in page[:SHOWN]]
    context = {"rows": rows, "more": page[SHOWN - 1] if len(page) > SHOWN else None, "later": last is not None}
    return render(request, "billing/invoices.html", context)


@require_safe
@never_cache
@login_required
def shown(request: HttpRequest, invoice_id: UUID) -> HttpResponse:
    """The paper, as the PDF has it."""
    found = _own(request).select_related("corrects", "replaces", "refund").filter(pk=invoice_id).first()
    if found is None:
        raise Http404
    notes = found.credit_notes.order_by("issued_at")
    after = Invoice.objects.filter(replaces=found).first()
    context = {"paper": invoice_paper.read(found), "invoice": found, "notes": notes, "after": after}
    return render(request, "billing/invoice.html", context)


class DetailsForm(forms.Form):
    """Billing details as a person fills them in; what may stand where ``billing.details`` says."""

    name = forms.CharField(
        label="Name or company", required=False, widget=forms.TextInput({"autocomplete": "organization"})
    )
    address = forms.CharField(
        label="Address", required=False, widget=forms.Textarea({"rows": 3, "autocomplete": "street-address"})
    )
    city = forms.CharField(label="City", required=False, widget=forms.TextInput({"autocomplete": "address-level2"}))
    postal_code = forms.CharField(
        label="Postal code", required=False, widget=forms.TextInput({"autocomplete": "postal-code"})
    )
    state_code = forms.ChoiceField(
        label="State",
        required=False,
        choices=[("", "Not said"), *sorted(STATES.items(), key=lambda state: state[1])],
        help_text="In India. It decides which tax an invoice shows, never what you pay.",
    )
    country = forms.ChoiceField(label="Country", choices=list(COUNTRIES.items()))
    gstin = forms.CharField(
        label="GSTIN",
        required=False,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "autocapitalize": "characters"}),
        help_text="For businesses registered in India, to claim the tax. It sets the state.",
    )
    use_required_attribute = False


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def billing_details(request: HttpRequest) -> HttpResponse:
    """To whom invoices are written from now on."""
    user = _person(request)
    kept = details.of(user)
    form = DetailsForm(request.POST or None, initial={name: getattr(kept, name) for name in details.LENGTHS})
    if request.method == "POST" and form.is_valid():
        try:
            details.change(user, _filled_in(form, kept.state_code))
        except Refusal as refusal:
            form.add_error(refusal.param, refusal.text)
        else:
            messages.success(request, "Your billing details are saved. Invoices from now on have them.")
            return redirect("settings_billing")
    context: dict[str, Any] = {"section": "billing", "form": form}
    return render(request, "settings/billing.html", context, status=400 if form.errors else 200)


def _filled_in(form: DetailsForm, state: str) -> dict[str, str]:
    """What was filled in. A state that was only left as it was does not speak against a new GSTIN or country."""
    values = dict(form.cleaned_data)
    if values["state_code"] == state and (values["gstin"] or values["country"] != details.HOME):
        del values["state_code"]
    return values


urlpatterns = [
    path("billing/invoices", listed, name="invoices"),
    path("billing/invoices/<uuid:invoice_id>", shown, name="invoice"),
    path("settings/billing", billing_details, name="settings_billing"),
]
