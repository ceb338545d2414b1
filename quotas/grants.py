"""Top-ups: given once for a cause, used once the plan's quota is, taken back when their payment is.

Whoever calls opens the transaction. Each function may be called again for the same cause, by any
process at any time: the account's lock and the unique ``source_key`` let the first one win.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from oneai.kit.clock import uuid7
from quotas import holding
from quotas.allowances import InvalidTerms, check_amount, check_scope
from quotas.book import Book
from quotas.models import Grant
from quotas.pockets import DEBT, EXTRA, GrantState
from quotas.policy import NANO_USD, PLAN_WIDE, TOKENS, UNITS, Terms
from quotas.refusals import named

CAUSES: Final = ("sub:", "pay:", "admin:")
"""What a top-up may come from: a subscription's period, a payment, a member of staff."""
LONGEST_KEY: Final = 160


@dataclass(frozen=True, slots=True)
class Given:
    """The top-ups of one cause, by unit. ``new``: they were given by this call."""

    new: bool
    amounts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What one refund took back of a cause's top-ups, and what is owed for the part that was used, by unit."""

    new: bool
    taken: Mapping[str, int]
    owed: Mapping[str, int]


def _row_key(cause: str, unit: str) -> str:
    return cause if unit == TOKENS else f"{cause}#{unit}"


def _rows(cause: str) -> list[Grant]:
    found = Grant.objects.filter(source_key__in=[_row_key(cause, unit) for unit in UNITS])
    return sorted(found, key=lambda row: UNITS.index(row.unit))


def _amounts(found: Iterable[Grant]) -> dict[str, int]:
    return {row.unit: row.amount for row in found if row.amount is not None}


def _check_cause(source_key: str) -> None:
    if not source_key.startswith(CAUSES) or len(source_key) > LONGEST_KEY or source_key in CAUSES:
        raise InvalidTerms(f"the cause of a top-up begins with {', '.join(CAUSES)} and names it")


def grant(
    user_id: UUID,
    source_key: str,
    amounts: Mapping[str, int],
    *,
    scope: str = PLAN_WIDE,
    priority: int = 0,
    starts: datetime | None = None,
    until: datetime | None = None,
    note: str = "",
) -> Given:
    """Give ``amounts`` (tokens, nano-USD) beside the plan, from ``starts`` (now) until ``until`` (for ever).

    ``source_key`` names the cause: ``pay:{payment_id}``, ``sub:{id}:{period_start}``, ``admin:{id}``; a
    second call with it gives nothing and says what the first gave. Of several top-ups the lower
    ``priority`` is used first, then the one that ends first. What the account owes is made good at once.
    ``note`` is shown to the person. InvalidTerms for amounts, dates or a cause that can't be kept, and
    for a cause that is another account's.
    """
    _check_cause(source_key)
    check_scope(scope)
    wanted = {unit: amounts[unit] for unit in UNITS if unit in amounts}
    if not wanted or set(amounts) - set(UNITS):
        raise InvalidTerms(f"a top-up has an amount of {' or '.join(UNITS)}")
    for unit, amount in wanted.items():
        if not check_amount(unit, amount):
            raise InvalidTerms(f"{unit} of a top-up is a whole number from 1 on")
    book = Book.open([user_id])
    try:
        account = book.account(user_id)
    except KeyError as error:
        raise InvalidTerms("there is no such account") from error
    at = book.at
    known = _rows(source_key)
    if known:
        if any(row.user_id != user_id for row in known):
            raise InvalidTerms("this cause has topped up another account")
        return Given(False, _amounts(known))
    begins = starts or at
    if until is not None and until <= max(at, begins):
        raise InvalidTerms("the end lies in the past or before the beginning")
    for unit, amount in wanted.items():
        made = _state(user_id, _row_key(source_key, unit), EXTRA, scope, unit, amount, at)
        made.priority, made.valid_from, made.valid_until, made.note = priority, begins, until, note
        book.moves.give(account, made, valid=made.is_valid(at))
    book.close()
    return Given(True, wanted)


