"""A process of its own that writes invoices: ``python -m tests.billing.rush JSON``, beside others at one database.

It waits for a line on stdin, so that several start together. ``make`` payments first; then for each payment of
``payments`` write its invoice, and for each of ``refunds`` its credit note; prints what it was given.
"""

from __future__ import annotations

import json
import random
import sys

import django

django.setup()

from billing import invoices  # noqa: E402
from billing.models import Payment, Refund  # noqa: E402
from tests.billing import paid  # noqa: E402


def main() -> None:
    task = json.loads(sys.argv[1])
    if "make" in task:
        paid.seller()
        people = [paid.person(state_code=state) for state in ("27", "29", "")]
        made = [paid.payment(people[at % 3], 10_000 + at) for at in range(task["make"])]
        print(
            json.dumps(
                [[str(one.pk) for one in made], [str(paid.refund(one, 5_000 + at).pk) for at, one in enumerate(made)]]
            )
        )
        return
    random.shuffle(task["payments"])
    random.shuffle(task["refunds"])
    print("ready", flush=True)
    sys.stdin.readline()
    numbers = [invoices.issue_for(Payment.objects.get(pk=one)).number for one in task["payments"]]
    for one in task["refunds"]:
        note = invoices.credit_note_for(Refund.objects.get(pk=one))
        assert note is not None
        numbers.append(note.number)
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
