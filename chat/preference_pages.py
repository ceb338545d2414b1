"""The section of the settings about how the site looks and how chats begin. It works without scripts."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import preferences
from chat import catalog, preferring, requests
from oneai.kit.errors import Refusal

_OWN: Final = "The model's own"
_EFFORTS: Final = {
    "none": "None", "minimal": "Minimal", "low": "Low", "medium": "Medium", "high": "High", "xhigh": "Very high",
    "max": "As much as it can",
}  # fmt: skip


class PreferencesForm(forms.Form):
    """What ``/api/user/preferences`` changes, but the notifications."""

    theme = forms.ChoiceField(
        label="Theme", choices=[("auto", "As the device has it"), ("light", "Light"), ("dark", "Dark")]
    )
    default_model = forms.ChoiceField(
        label="Model", required=False, help_text="Which one new chats ask, and requests that name none."
    )
    system = forms.CharField(
        label="Instructions",
        required=False,
        strip=False,
        max_length=requests.LONGEST_SYSTEM,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text="Every new conversation begins with them, as its system prompt.",
    )
    temperature = forms.FloatField(
        label="Temperature",
        required=False,
        min_value=0,
        max_value=preferring.WARMEST,
        help_text="From 0, strict, to 2, loose. Empty: the model's own.",
        widget=forms.NumberInput(attrs={"step": "0.1", "inputmode": "decimal"}),
    )
    max_tokens = forms.IntegerField(
        label="Longest answer",
        required=False,
        min_value=1,
        max_value=requests.MOST_TOKENS,
        help_text="In tokens. Empty: as long as the model and your quota let it.",
    )
    reasoning_effort = forms.ChoiceField(
        label="Reasoning",
        required=False,
        choices=[("", _OWN), *_EFFORTS.items()],
        help_text="How long models that reason may think. It costs tokens.",
    )
    use_required_attribute = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = sorted(catalog.current().offered, key=lambda model: model.name.casefold())
        choices = [("", "The site's own"), *((model.slug, model.name) for model in offered)]
        chosen = self.initial.get("default_model")
        if chosen and all(slug != chosen for slug, _ in choices):
            choices.append((chosen, f"{chosen} (not available now)"))
        self.fields["default_model"].choices = choices  # type: ignore[attr-defined]


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def edit(request: HttpRequest) -> HttpResponse:
    """The form; what it saves holds from the next page and the next message on."""
    user = request.user
    assert user.is_authenticated
    kept = preferences.of(user)
    form = PreferencesForm(request.POST or None, initial=kept)
    if request.method == "POST" and form.is_valid():
        values = dict(form.cleaned_data)
        values["reasoning_effort"] = values["reasoning_effort"] or None
        values["system"] = values["system"].replace("\r\n", "\n")
        try:
            if values["default_model"] != kept["default_model"]:
                preferring.check_model(values["default_model"])
        except Refusal as refusal:
            form.add_error("default_model", refusal.text)
        else:
            preferences.change(user.pk, values)
            messages.success(request, "Your preferences are saved.")
            return redirect("settings_preferences")
    context = {"section": "preferences", "form": form}
    return render(request, "settings/preferences.html", context, status=400 if form.errors else 200)


urlpatterns = [path("settings/preferences", edit, name="settings_preferences")]