def refund(source_key: str, refund_key: str, refunded: int = 1, paid: int = 1) -> TakenBack:
    """Take back what the payment behind ``source_key`` gave: ``refunded`` of the ``paid`` money, in its units.

    What is unspent is taken back; for the rest a debt stands that nothing can be used against, until the
    next period's quota or another top-up has made it good or staff have let it be (``forgive``). Parts of
    a token are the person's. ``refund_key`` names this refund: a repetition changes nothing. InvalidTerms
    when there is no such top-up, or the money does not fit.
    """
    if not 0 < refunded <= paid:
        raise InvalidTerms("a refund is of more than nothing and of no more than was paid")
    if not refund_key or len(refund_key) > LONGEST_KEY:
        raise InvalidTerms("a refund has a key of its own")
    owner = Grant.objects.filter(source_key__in=[_row_key(source_key, unit) for unit in UNITS], kind=EXTRA).first()
    if owner is None:
        raise InvalidTerms("no top-up has this cause")
    user_id = owner.user_id
    book = Book.open([user_id])
    account = book.account(user_id)
    cause = f"refund:{refund_key}"
    known = _rows(cause)
    if known:
        if any(row.parent is None or row.parent.source_key not in keys_of(source_key) for row in known):
            raise InvalidTerms("this refund was of another payment")
        return TakenBack(False, {}, _amounts(known))
    taken: dict[str, int] = {}
    owed: dict[str, int] = {}
    for row in _rows(source_key):
        # The book has read it when there is something left of it.
        given = book.moves.grants.get(row.id) or holding.read_grants([], [str(row.id)], book.at)[0]
        book.moves.grants[given.id] = given
        before = sum(debt.amount or 0 for debt in Grant.objects.filter(parent_id=row.id))
        asked = min(given.amount * refunded // paid, given.amount - given.refunded - before)
        taken[row.unit] = min(asked, given.left)
        owed[row.unit] = asked - taken[row.unit]
        debt = _state(user_id, _row_key(cause, row.unit), DEBT, row.scope, row.unit, owed[row.unit], book.at)
        debt.parent_id = row.id
        book.moves.take_back(account, given, taken[row.unit], debt)
    book.close()
    return TakenBack(True, taken, owed)


def forgive(user_id: UUID, by: str) -> dict[str, int]:
    """Let all debts of an account be, in the name of ``by``; what was owed, by unit. The caller records why."""
    book = Book.open([user_id])
    account = book.account(user_id)
    found: dict[str, int] = {}
    for debt in account.grants:
        if debt.kind == DEBT:
            found[debt.unit] = found.get(debt.unit, 0) + book.moves.forgive(account, debt, by)
    book.close()
    return found


def in_proportion(terms: Terms, tokens: int) -> int | None:
    """The nano-USD that go with ``tokens`` of a top-up as they do in the plan; None when the plan bounds none."""
    plan_tokens, plan_nano = terms.limits.get((PLAN_WIDE, TOKENS)), terms.limits.get((PLAN_WIDE, NANO_USD))
    if not plan_tokens or not plan_nano:
        return None
    return -(-tokens * plan_nano // plan_tokens)


def as_json(grant_: GrantState, team: str = "") -> dict[str, Any]:
    """A top-up as ``GET /api/user/quota`` shows it; ``team``: whose it is."""
    return {
        "id": str(grant_.id),
        "cause": grant_.source_key.partition(":")[0],
        "scope": named(grant_.scope, team),
        "unit": grant_.unit,
        "amount": grant_.limit,
        "used": grant_.consumed,
        "held": grant_.held,
        "remaining": grant_.left,
        "starts_at": _text(grant_.valid_from),
        "expires_at": None if grant_.valid_until is None else _text(grant_.valid_until),
        "note": grant_.note,
    }


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def keys_of(cause: str) -> list[str]:
    """The keys of the rows that a cause may have topped up by."""
    return [_row_key(cause, unit) for unit in UNITS]


def _state(user_id: UUID, key: str, kind: str, scope: str, unit: str, amount: int, at: datetime) -> GrantState:
    return GrantState(
        id=uuid7(),
        user_id=user_id,
        source_key=key,
        kind=kind,
        parent_id=None,
        scope=scope,
        unit=unit,
        amount=amount,
        consumed=0,
        held=0,
        refunded=0,
        priority=0,
        valid_from=at,
        valid_until=None,
        created_at=at,
    )
