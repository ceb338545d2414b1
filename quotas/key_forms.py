"""The forms of a person's keys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from django import forms

from accounts import key_terms, own_keys
from accounts.models import ApiKey
from accounts.principal import SCOPES
from oneai.kit.errors import Refusal
from oneai.kit.money import LARGEST_USD, nano_from_usd, usd_string

SCOPE_TEXTS: Final = (
    ("chat", "Ask models"),
    ("models", "List models"),
    ("usage", "Read quota and usage"),
    ("conversations", "Read and change conversations"),
)
OVERLAPS: Final = (
    (0, "End it at once"),
    (3600, "One hour"),
    (86_400, "One day"),
    (604_800, "Seven days"),
    (2_592_000, "Thirty days"),
)
_FIELD_OF: Final = {
    "expires_at": "expires_on",
    "allowed_networks": "allowed_addresses",
    "limit_nano_usd": "limit_usd",
}
_WHOLE_DAY: Final = timedelta(days=1)


def _whole(label: str, name: str) -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=1, max_value=key_terms.LIMITS[name])


class KeyForm(forms.Form):
    """The terms of a key as a person fills them in; an empty field is no bound."""

    name = forms.CharField(label="Name", max_length=key_terms.LONGEST_NAME, help_text="What it is for, as you call it.")
    scopes = forms.MultipleChoiceField(
        label="What it may do", choices=SCOPE_TEXTS, widget=forms.CheckboxSelectMultiple, initial=sorted(SCOPES)
    )
    expires_on = forms.DateField(
        label="Last day",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="It ends with that day, UTC, and you get a mail a week before. Empty: it has no end.",
    )
    limit_tokens = _whole("Tokens in a period", "limit_tokens")
    limit_usd = forms.DecimalField(
        label="Dollars in a period",
        required=False,
        min_value=Decimal("0.000000001"),
        max_value=LARGEST_USD,
        decimal_places=9,
    )
    requests_per_minute = _whole("Requests a minute", "requests_per_minute")
    tokens_per_minute = _whole("Tokens a minute", "tokens_per_minute")
    allowed_models = forms.CharField(
        label="Models",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="One a line, such as openai/gpt-4o-mini, or openai/* for several. Empty: all of your plan.",
    )
    allowed_addresses = forms.CharField(
        label="Addresses",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="One a line, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32. Empty: from anywhere.",
    )

    use_required_attribute = False

    def terms(self, key: ApiKey | None = None) -> dict[str, Any]:
        """What was filled in as the terms of a key; an end that stays on its day stays to the second."""
        given = self.cleaned_data
        terms: dict[str, Any] = {name: given[name] for name in ("name", "scopes", *key_terms.LIMITS) if name in given}
        terms["limit_nano_usd"] = nano_from_usd(given["limit_usd"]) if given["limit_usd"] is not None else None
        terms["allowed_models"] = given["allowed_models"].split()
        terms["allowed_networks"] = given["allowed_addresses"].split()
        if key is None or given["expires_on"] != last_day(key):
            terms["expires_at"] = _end_of(given["expires_on"])
        return terms

    def refused(self, refusal: Refusal) -> int:
        """Show a refusal at the field that it is about; returns its status."""
        name = _FIELD_OF.get(refusal.param or "", refusal.param or "")
        self.add_error(name if name in self.fields else None, refusal.text)
        return refusal.status


def of_key(key: ApiKey) -> dict[str, Any]:
    """The form's fields as the key has them."""
    values: dict[str, Any] = {name: getattr(key, name) for name in ("name", "scopes", *key_terms.LIMITS)}
    return values | {
        "expires_on": last_day(key),
        "limit_usd": usd_string(key.limit_nano_usd) if key.limit_nano_usd is not None else None,
        "allowed_models": "\n".join(key.allowed_models),
        "allowed_addresses": "\n".join(key.allowed_networks),
    }


def last_day(key: ApiKey) -> date | None:
    """The day, UTC, in which the key's end lies; an end at midnight belongs to the day before."""
    if key.expires_at is None:
        return None
    return (key.expires_at.astimezone(UTC) - timedelta(microseconds=1)).date()


def _end_of(day: date | None) -> datetime | None:
    try:
        return None if day is None else datetime.combine(day, time.min, UTC) + _WHOLE_DAY
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


class RotationForm(forms.Form):
    """For how long the present text stays good."""

    overlap = forms.TypedChoiceField(
        label="The text that programs have now",
        choices=OVERLAPS,
        coerce=int,
        initial=int(own_keys.USUAL_OVERLAP.total_seconds()),
        help_text="Until then both are good, so that you can change it wherever it is used.",
    )

    def chosen(self) -> timedelta:
        """The overlap."""
        values: Mapping[str, Any] = self.cleaned_data
        return timedelta(seconds=values["overlap"])
