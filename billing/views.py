"""The price list as a page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import User
from billing import gateway, price_list, topups


@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    """The plans on sale to whoever looks, packs of tokens, and how tokens are counted."""
    user = request.user if isinstance(request.user, User) else None
    context = {
        "cards": price_list.cards(user),
        "packs": topups.on_sale(),
        "tax_note": price_list.tax_note(),
        "for_sale": gateway.configured(),
    }
    return render(request, "billing/pricing.html", context)
