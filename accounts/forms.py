"""The sign-up form, where allauth's tells by its speed whether an address is taken."""

from __future__ import annotations

from typing import Any

from allauth.account.forms import SignupForm as AllauthSignupForm
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.http import HttpRequest


class SignupForm(AllauthSignupForm):  # type: ignore[misc]
    """Address and password; a taken address costs as much time as a free one."""

    account_already_exists: bool

    def try_save(self, request: HttpRequest) -> Any:
        if self.account_already_exists:
            make_password(self.cleaned_data.get("password1"))
            return super().try_save(request)
        try:
            with transaction.atomic():
                return super().try_save(request)
        except IntegrityError:  # somebody signed up with it between the check and now
            self.account_already_exists = True
            return super().try_save(request)
