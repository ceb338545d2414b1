"""A process of its own that rushes at one database: ``python -m tests.quotas.rush TASK JSON``.

It waits for a line on stdin, so that several start together, works with threads, and prints its
result as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import django

django.setup()

from django.db import OperationalError, connection, transaction  # noqa: E402

from accounts import team_invitations, teams  # noqa: E402
from accounts.models import Membership, Team, User  # noqa: E402
from oneai.kit.clock import now  # noqa: E402
from oneai.kit.errors import Refusal  # noqa: E402
from quotas import allowances, grants  # noqa: E402
from quotas.ceiling import Contended  # noqa: E402
from quotas.ledger import Ask, Book, KeyLimits, claim_due  # noqa: E402
from quotas.models import LedgerEntry, QuotaCounter  # noqa: E402
from quotas.policy import RATES  # noqa: E402
from tests.quotas.using import Purse, charge  # noqa: E402


def _purse(text: str) -> Purse:
    return Purse(User.objects.get(pk=UUID(text)))


def _again(work: Callable[[], Any]) -> Any:
    """Run a transaction as the product's batcher does: again when it was contended."""
    for _ in range(20):
        try:
            with transaction.atomic(durable=True):
                return work()
        except Contended:
            continue
    raise OperationalError("contended twenty times")


def admit(task: dict[str, Any]) -> list[str]:
    """Ask ``times`` times, one transaction each; the code of each outcome."""
    purses = [_purse(text) for text in task["accounts"]]
    outcomes = []
    for index in range(task["times"]):
        purse = purses[index % len(purses)]

        def one(purse: Purse = purse) -> str:
            book = Book.open([purse.id])
            try:
                book.admit(purse.ask(bound=task["bound"], cap=task["cap"]))
            except Refusal as refusal:
                return refusal.code
            book.close()
            return "admitted"

        outcomes.append(_again(one))
    return outcomes


def crowd(task: dict[str, Any]) -> list[str]:
    """Ask with model and key by turns, end some of what was held at its full size; what each ask came to.

    A refusal is ``false`` when what it says was left would have covered the call.
    """
    (purse,) = (_purse(text) for text in task["accounts"])
    key = KeyLimits(UUID(task["key"]), limit_tokens=task["key_tokens"])
    need = task["bound"] + task["cap"]
    outcomes: list[str] = []
    for turn in range(task["times"]):
        number = task["number"] + turn
        ask = purse.ask(
            bound=task["bound"],
            cap=task["cap"],
            model_id=("maker/first", "maker/second")[number % 2],
            api_key=key if number % 3 else None,
        )

        def one(ask: Ask = ask) -> tuple[str, UUID | None]:
            book = Book.open([purse.id])
            try:
                hold_id = book.admit(ask).hold_id
            except Refusal as refusal:
                limit = (refusal.details or {}).get("limit")
                told_true = limit is not None and limit["remaining"] < need
                return (f"{refusal.code} {limit['scope']}" if told_true and limit else f"false {refusal.code}"), None
            book.close()
            return "admitted", hold_id

        def end(hold_id: UUID) -> bool:
            book = Book.open([purse.id], [hold_id])
            done = book.settle(hold_id, charge(need, task["cost"]))
            book.close()
            return done

        said, held = _again(one)
        outcomes.append(said)
        if held is not None and turn % 2:
            assert _again(lambda hold_id=held: end(hold_id))
    return outcomes


def batches(task: dict[str, Any]) -> list[str]:
    """Batches over all accounts: settle what the batch before held, then ask for each."""
    purses = [_purse(text) for text in task["accounts"]]
    outcomes: list[str] = []
    held: list[UUID] = []
    for _ in range(task["times"]):

        def one(held: list[UUID] = held) -> tuple[list[str], list[UUID]]:
            codes, made = [], []
            book = Book.open([purse.id for purse in purses], held)
            for hold_id in held:
                book.settle(hold_id, charge(10, task["cost"]))
            for purse in purses:
                try:
                    made.append(book.admit(purse.ask(bound=task["bound"], cap=task["cap"])).hold_id)
                except Refusal as refusal:
                    codes.append(refusal.code)
                else:
                    codes.append("admitted")
            book.close()
            return codes, made

        codes, held = _again(one)
        outcomes += codes
    return outcomes


def claim(task: dict[str, Any]) -> list[str]:
    """Claim due holds until there are none."""
    found: list[str] = []
    at = datetime.fromisoformat(task["at"])
    while claimed := claim_due(at, 3, timedelta(seconds=30)):
        found += [str(hold.id) for hold in claimed]
    return found


def people(task: dict[str, Any]) -> list[str]:
    """New people without rates and with ``tokens`` to use, maybe with limits on models and a top-up; their ids."""
    made = []
    for number, name in enumerate(task["names"]):
        begun = datetime.fromisoformat(task["signed_up"][number]).astimezone(UTC) if "signed_up" in task else now()
        user = User.objects.create_user(f"{name}@example.com", created_at=begun)
        with transaction.atomic():
            for model, tokens in task.get("models", {}).items():
                allowances.set_limit(user.pk, model, {"tokens": tokens}, "a rush", "test")
            if "top_up" in task:
                grants.grant(user.pk, "admin:rush", {"tokens": task["top_up"]})
            allowances.set_rates(user.pk, dict.fromkeys(RATES), "a rush", "test")
            allowances.set_limit(user.pk, "*", {"tokens": task["tokens"]}, "a rush", "test")
        made.append(str(user.pk))
    return made


