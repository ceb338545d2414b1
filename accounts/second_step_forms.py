"""The library's forms of the second step, with attempts counted exactly and before the code is looked at."""

from __future__ import annotations

from typing import Any

from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import AddWebAuthnForm
from django import forms

from accounts import throttles
from accounts.second_step import BY_ACCOUNT


class _Counted(forms.Form):
    """A form with a ``user`` and a ``code``."""

    user: Any

    def clean_code(self) -> str:
        ticket = throttles.take(BY_ACCOUNT, str(self.user.pk))
        code: str = super().clean_code()  # type: ignore[misc]
        throttles.give_back(ticket)
        return code


class SignInCode(_Counted, AuthenticateForm):  # type: ignore[misc]
    """At sign-in."""


class ConfirmCode(_Counted, ReauthenticateForm):  # type: ignore[misc]
    """Before what matters is changed."""


class FirstCode(_Counted, ActivateTOTPForm):  # type: ignore[misc]
    """When an app is set up."""


class NewPasskey(AddWebAuthnForm):  # type: ignore[misc]
    """A passkey, never a bare second key: it signs in alone, so the device must know its person."""

    name = forms.CharField(label="Name", max_length=100, required=False, help_text="So that you know it again.")

    def clean(self) -> Any:
        self.cleaned_data["passwordless"] = True
        return super().clean()
