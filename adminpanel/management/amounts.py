"""What the operators' commands read from their arguments, and how they say that it can't be read."""

from __future__ import annotations

from datetime import UTC, datetime, time

from django.core.management.base import CommandError

from accounts.models import User
from oneai.kit import fields
from oneai.kit.clock import calendar_day
from oneai.kit.money import nano_from_usd
from quotas.allowances import InvalidTerms, check_amount

UNLIMITED = "unlimited"


def person(email: str) -> User:
    """The person with this address, in whatever case."""
    user = User.objects.filter(email__iexact=email.strip()).first()
    if user is None:
        raise CommandError(f"There is nobody with the address {email}.")
    return user


def amount(option: str, text: str) -> int | None:
    """A whole number from 0 on, or None for ``unlimited``."""
    if text == UNLIMITED:
        return None
    if not (text.isascii() and text.isdigit()):
        raise CommandError(f"{option} must be a whole number from 0 on, or {UNLIMITED}, not {text!r}.")
    return _kept(option, int(text))


def nano_usd(option: str, text: str) -> int | None:
    """Dollars as nano-USD, or None for ``unlimited``."""
    if text == UNLIMITED:
        return None
    try:
        return _kept(option, nano_from_usd(text))
    except ValueError as error:
        raise CommandError(f"{option} must be an amount in dollars or {UNLIMITED}, not {text!r}.") from error


def _kept(option: str, value: int) -> int | None:
    try:
        return check_amount(option, value)
    except InvalidTerms as error:
        raise CommandError(f"{option} is too large.") from error


def end(text: str | None) -> datetime | None:
    """The moment a ``--until`` names: a date means its beginning in UTC; None when left out."""
    return moment("--until", text)


def moment(option: str, text: str | None) -> datetime | None:
    """The moment that ``option`` names, as ``end`` has it."""
    if not text:
        return None
    try:
        if len(text) == 10:
            return datetime.combine(calendar_day(text), time.min, UTC)
        return fields.moment(text)
    except (ValueError, OverflowError) as error:
        raise CommandError(f"{option} must be a date such as 2027-01-31, not {text!r}.") from error


def reason(text: str) -> str:
    """The reason, which may not be blank."""
    if not text.strip():
        raise CommandError("--reason must say why.")
    return text.strip()
