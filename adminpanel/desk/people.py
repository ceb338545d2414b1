"""Somebody's quota in ten seconds: find them, set what they may use, say why; plan, payments and audit beside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accounts import audit
from accounts.audit import Actor
from accounts.models import User
from adminpanel import actions, people
from adminpanel.desk.doors import Reasoned, require, shown, tried
from billing import plans
from billing.models import Subscription
from billing.standing import LIVE
from chat.models import AIModel, ModelClass
from oneai.kit.money import nano_from_usd
from quotas import allowances, reading
from quotas.allowances import InvalidTerms
from quotas.figures import LimitState
from quotas.models import Override
from quotas.policy import NANO_USD, RATES, TOKENS
from quotas.wording import amount_text

MOST_FOUND: Final = 25
MOST_SCOPES: Final = 400
UNLIMITED: Final = "unlimited"
_RATE_LABELS: Final = {
    "requests_per_minute": "Requests a minute",
    "tokens_per_minute": "Tokens a minute",
    "concurrent_generations": "Answers at once",
}


class AmountField(forms.CharField):
    """A whole number, or ``unlimited`` (None); empty is left out (an empty string)."""

    def __init__(self, **more: Any) -> None:
        super().__init__(required=False, max_length=24, **more)

    def clean(self, value: Any) -> Any:
        text = str(super().clean(value)).replace(",", "").replace("_", "").strip().lower()
        if not text:
            return ""
        if text == UNLIMITED:
            return None
        if not (text.isascii() and text.isdigit()):
            raise forms.ValidationError("A whole number, or unlimited.")
        try:
            return allowances.check_amount("It", int(text))
        except InvalidTerms as error:
            raise forms.ValidationError(str(error)) from error


class DollarField(forms.CharField):
    """Dollars, or ``unlimited``; as AmountField, in nano-USD."""

    def __init__(self, **more: Any) -> None:
        super().__init__(required=False, max_length=24, **more)

    def clean(self, value: Any) -> Any:
        text = str(super().clean(value)).lstrip("$").strip().lower()
        if not text:
            return ""
        if text == UNLIMITED:
            return None
        try:
            return allowances.check_amount("It", nano_from_usd(text))
        except ValueError as error:
            raise forms.ValidationError("An amount in dollars, or unlimited.") from error


def _day(label: str) -> forms.DateField:
    return forms.DateField(label=label, required=False, widget=forms.DateInput({"type": "date"}))


class LimitForm(Reasoned):
    """A limit of the period. It is the limit, not an addition."""

    tokens = AmountField(label="Tokens", widget=forms.TextInput({"inputmode": "numeric"}))
    usd = DollarField(label="Dollars", help_text="Left empty, a limit in tokens lifts this one.")
    scope = forms.CharField(
        label="Of", initial="*", max_length=200, widget=forms.TextInput({"list": "scopes"}),
        help_text="* is all together; else a model’s id or class:NAME.",
    )  # fmt: skip
    until = _day("Until")
    field_order = ["tokens", "usd", "scope", "until", "reason"]

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if not self.errors and given.get("tokens") == "" and given.get("usd") == "":
            raise forms.ValidationError("Say how many tokens, or dollars.")
        return given


class RatesForm(Reasoned):
    """Rates; what is left empty stays."""

    requests_per_minute = AmountField(label=_RATE_LABELS["requests_per_minute"])
    tokens_per_minute = AmountField(label=_RATE_LABELS["tokens_per_minute"])
    concurrent_generations = AmountField(label=_RATE_LABELS["concurrent_generations"])
    until = _day("Until")
    field_order = [*RATES, "until", "reason"]


class TokensForm(Reasoned):
    """Tokens beside the plan."""

    extra = forms.IntegerField(label="Tokens on top", min_value=1, max_value=10**15)
    until = _day("Until")
    field_order = ["extra", "until", "reason"]


class PlanForm(Reasoned):
    """A plan by hand."""

    plan = forms.ChoiceField(label="Plan")
    until = _day("Until")
    field_order = ["plan", "until", "reason"]

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        choices: Any = self.fields["plan"]
        choices.choices = [(plan.code, plan.name) for plan in plans.offered()]


class EndForm(Reasoned):
    """An override that is to end."""

    override = forms.UUIDField(widget=forms.HiddenInput)


class CancelForm(Reasoned):
    """A subscription that is to end."""

    subscription = forms.UUIDField(widget=forms.HiddenInput)
    when = forms.ChoiceField(
        label="When", choices=[("cycle_end", "when its cycle ends"), ("now", "now, unused part back")]
    )
    field_order = ["when", "reason", "subscription"]


class StandingForm(Reasoned):
    """Whether somebody may come in."""

    what = forms.ChoiceField(
        label="What",
        choices=[("sign_out", "End all sessions and tokens"), ("disable", "Disable"), ("enable", "Enable")],
    )
    field_order = ["what", "reason"]


FORMS: Final[dict[str, tuple[type[Reasoned], str]]] = {
    "limit": (LimitForm, "quotas.change"),
    "rates": (RatesForm, "quotas.change"),
    "tokens": (TokensForm, "quotas.change"),
    "end": (EndForm, "quotas.change"),
    "plan": (PlanForm, "subscriptions.change"),
    "cancel": (CancelForm, "subscriptions.change"),
    "standing": (StandingForm, "users.change"),
}
"""By the name of what is done: its form, and what it takes."""


def _moment(day: Any) -> datetime | None:
    return datetime.combine(day, time.min, UTC) if day else None


def _change(what: str, actor: Actor, user: User, given: dict[str, Any]) -> str:
    """Do it; what is said of it."""
    reason, until = given["reason"], _moment(given.get("until"))
    if what == "limit":
        wanted = {unit: given[name] for name, unit in (("tokens", TOKENS), ("usd", NANO_USD)) if given[name] != ""}
        actions.set_limit(actor, user, given["scope"].strip(), wanted, reason, until=until)
        return "The limit holds from now on."
    if what == "rates":
        rates = {name: given[name] for name in RATES if given[name] != ""}
        actions.set_rates(actor, user, rates, reason, until=until)
        return "The rates hold from now on."
    if what == "tokens":
        actions.give_tokens(actor, user, given["extra"], reason, until=until)
        return f"{given['extra']:,} tokens were given."
    if what == "end":
        row = Override.objects.filter(pk=given["override"], user_id=user.pk).first()
        if row is None:
            raise LookupError("There is no such override.")
        actions.end_override(actor, row, reason)
        return "The override has ended."
    if what == "plan":
        actions.grant_plan(actor, user, given["plan"], reason, until=until)
        return f"The plan {given['plan']} holds from now on."
    if what == "cancel":
        bought = Subscription.objects.filter(pk=given["subscription"], user_id=user.pk).first()
        if bought is None:
            raise LookupError("There is no such subscription.")
        actions.cancel(actor, bought, given["when"], reason)
        return "The subscription ends."
    if given["what"] == "sign_out":
        actions.end_sign_ins(actor, user, reason)
        return "Signed out everywhere."
    actions.set_active(actor, user, reason, active=given["what"] == "enable")
    return "Enabled." if given["what"] == "enable" else "Disabled."


def search(request: HttpRequest) -> HttpResponse:
    """Find people; the only one that is found is opened."""
    require(request, "quotas.view")
    text = request.GET.get("q", "").strip().replace("\0", "")[:200]
    found = list(people.search(text, teams=bool(text))[: MOST_FOUND + 1])
    if text and len(found) == 1:
        return HttpResponseRedirect(reverse("admin:desk_person", args=[found[0].pk]))
    return shown(request, "people", title="People and quotas", q=text, found=found[:MOST_FOUND],
                 more=len(found) > MOST_FOUND)  # fmt: skip


def person(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """One person, and what staff may do for them."""
    require(request, "quotas.view")
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        raise Http404
    what = request.POST.get("what_for", "") if request.method == "POST" else ""
    sent: dict[str, Any] = {}
    if request.method == "POST":
        if what not in FORMS:
            raise Http404
        kind, permission = FORMS[what]
        actor, form, said = require(request, permission), kind(request.POST, prefix=what), list[str]()
        change: Callable[[], None] = lambda: said.append(_change(what, actor, user, form.cleaned_data))  # noqa: E731
        if form.is_valid() and tried(form, change):
            messages.success(request, said[0])
            return HttpResponseRedirect(reverse("admin:desk_person", args=[user.pk]))
        sent[what] = form
    shown_forms = {f"{name}_form": sent.get(name) or kind(prefix=name) for name, (kind, _) in FORMS.items()}
    status = 400 if sent else 200
    return shown(request, "person", status=status, title=user.email, sent=sent, **_about(user), **shown_forms)


def _about(user: User) -> dict[str, Any]:
    standing = reading.standing(user.pk)
    own = Subscription.objects.filter(user_id=user.pk).select_related("plan", "price").order_by("-created_at")[:5]
    scopes = ["*", *(f"class:{name}" for name in ModelClass.objects.values_list("name", flat=True))]
    scopes += AIModel.objects.filter(is_listed=True).order_by("slug").values_list("slug", flat=True)[:MOST_SCOPES]
    return {
        "person": user,
        "standing": standing,
        "limits": [_limit(limit) for limit in standing.limits],
        "rates": [(_RATE_LABELS[name], _number(getattr(standing.terms, name))) for name in RATES],
        "overrides": [(row, _value(row)) for row in allowances.lasting(user.pk)],
        "subscriptions": [(row, row.status in LIVE and "ended" not in row.metadata) for row in own],
        "entries": audit.about(user.pk)[:10],
        "scopes": [
            *scopes,
            *AIModel.objects.filter(is_listed=True).order_by("slug").values_list("slug", flat=True)[:400],
        ],
    }


def _number(value: int | None) -> str:
    return UNLIMITED if value is None else f"{value:,}"


def _limit(limit: LimitState) -> dict[str, Any]:
    return {
        "scope": limit.name,
        "unit": "tokens" if limit.unit == TOKENS else "dollars",
        "limit": amount_text(limit.unit, limit.limit),
        "used": amount_text(limit.unit, limit.used),
        "held": amount_text(limit.unit, limit.held),
        "left": amount_text(limit.unit, limit.remaining),
        "reset_at": limit.reset_at,
    }


def _value(row: Override) -> str:
    if row.kind == "limit":
        return f"{row.scope}: {amount_text(row.unit, row.limit)} {'tokens' if row.unit == TOKENS else ''}".strip()
    return ", ".join(f"{_RATE_LABELS[name]}: {_number(value)}" for name, value in sorted(row.values.items()))
