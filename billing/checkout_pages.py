"""Ordering a plan or a pack, paying for it at Razorpay, and coming back. All of it works without scripts.

Nothing is concluded from what a browser says: a return makes us ask Razorpay, and the page after it shows what our
rows say, whoever brought the news.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from accounts import teams
from accounts.addresses import address_group, client_address
from billing import arrival, checkout, ending, gateway, limits, price_list, prices, topups, trials, whose
from billing.models import Pack, Plan, Subscription, SubscriptionStatus
from billing.models.plans import Interval
from billing.once_keys import NOTHING
from billing.standing import Holder
from billing.whose import address, holder_of, person
from oneai.kit.clock import now
from oneai.kit.errors import Refusal

Status = SubscriptionStatus
_ERRORS: Final = 300


class PlanForm(forms.Form):
    """What is left to choose of a plan."""

    seats = forms.IntegerField(label="Seats", min_value=1, max_value=checkout.MOST_SEATS, initial=1)
    coupon = forms.CharField(label="Coupon, if you have one", max_length=40, required=False)
    use_required_attribute = False

    def __init__(self, plan: Plan, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not plan.per_seat:
            del self.fields["seats"]


class PackForm(forms.Form):
    """What is left to choose of a pack."""

    coupon = forms.CharField(label="Coupon, if you have one", max_length=40, required=False)
    use_required_attribute = False


def refused(form: forms.Form, refusal: Refusal) -> int:
    """Show a refusal at its field, or above the form; its status."""
    form.add_error(refusal.param if refusal.param in form.fields else None, refusal.text)
    return refusal.status


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def order_plan(request: HttpRequest) -> HttpResponse:
    """What a plan costs and holds; ordering it leads to the page where it is paid."""
    user = person(request)
    code, interval = request.GET.get("plan", ""), request.GET.get("interval") or Interval.MONTH.value
    if interval not in Interval.values:
        raise Http404
    try:
        plan = checkout.sold_to(user, code)
        price = prices.for_sale(plan, interval)
    except Refusal as refusal:
        if refusal.code == "plan_not_found":
            raise Http404 from refusal
        messages.error(request, refusal.text)
        return redirect("pricing")
    team = whose.team_of(user) if plan.per_seat else None
    if plan.per_seat and team is None:
        return render(request, "billing/team_first.html", {"section": "plan", "plan": plan})
    holder = Holder(user.pk, team.pk if team else None)
    least = teams.seats_taken(team.pk) if team else 1
    form = PlanForm(plan, request.POST or None, initial={"seats": max(2, least)})
    status = 400 if form.errors else 200
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        try:
            limits.count_order(user.pk)
            row = checkout.subscribe(
                user, holder, code, interval, seats=chosen.get("seats", 1), coupon=chosen["coupon"]
            )
            return to_pay(row.pk)
        except Refusal as refusal:
            if refusal.code == "already_subscribed":
                return redirect(address("billing_change", holder, plan=code, interval=interval))
            status = refused(form, refusal)
    last = ending.running_out(holder)
    trial = plan.trial_days if last is None and team is None and trials.may_try(user) else 0
    context = {
        "section": "plan",
        "form": form,
        "team": team,
        "plan": plan,
        "price": price,
        "tokens": price_list.tokens_of(price.terms["limits"]),
        "trial_days": max(1, trial) if trial else 0,
        "begins": ending.ends_at(last) if last else now() + timedelta(days=max(1, trial)) if trial else None,
        "tax_note": price_list.tax_note(),
    }
    return render(request, "billing/order_plan.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def order_pack(request: HttpRequest, code: str) -> HttpResponse:
    """What a pack costs; ordering it leads to the page where it is paid."""
    holder = holder_of(request)
    pack = Pack.objects.filter(code=code, is_active=True).first()
    if pack is None:
        raise Http404
    if not gateway.configured():
        raise Refusal("payments_off")
    form = PackForm(request.POST or None)
    status = 400 if form.errors else 200
    if request.method == "POST" and form.is_valid():
        try:
            limits.count_order(person(request).pk)
            row = topups.order(holder, code, coupon=form.cleaned_data["coupon"], asked=NOTHING)
            return to_pay(row.pk)
        except Refusal as refusal:
            status = refused(form, refusal)
    context = {"section": "plan", "form": form, "pack": pack, "tax_note": price_list.tax_note()}
    context |= {"for_team": whose.name_of(holder), "back": address("billing", holder)}
    return render(request, "billing/order_pack.html", context, status=status)


def to_pay(order_id: UUID) -> HttpResponseRedirect:
    """To the page where an order is paid; there the window of Razorpay opens by itself."""
    return HttpResponseRedirect(reverse("billing_pay", args=[order_id]) + "#pay")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def pay(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """Where an order is paid: in Razorpay's window, or on its own page. A POST asks Razorpay for it once more."""
    order = arrival.of(order_id, person(request).pk)
    if request.method == "POST":
        limits.count_order(order.user_id)
        arrival.prepare(order)
        return to_pay(order_id)
    if arrival.state(order) == arrival.PAID or arrival.is_over(order):
        return redirect("billing_after", order_id)
    failed = arrival.last_failure(order)
    context = {"section": "plan", "order": order, "window": arrival.window(order), "failed": failed}
    return render(request, "billing/pay.html", context | arrival.paying(order))


