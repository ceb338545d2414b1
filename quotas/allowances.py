"""What accounts are allowed: dated allowances and overrides, and the copy of them that admission reads.

The tables are the truth; the account's ``policy`` is rewritten from them under the account's lock,
and the current period's counters follow with ADJUST entries. Everything here runs in the caller's
transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import F, Q

from accounts.models import Membership, Team
from oneai.kit import rows
from oneai.kit.clock import now
from quotas import holding
from quotas.book import Book
from quotas.models import Allowance, Override, QuotaAccount
from quotas.policy import NANO_USD, OF_CALLER, RATES, TOKENS, UNITS, micros

Limit = Mapping[str, Any]
_MOST: Final = 2**63 - 1


class InvalidTerms(ValueError):
    """Limits, rates or dates that can't be kept; the text says which."""


def check_amount(name: str, amount: int | None) -> int | None:
    """``amount`` if a column can hold it: None (unlimited) or a whole number from 0 on."""
    if amount is not None and (isinstance(amount, bool) or not isinstance(amount, int) or not 0 <= amount <= _MOST):
        raise InvalidTerms(f"{name} must be a whole number from 0 on, or null for unlimited")
    return amount


def check_scope(scope: str) -> str:
    """``scope`` if a plan or staff may limit it: ``*``, a model id or ``class:x``."""
    if not scope or len(scope) > 200 or scope.startswith(OF_CALLER) or scope.isspace():
        raise InvalidTerms("a limit is on *, on a model or on class:x")
    return scope


def check_limits(limits: Sequence[Limit]) -> list[dict[str, Any]]:
    """The limits as an allowance keeps them; InvalidTerms for an unknown field, unit or amount, or a repetition."""
    if not isinstance(limits, list | tuple):
        raise InvalidTerms("limits must be a list")
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for limit in limits:
        if not isinstance(limit, Mapping) or set(limit) != {"scope", "unit", "limit"}:
            raise InvalidTerms("each limit has exactly scope, unit and limit")
        if limit["unit"] not in UNITS:
            raise InvalidTerms(f"the unit of a limit is {' or '.join(UNITS)}")
        if not isinstance(limit["scope"], str):
            raise InvalidTerms("the scope of a limit is a text")
        key = (check_scope(limit["scope"]), limit["unit"])
        if key in found:
            raise InvalidTerms(f"{key[0]} has two limits in {key[1]}")
        amount = check_amount(f"the limit of {key[0]}", limit["limit"])
        found[key] = {"scope": key[0], "unit": key[1], "limit": amount}
    return list(found.values())


def check_rates(rates: Mapping[str, int | None]) -> dict[str, int | None]:
    """The rates by name; InvalidTerms for an unknown name or a value that is not a whole number or None."""
    unknown = set(rates) - set(RATES)
    if unknown:
        raise InvalidTerms(f"unknown rate: {', '.join(sorted(unknown))}")
    for name, value in rates.items():
        if check_amount(name, value) is not None and value > 2**31 - 1:  # type: ignore[operator]
            raise InvalidTerms(f"{name} is too large")
    return dict(rates)


def check_patterns(patterns: Sequence[str]) -> list[str]:
    """The model patterns; InvalidTerms when one is empty or no text."""
    if isinstance(patterns, str) or any(not isinstance(each, str) or not each.strip() for each in patterns):
        raise InvalidTerms("model patterns are a list of texts such as * or openai/*")
    return [each.strip() for each in patterns]


def _check_until(until: datetime | None, at: datetime) -> None:
    if until is not None and until <= at:
        raise InvalidTerms("the end lies in the past or before the beginning")