def team(task: dict[str, Any]) -> list[str]:
    """A team with ``tokens`` and these people in it, half of them with a cap of ``cap``; its id."""
    (owner, *members) = User.objects.filter(pk__in=task["accounts"]).order_by("pk")
    made = teams.create_team(owner, "A rush", len(members) + 1)
    for number, user in enumerate(members):
        cap = task["cap"] if number % 2 else None
        Membership.objects.create(team=made, user=user, cap_tokens=cap)
        with transaction.atomic():
            allowances.follow_membership(user.pk)
    with transaction.atomic():
        limits = [{"scope": "*", "unit": "tokens", "limit": task["tokens"]}]
        allowances.assign(made.pk, "team", limits, {}, ["*"], "a rush")
    return [str(made.pk)]


def leave_and_join(task: dict[str, Any]) -> list[str]:
    """Out of the team and back again, by turns, while others ask."""
    made = Team.objects.get(pk=task["team"])
    for _ in range(task["times"]):
        for text in task["accounts"]:
            user_id = UUID(text)
            with transaction.atomic():
                teams.lock(made.pk)
                Membership.objects.filter(user_id=user_id).delete()
                teams.changed(user_id)
            with transaction.atomic():
                teams.lock(made.pk)
                Membership.objects.create(team=made, user_id=user_id)
                teams.changed(user_id)
    return ["left and joined"]


def seat(task: dict[str, Any]) -> list[str]:
    """Ask people into a team of few seats, all at once; the code of each outcome."""
    owner = Membership.objects.select_related("team", "user").get(team_id=task["team"], role="owner")
    outcomes = []
    for name in task["names"]:
        try:
            team_invitations.invite(owner, f"{name}@example.com")
            outcomes.append("invited")
        except Refusal as refusal:
            outcomes.append(refusal.code)
    return outcomes


def pay(task: dict[str, Any]) -> list[str]:
    """Top up for the same payments, and give them back, as the client's check and the webhook both do."""
    (purse,) = (_purse(text) for text in task["accounts"])
    outcomes = []
    for payment in task["payments"]:
        given = _again(lambda payment=payment: grants.grant(purse.id, f"pay:{payment}", {"tokens": 1000}))
        outcomes.append("given" if given.new else "known")
    for payment in task["payments"][::2]:
        back = _again(lambda payment=payment: grants.refund(f"pay:{payment}", f"rfnd:{payment}"))
        outcomes.append("back" if back.new else "known")
    return outcomes


def edges(task: dict[str, Any]) -> list[str]:
    """Each account a moment before its edge and at it: one call of ten tokens each."""
    outcomes = []
    for text, edge in zip(task["accounts"], task["edges"], strict=True):
        purse, moment = _purse(text), datetime.fromisoformat(edge).astimezone(UTC)
        for at in (moment - timedelta(microseconds=1), moment):

            def one(purse: Purse = purse, at: datetime = at) -> UUID:
                book = Book.open([purse.id], at=at)
                hold_id = book.admit(purse.ask(bound=100, cap=100)).hold_id
                book.close()
                return hold_id

            def end(hold_id: UUID, purse: Purse = purse, moment: datetime = moment) -> bool:
                book = Book.open([purse.id], [hold_id], moment)
                done = book.settle(hold_id, charge(10))
                book.close()
                return done

            held = _again(one)
            assert _again(lambda held=held, end=end: end(held))
            outcomes.append("settled")
    return outcomes


def periods(task: dict[str, Any]) -> list[str]:
    """The plan-wide token counters of each account in order, as one text."""
    found = []
    for text in task["accounts"]:
        counters = QuotaCounter.objects.filter(user_id=text, model_id="*", unit="tokens", tokens_used__gt=0)
        found.append(
            [
                {
                    "start": counter.period_start.isoformat(),
                    "end": counter.reset_at.isoformat(),
                    "used": counter.tokens_used,
                    "held": counter.held,
                    "grants": LedgerEntry.objects.filter(counter_id=counter.id, kind="grant").count(),
                }
                for counter in counters.order_by("period_start")
            ]
        )
    return [json.dumps(found)]


TASKS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "admit": admit,
    "leave_and_join": leave_and_join,
    "seat": seat,
    "team": team,
    "batches": batches,
    "crowd": crowd,
    "claim": claim,
    "edges": edges,
    "pay": pay,
    "periods": periods,
    "people": people,
}


def main() -> None:
    name, task = sys.argv[1], json.loads(sys.argv[2])
    results: list[str] = []
    failures: list[str] = []
    gate = threading.Barrier(task["threads"])

    def work() -> None:
        try:
            now()
            gate.wait()
            results.extend(TASKS[name](task))
        except BaseException as error:  # the parent shows it
            failures.append(repr(error))
        finally:
            connection.close()

    print("ready", flush=True)
    sys.stdin.readline()
    threads = [threading.Thread(target=work) for _ in range(task["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"results": results, "failures": failures}), flush=True)


if __name__ == "__main__":
    main()