@require_safe
@never_cache
@login_required
def method(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """Where a subscription that runs is given another card, UPI or account, or an overdue payment is made."""
    row = Subscription.objects.filter(pk=order_id, user=person(request)).select_related("plan", "price", "user").first()
    if row is None or row.status not in (Status.ACTIVE, Status.PENDING, Status.HALTED):
        raise Http404
    context = {"section": "plan", "subscription": row, "window": arrival.window_of_method(row)}
    return render(request, "billing/method.html", context)


# Back from Razorpay --------------------------------------------------------------------------------
@csrf_exempt
@require_POST
@never_cache
def returned(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """Razorpay's form, or ours after its window: the browser sends it from another site, so nobody is signed in here.

    A right signature makes us ask Razorpay; anything else changes nothing.
    """
    limits.count_return(order_id, address_group(client_address(request)))
    order = arrival.of(order_id)
    said = {name: str(value)[:_ERRORS] for name, value in request.POST.items()}
    if "razorpay_payment_id" in said:
        arrival.verify(order, said["razorpay_payment_id"], said.get("razorpay_signature", ""))
        return redirect("billing_after", order_id)
    return redirect(f"{reverse('billing_pay', args=[order_id])}?{urlencode({'failed': '1'})}")


@require_safe
@never_cache
@login_required
def after(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """What became of an order: paid, failed, or still on its way. It asks Razorpay itself while it is."""
    user = person(request)
    order = arrival.look(arrival.of(order_id, user.pk))
    state = arrival.state(order)
    if state == arrival.FAILED:
        messages.error(request, "The payment did not go through. Nothing was taken.")
        return redirect("billing_pay", order_id)
    heading, text = arrival.thanks(order, user)
    context = {"section": "plan", "order": order, "state": state, "given": arrival.given(order, user)}
    return render(request, "billing/after.html", context | {"heading": heading, "text": text})


@require_GET
@never_cache
@login_required
def after_state(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """The state alone, for the script of the page."""
    order = arrival.look(arrival.of(order_id, person(request).pk))
    return JsonResponse({"state": arrival.state(order)})


urlpatterns = [
    path("billing/checkout", order_plan, name="billing_checkout"),
    path("billing/packs/<slug:code>", order_pack, name="billing_pack"),
    path("billing/pay/<uuid:order_id>", pay, name="billing_pay"),
    path("billing/method/<uuid:order_id>", method, name="billing_method"),
    path("billing/return/<uuid:order_id>", returned, name="billing_return"),
    path("billing/after/<uuid:order_id>", after, name="billing_after"),
    path("billing/after/<uuid:order_id>/state", after_state, name="billing_after_state"),
]