def assign(
    user_id: UUID,
    plan: str,
    limits: Sequence[Limit],
    rates: Mapping[str, int | None],
    patterns: Sequence[str],
    source: str,
    anchor: datetime | None = None,
    until: datetime | None = None,
    starts: datetime | None = None,
) -> Allowance:
    """Give the account this allowance from ``starts`` (now) until ``until`` if given; then the one before holds again.

    ``rates`` that are left out are unlimited. What was used in the current period stays used. With
    ``anchor`` periods are counted from there, so a new one begins; without, the account's stay. Only an
    allowance that begins now may move the anchor.
    """
    book = Book.open([user_id])
    at = book.at
    begins = at if starts is None else max(starts, at)
    _check_until(until, begins)
    if anchor is not None and begins > at:
        raise InvalidTerms("an allowance to come can't move the account's periods")
    allowance = Allowance.objects.create(
        user_id=user_id,
        plan=plan,
        limits=check_limits(limits),
        model_patterns=check_patterns(patterns),
        anchor=anchor,
        starts_at=begins,
        until=until,
        source=source,
        **(dict.fromkeys(RATES) | check_rates(rates)),
    )
    if anchor is not None:
        QuotaAccount.objects.filter(user_id=user_id).update(anchor=anchor)
        book = Book.open([user_id], at=at)
    _follow(book, user_id, f"allowance:{allowance.id}")
    return allowance


def end(user_id: UUID, source: str) -> int:
    """End now what the account was given from ``source``, and what is still to begin; how many there were.

    What was used stays used, and what was given before holds again.
    """
    book = Book.open([user_id])
    lasts = Q(until=None) | Q(until__gt=book.at) & Q(until__gt=F("starts_at"))
    given = Allowance.objects.filter(lasts, user_id=user_id, source=source)
    ended = given.filter(starts_at__lte=book.at).update(until=book.at)
    ended += given.filter(starts_at__gt=book.at).update(until=F("starts_at"))
    if ended:
        _follow(book, user_id, f"ended:{source}")
    return ended


def lock(user_id: UUID) -> None:
    """Until the transaction ends nobody else admits, settles or gives on the account: what is read stays."""
    holding.lock_accounts([user_id])


def anchor_of(user_id: UUID) -> datetime:
    """From when on the account's periods are counted."""
    anchor: datetime = holding.read_accounts(user_id)[0]["anchor"]
    return anchor


def count_from(user_id: UUID, anchor: datetime, source: str) -> None:
    """Count the account's periods from ``anchor`` again: what was used in the one that runs then is still used."""
    at = Book.open([user_id]).at
    QuotaAccount.objects.filter(user_id=user_id).update(anchor=anchor)
    _follow(Book.open([user_id], at=at), user_id, f"anchor:{source}")


def set_default(
    plan: str, limits: Sequence[Limit], rates: Mapping[str, int | None], patterns: Sequence[str], source: str
) -> Allowance:
    """Replace, from now on, what accounts without an allowance of their own may."""
    return Allowance.objects.create(
        user=None,
        plan=plan,
        limits=check_limits(limits),
        model_patterns=check_patterns(patterns),
        starts_at=now(),
        source=source,
        **(dict.fromkeys(RATES) | check_rates(rates)),
    )


def set_limit(
    user_id: UUID,
    scope: str,
    limits: Mapping[str, int | None],
    reason: str,
    actor: str,
    until: datetime | None = None,
    starts: datetime | None = None,
) -> list[Override]:
    """Set the period's limits of ``scope`` by unit (None: unlimited), in place of earlier overrides of them.

    It is the limit, not an addition: what was used in the period counts. A token limit lifts the
    dollar ceiling of the scope unless one is given with it. It holds from ``starts`` (now) until
    ``until``; one that starts later leaves those before it as they are until then. The person sees
    the reason and the dates.
    """
    book = Book.open([user_id])
    at = book.at
    begins = at if starts is None else max(starts, at)
    check_scope(scope)
    _check_until(until, begins)
    for unit, limit in limits.items():
        if unit not in UNITS:
            raise InvalidTerms(f"the unit of a limit is {' or '.join(UNITS)}")
        check_amount(unit, limit)
    if not limits:
        raise InvalidTerms("no limit was given")
    ended = {*limits, NANO_USD} if TOKENS in limits else set(limits)
    if begins == at:
        earlier = _active(user_id, at).filter(kind="limit", scope=scope, unit__in=ended, starts_at__lte=at)
        earlier.update(ended_at=at)
    made = [
        Override.objects.create(
            user_id=user_id,
            kind="limit",
            scope=scope,
            unit=unit,
            limit=limit,
            starts_at=begins,
            until=until,
            reason=reason,
            actor=actor,
        )
        for unit, limit in limits.items()
    ]
    _follow(book, user_id, f"override:{made[0].id}")
    return made


