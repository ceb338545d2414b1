"""The section of the settings where somebody sees to their presets. All of it works without scripts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from chat import catalog, presets
from chat.preset_models import Preset
from chat.requests import EFFORTS, LONGEST_MESSAGE, LONGEST_SYSTEM, MOST_TOKENS
from oneai.kit.errors import Refusal


class PresetForm(forms.ModelForm[Preset]):
    """A preset, as over the API."""

    name = forms.CharField(
        label="Name", max_length=presets.LONGEST_NAME, help_text="In the message box you call it by / and its name."
    )
    prompt = forms.CharField(
        label="Words",
        max_length=LONGEST_MESSAGE,
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Put into the message box.",
    )
    system = forms.CharField(
        label="Instructions",
        max_length=LONGEST_SYSTEM,
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="What the model is told before the conversation.",
    )
    model = forms.CharField(
        label="Model",
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"list": "models", "autocomplete": "off", "spellcheck": "false"}),
        help_text="Empty: the one that is chosen.",
    )
    temperature = forms.FloatField(
        label="Temperature", min_value=0, max_value=2, required=False, help_text="0 is sober, 2 is wild."
    )
    max_tokens = forms.IntegerField(
        label="Longest answer, in tokens", min_value=1, max_value=MOST_TOKENS, required=False
    )
    reasoning_effort = forms.ChoiceField(
        label="Reasoning", choices=[("", "As the model likes"), *((one, one) for one in EFFORTS)], required=False
    )
    use_required_attribute = False

    class Meta:
        model = Preset
        fields = ["name", "prompt", "system", "model", "temperature", "max_tokens", "reasoning_effort"]

    def clean_name(self) -> str:
        name = " ".join(str(self.cleaned_data["name"]).split())
        if not name.isprintable():
            raise forms.ValidationError("Use printable characters.")
        return name

    def clean_model(self) -> str:
        slug = str(self.cleaned_data["model"])
        if slug and slug not in catalog.current().models:
            raise forms.ValidationError("This model is not known.")
        return slug


def _page(request: HttpRequest, name: str, status: int = 200, **context: Any) -> HttpResponse:
    return render(request, f"settings/{name}.html", {"section": "presets"} | context, status=status)


def _user_id(request: HttpRequest) -> UUID:
    assert request.user.is_authenticated
    return request.user.pk


@require_safe
@never_cache
@login_required
def listed(request: HttpRequest) -> HttpResponse:
    """All presets, by name."""
    found = list(presets.of(_user_id(request)))
    return _page(request, "presets", presets=found, full=len(found) >= presets.MOST, most=presets.MOST)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def edited(request: HttpRequest, preset_id: UUID | None = None) -> HttpResponse:
    """A new preset, or one that is there."""
    preset = _found(request, preset_id) if preset_id else None
    form = PresetForm(request.POST or None, instance=preset)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            if preset is None:
                presets.create(_user_id(request), values)
            else:
                presets.change(preset, values)
        except Refusal as refusal:
            form.add_error(refusal.param, refusal.text)
        else:
            messages.success(request, "The preset is saved.")
            return redirect("settings_presets")
    context = {"form": form, "preset": preset and _found(request, preset.pk), "models": catalog.current().offered}
    return _page(request, "preset_form", 400 if form.errors else 200, **context)


@require_POST
@never_cache
@login_required
def deleted(request: HttpRequest, preset_id: UUID) -> HttpResponse:
    """Delete a preset."""
    presets.delete(_found(request, preset_id))
    messages.success(request, "The preset is deleted.")
    return redirect("settings_presets")


def _found(request: HttpRequest, preset_id: UUID) -> Preset:
    try:
        return presets.preset_for(_user_id(request), preset_id)
    except Refusal as refusal:
        raise Http404 from refusal


urlpatterns = [
    path("settings/presets", listed, name="settings_presets"),
    path("settings/presets/new", edited, name="settings_preset_new"),
    path("settings/presets/<uuid:preset_id>", edited, name="settings_preset"),
    path("settings/presets/<uuid:preset_id>/delete", deleted, name="settings_preset_delete"),
]
