"""A process of its own that rushes at one database: ``python -m tests.quotas.rush TASK JSON``.

It waits for a line on stdin, so that several start together, works with threads, and prints its
result as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import django

django.setup()

from django.db import OperationalError, connection, transaction  # noqa: E402

from accounts.models import User  # noqa: E402
from oneai.kit.clock import now  # noqa: E402
from oneai.kit.errors import Refusal  # noqa: E402
from quotas import allowances  # noqa: E402
from quotas.ceiling import Contended  # noqa: E402
from quotas.ledger import Book, claim_due  # noqa: E402
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
    """New people without rates and with ``tokens`` to use; their ids."""
    made = []
    for name in task["names"]:
        user = User.objects.create_user(f"{name}@example.com")
        with transaction.atomic():
            allowances.set_rates(user.pk, dict.fromkeys(RATES), "a rush", "test")
            allowances.set_limit(user.pk, "*", {"tokens": task["tokens"]}, "a rush", "test")
        made.append(str(user.pk))
    return made


TASKS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "admit": admit,
    "batches": batches,
    "claim": claim,
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