def set_rates(
    user_id: UUID, rates: Mapping[str, int | None], reason: str, actor: str, until: datetime | None = None
) -> Override:
    """Set some of the account's rates (None: unlimited); those not named keep the override that they have."""
    book = Book.open([user_id])
    at = book.at
    _check_until(until, at)
    if not rates:
        raise InvalidTerms("no rate was given")
    values = check_rates(rates)
    if until is None:
        lasting = _active(user_id, at).filter(kind="rates", until=None).order_by("starts_at", "id")
        kept: dict[str, int | None] = {}
        for override in lasting:
            kept |= override.values
        values = kept | values
        lasting.update(ended_at=at)
    made = Override.objects.create(
        user_id=user_id, kind="rates", values=values, starts_at=at, until=until, reason=reason, actor=actor
    )
    _follow(book, user_id, f"override:{made.id}")
    return made


def end_override(override: Override) -> None:
    """End an override now; the account's allowance holds again."""
    book = Book.open([override.user_id])
    Override.objects.filter(pk=override.pk, ended_at=None).update(ended_at=book.at)
    _follow(book, override.user_id, f"override:{override.id}")


def _active(user_id: UUID, at: datetime) -> Any:
    running = Q(until=None) | Q(until__gt=at)
    return Override.objects.filter(running, user_id=user_id, ended_at=None)


def in_force(user_id: UUID, at: datetime) -> list[Override]:
    """The overrides that hold at ``at``, those that win over others last."""
    return list(_active(user_id, at).filter(starts_at__lte=at).order_by("starts_at", "id"))


def lasting(user_id: UUID) -> list[Override]:
    """The overrides that hold now or are to come, in the order in which they begin."""
    return list(_active(user_id, now()).order_by("starts_at", "id"))


def policy_from_tables(user_id: UUID, at: datetime) -> dict[str, Any]:
    """The policy as the tables say it: what is in force at ``at`` or comes later, in order of its start."""
    running = Q(until=None) | Q(until__gt=at)
    allowances = list(
        Allowance.objects.filter(running, user_id=user_id).order_by("starts_at", "id").values(*holding.ALLOWANCE)
    )
    # Once an allowance without an end has begun, those before it never hold again.
    lasting = [index for index, row in enumerate(allowances) if row["until"] is None and row["starts_at"] <= at]
    return {
        "allowances": [holding.allowance_json(row) for row in allowances[lasting[-1] if lasting else 0 :]],
        "overrides": [
            {
                "kind": row.kind,
                "scope": row.scope,
                "unit": row.unit,
                "limit": row.limit,
                "values": row.values,
                "starts": micros(row.starts_at),
                "until": None if row.until is None else micros(row.until),
            }
            for row in _active(user_id, at).order_by("starts_at", "id")
        ],
        **_place(user_id),
    }


def _place(user_id: UUID) -> dict[str, Any]:
    """The team that somebody is in, with their caps, as a policy has it."""
    place = Membership.objects.filter(user_id=user_id, team__state=Team.State.ACTIVE).first()
    if place is None:
        return {}
    return {"team": {"id": str(place.team_id), TOKENS: place.cap_tokens, NANO_USD: place.cap_nano_usd}}


def follow_membership(user_id: UUID) -> None:
    """Have the account's next call know the team that the person is in now, or none; runs in that change's transaction.

    Locks the account alone: whoever has a team's account in hand may wait for its rows.
    """
    (account,) = holding.lock_accounts([user_id])
    before = account["policy"] or {"allowances": [], "overrides": []}
    policy = {name: before[name] for name in ("allowances", "overrides")} | _place(user_id)
    rows.update(QuotaAccount, [{"user_id": user_id, "policy": policy}])


def _follow(book: Book, user_id: UUID, source_key: str) -> None:
    """Rewrite the account's policy and bring its counters to it; closes ``book``."""
    policy = policy_from_tables(user_id, book.at)
    rows.update(QuotaAccount, [{"user_id": user_id, "policy": policy}])
    terms = holding.terms_for(user_id, policy, holding.default_allowance(book.at), book.at)
    book.adjust_limits(user_id, terms, source_key)
    book.close()
