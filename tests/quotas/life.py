"""A life of two accounts and their team at a clock of its own: every deed that moves the ledger, in plain numbers.

The state machine draws the numbers by hypothesis; ``tests.quotas.trace`` by a seed, to run one trace on
both databases. After each deed ``check`` says what does not hold.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from accounts import teams
from accounts.models import Membership, User
from oneai.kit.clock import period_edges, uuid7
from oneai.kit.errors import Refusal
from quotas import allowances, grants, invariants
from quotas.holding import OPEN
from quotas.ledger import Admitted, Ask, Book, KeyLimits, claim_due
from quotas.models import Allowance, Grant, Hold, QuotaAccount, QuotaCounter, UsageRecord
from quotas.policy import NANO_USD, OF_CALLER, PLAN_WIDE, RATES, TOKENS
from quotas.reading import standing
from tests.quotas.using import CHEAP, FREE, Purse, charge

MODELS = ("maker/small", "maker/large")
SCOPES = (PLAN_WIDE, *MODELS, "class:all")
BEGIN = datetime(2024, 1, 31, 9, 30, tzinfo=UTC)


@dataclass(slots=True)
class Call:
    """A call that was admitted."""

    who: int
    admitted: Admitted
    ask: Ask
    extensions: list[int] = field(default_factory=list)


class Life:
    """Everything that can happen to two accounts, and to the team that both may be in: it is number 2."""

    def __init__(self) -> None:
        self.at = BEGIN
        self.running: list[Call] = []
        self.ended: list[Call] = []
        self.settled: dict[Any, tuple[int, int]] = {}
        self.refusals: set[str] = set()
        self.payments: list[tuple[int, str]] = []
        self.purses = [Purse(User.objects.create_user(f"{uuid7()}@example.com", created_at=BEGIN)) for _ in range(2)]
        self.keys = [KeyLimits(uuid7(), limit_tokens=9000) for _ in self.purses]
        owner = User.objects.create_user(f"{uuid7()}@example.com", created_at=BEGIN)
        self.team = teams.create_team(owner, "Them", 3)
        User.objects.filter(pk=self.team.pk).update(created_at=BEGIN - timedelta(days=13, hours=5))
        self.purses.append(Purse(User.objects.get(pk=self.team.pk)))
        for purse in self.purses:
            with self.now():
                allowances.set_rates(purse.id, dict.fromkeys(RATES), "test", "test")

    @contextmanager
    def now(self) -> Iterator[None]:
        """Inside, books that are opened without a time open at this life's, in a transaction."""
        real, life = Book.open.__func__, self  # type: ignore[attr-defined]

        def opened(cls: Any, account_ids: Any, hold_ids: Any = (), at: Any = None) -> Book:
            book: Book = real(cls, account_ids, hold_ids, at or life.at)
            return book

        with mock.patch.object(Book, "open", classmethod(opened)), transaction.atomic():
            yield

    def remaining(self, who: int) -> dict[tuple[str, str], int | None]:
        return {(each.scope, each.unit): each.remaining for each in standing(self.purses[who].id, self.at).limits}

    # Calls ---------------------------------------------------------------------------------------
    def admit(self, who: int, model: int, bound: int, cap: int, free: bool, by_key: bool) -> Call | None:
        purse = self.purses[who]
        pays = self.pays(who)
        ask = purse.ask(
            bound=bound,
            cap=cap,
            model_id=MODELS[model],
            price=FREE if free else CHEAP,
            api_key=self.keys[who] if by_key else None,
            model_classes=("all",),
        )
        try:
            (admitted,) = purse.admit(ask, at=self.at)
        except Refusal as refusal:
            self.refused(refusal, pays)
            return None
        assert Hold.objects.get(pk=admitted.hold_id).team_id == pays
        call = Call(who, admitted, ask)
        self.running.append(call)
        return call

    def admit_side_by_side(self, who: int, bound: int, cap: int) -> None:
        """Both models in one turn: both are held for, or none is."""
        purse = self.purses[who]
        asks = [purse.ask(bound=bound, cap=cap, model_id=model, model_classes=("all",)) for model in MODELS]
        before = Hold.objects.count()
        try:
            with transaction.atomic():
                book = Book.open([purse.id], at=self.at)
                made = book.admit_all(asks)
                book.close()
        except Refusal as refusal:
            self.refused(refusal, self.pays(who))
            assert Hold.objects.count() == before
            return
        self.running += [Call(who, admitted, ask) for admitted, ask in zip(made, asks, strict=True)]

    def pays(self, who: int) -> UUID | None:
        """The team that pays for the next call."""
        seated = Membership.objects.filter(user_id=self.purses[who].id).exists()
        return self.team.pk if seated and self.team_has_plan() else None

    def team_has_plan(self) -> bool:
        ends = Q(until=None) | Q(until__gt=self.at)
        return Allowance.objects.filter(ends, user_id=self.team.pk, starts_at__lte=self.at).exists()

    def refused(self, refusal: Refusal, pays: UUID | None) -> None:
        """A refusal names whose limit it was, and whether members share it."""
        self.refusals.add(refusal.code)
        limit = (refusal.details or {})["limit"]
        if limit["scope"].startswith("key:"):
            return
        assert ("shared" in limit) == (pays is not None)
        assert limit["scope"] != PLAN_WIDE or pays is None
        if limit["scope"].startswith("team:"):
            assert limit["scope"] == f"team:{pays}"

    def _call(self, index: int) -> Call | None:
        return self.running[index % len(self.running)] if self.running else None

    def extend(self, index: int, tokens: int) -> None:
        """More for a running call; saying it again gives the same."""
        call = self._call(index)
        if call is None:
            return
        number = len(call.extensions) + 1
        purse = self.purses[call.who]
        granted = purse.extend(call.admitted, call.ask, tokens, number, self.at)
        assert 0 <= granted <= tokens
        assert purse.extend(call.admitted, call.ask, tokens + 1, number, self.at) == granted
        call.extensions.append(granted)

    def settle(self, index: int, used: int, nano: int) -> None:
        call = self._call(index)
        if call is None:
            return
        assert self.purses[call.who].settle(call.admitted, used, nano, at=self.at)
        self.settled[call.admitted.hold_id] = (used, nano)
        self._end(call)

    def settle_exactly(self, index: int) -> None:
        """All that was held is used, as by a model that goes to its cap."""
        call = self._call(index)
        if call is not None:
            hold = Hold.objects.get(pk=call.admitted.hold_id)
            self.settle(index, hold.tokens, hold.nano_usd)

    def stop(self, index: int, tenths: int) -> None:
        """The person stops it: a part is used."""
        call = self._call(index)
        if call is not None:
            self.settle(index, call.admitted.tokens * tenths // 10, call.admitted.nano_usd * tenths // 10)

    def fail(self, index: int) -> None:
        """No first token: all is given back."""
        call = self._call(index)
        if call is not None:
            assert self.purses[call.who].release(call.admitted, at=self.at)
            self._end(call)

    def settle_two_at_once(self, used: int) -> None:
        """Two ends in one book, of whichever accounts."""
        if len(self.running) < 2:
            return
        both = self.running[:2]
        with transaction.atomic():
            book = Book.open([purse.id for purse in self.purses[:2]], [call.admitted.hold_id for call in both], self.at)
            for call in both:
                assert book.settle(call.admitted.hold_id, charge(used, used))
                self.settled[call.admitted.hold_id] = (used, used)
            book.close()
        for call in both:
            self._end(call)

    def kill(self, index: int) -> None:
        """Its producer is gone."""
        call = self._call(index)
        if call is not None:
            assert self.purses[call.who].orphan(call.admitted, at=self.at)

    def sweep(self, used: int) -> None:
        """Whatever is due is claimed and settled by what was delivered, never above the hold."""
        mine = {call.admitted.hold_id: call for call in self.running}
        for due in claim_due(self.at, 100, timedelta(seconds=30)):
            call = mine.get(due.id)
            if call is None:
                continue
            charged = (min(used, due.tokens), min(used * 600, due.nano_usd))
            assert self.purses[call.who].settle(call.admitted, *charged, at=self.at)
            self.settled[due.id] = charged
            self._end(call)

    def end_again(self, index: int, used: int) -> None:
        """Whoever comes late changes nothing."""
        if not self.ended:
            return
        call = self.ended[index % len(self.ended)]
        purse = self.purses[call.who]
        assert not purse.settle(call.admitted, used, at=self.at)
        assert not purse.release(call.admitted, at=self.at)
        assert not purse.orphan(call.admitted, at=self.at)
        assert purse.extend(call.admitted, call.ask, 50, len(call.extensions) + 1, self.at) == 0

    def correct(self, index: int, used: int, nano: int) -> None:
        """The upstream says later what it really was; saying it again changes nothing."""
        charged = [call for call in self.ended if call.admitted.hold_id in self.settled]
        if not charged:
            return
        call = charged[index % len(charged)]
        purse, hold_id = self.purses[call.who], call.admitted.hold_id
        assert purse.correct(call.admitted, used, nano, at=self.at) == (self.settled[hold_id] != (used, nano))
        assert not purse.correct(call.admitted, used, nano, at=self.at)
        self.settled[hold_id] = (used, nano)

    def _end(self, call: Call) -> None:
        self.running.remove(call)
        self.ended.append(call)

    # The team ------------------------------------------------------------------------------------
    def join(self, who: int, cap: int | None) -> None:
        """Into the team, or another cap."""
        user_id = self.purses[who].id
        Membership.objects.update_or_create(user_id=user_id, defaults={"team": self.team, "cap_tokens": cap})
        allowances.follow_membership(user_id)

    def leave(self, who: int) -> None:
        """Out of the team; what runs goes on."""
        Membership.objects.filter(user_id=self.purses[who].id).delete()
        allowances.follow_membership(self.purses[who].id)

    def team_plan(self, limit: int | None, model_limit: int | None, days: int | None) -> None:
        self.change_plan(2, limit, model_limit, None if days is None else self.at + timedelta(days=days))

    # Limits, plans and money ---------------------------------------------------------------------
    def override(self, who: int, scope: int, limit: int | None, starts: int, days: int | None) -> None:
        begins = self.at + timedelta(days=starts)
        until = None if days is None else begins + timedelta(days=days)
        with self.now():
            allowances.set_limit(
                self.purses[who].id, SCOPES[scope], {TOKENS: limit}, "test", "test", until, begins if starts else None
            )

    def change_plan(self, who: int, limit: int | None, model_limit: int | None, until: datetime | None = None) -> None:
        limits = [{"scope": PLAN_WIDE, "unit": TOKENS, "limit": limit}]
        if model_limit is not None:
            limits.append({"scope": MODELS[0], "unit": TOKENS, "limit": model_limit})
        with self.now():
            allowances.assign(self.purses[who].id, "some", limits, {}, ["*"], "test", until=until)

    def renew(self, who: int) -> None:
        """A paid period begins now: a new anchor, and what was used stays with the period before."""
        with self.now():
            limits = [{"scope": PLAN_WIDE, "unit": TOKENS, "limit": 20_000}]
            allowances.assign(self.purses[who].id, "paid", limits, {}, ["*"], "test", anchor=self.at)

    def upgrade(self, who: int, tokens: int) -> None:
        """The difference to a larger plan, for the rest of the period, granted once whoever tries."""
        self._give(who, f"sub:{who}:{self.at.isoformat()}", {TOKENS: tokens, NANO_USD: tokens * 600}, month=True)

    def top_up(self, who: int, tokens: int, nano: int, days: int | None, scope: int) -> None:
        cause = f"pay:{uuid.uuid5(self.purses[who].id, str(len(self.payments)))}"
        self._give(who, cause, {TOKENS: tokens} | ({NANO_USD: nano} if nano else {}), days=days, scope=SCOPES[scope])
        self.payments.append((who, cause))

    def _give(
        self,
        who: int,
        cause: str,
        amounts: dict[str, int],
        days: int | None = None,
        scope: str = PLAN_WIDE,
        month: bool = False,
    ) -> None:
        purse = self.purses[who]
        before = self.remaining(who)
        until = None if days is None else self.at + timedelta(days=days)
        if month:
            until = standing(purse.id, self.at).period_end
        for _ in range(2):  # by the client's check and by the webhook
            with self.now():
                grants.grant(purse.id, cause, amounts, scope=scope, until=until)
        after = self.remaining(who)
        for key, had in before.items():
            have = after[key]
            assert have is None if had is None else have is not None and have >= had  # never lowers what remains

    def refund(self, index: int, part: int) -> None:
        if not self.payments:
            return
        _, cause = self.payments[index % len(self.payments)]
        name = f"{cause}:{Grant.objects.filter(kind='debt').count()}"
        with self.now():
            first = grants.refund(cause, name, part, 4)
        with self.now():
            assert not grants.refund(cause, name, part, 4).new
        for unit, taken in first.taken.items():
            row = Grant.objects.get(source_key=cause if unit == TOKENS else f"{cause}#{unit}")
            assert taken + first.owed[unit] <= (row.amount or 0)

    def forgive(self, who: int) -> None:
        with self.now():
            grants.forgive(self.purses[who].id, "test")
        assert "owed" not in str(standing(self.purses[who].id, self.at).grants)

    def time_passes(self, hours: int) -> None:
        self.at += timedelta(hours=hours)

    # What must hold ------------------------------------------------------------------------------
    def check(self) -> None:
        """Every invariant of the ledger, and that it says what was done."""
        ids = [purse.id for purse in self.purses]
        # This life's clock is not the check's: what runs looks left behind.
        assert [each for each in invariants.check(ids).differences if each.what != "hold.left_behind"] == []
        assert self.refusals <= {"quota_exceeded"}
        records = UsageRecord.objects.filter(user_id__in=ids)
        assert not records.filter(user_id=self.team.pk).exists()
        assert {record.hold_id: (record.tokens, record.nano_usd) for record in records} == self.settled
        for purse in self.purses:
            mine = [each for each in self.running if self.purses[each.who] is purse]
            account = QuotaAccount.objects.get(pk=purse.id)
            assert account.in_flight == len(mine) == Hold.objects.filter(user_id=purse.id, state__in=OPEN).count()
            for counter in QuotaCounter.objects.filter(user_id=purse.id):
                if not (self.running if purse.id == self.team.pk else mine):
                    assert counter.held == 0
                if account.anchor == BEGIN and purse.id != self.team.pk and not counter.model_id.startswith(OF_CALLER):
                    assert (counter.period_start, counter.reset_at) == period_edges(BEGIN, counter.period_start)
