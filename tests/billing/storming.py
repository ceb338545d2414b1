"""A storm's other side: what is sold before it, in a shell of the site, and a worker that a test kills during it.

``python -m tests.billing.storming DAYS LEASE`` is the worker; its clock is ahead by DAYS, as Razorpay's is.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from typing import Any


def sell(people: int) -> str:
    """Give each of ``people`` a subscription and an order that wait to be paid: their ids at Razorpay, as JSON."""
    from accounts.models import User
    from billing import checkout, gateway, prices, topups
    from billing.once_keys import NOTHING
    from billing.standing import Holder

    list(prices.sync(gateway.razorpay()))
    sold = []
    for number in range(people):
        user = User.objects.create_user(f"storm-{number}@example.com", name="Asha")
        plan, interval = (("plus", "month"), ("pro", "month"), ("plus", "year"))[number % 3]
        row = checkout.subscribe(user, Holder(user.pk), plan, interval)
        order = topups.order(Holder(user.pk), "small", asked=NOTHING)
        sold.append((row.razorpay_subscription_id, order.razorpay_order_id))
    return json.dumps(sold)


def inbox() -> str:
    """How many events there are in each state, and how many attempts were made in all, as JSON."""
    from django.db.models import Count, Sum

    from billing.models import WebhookEvent

    states = dict(WebhookEvent.objects.values_list("state").annotate(Count("id")))
    attempts = WebhookEvent.objects.aggregate(all=Sum("attempts"))["all"] or 0
    return json.dumps({"states": states, "attempts": attempts})


def compare(days: int) -> str:
    """Write the invoices that are still missing; what of the books disagrees, as JSON."""
    from billing import invoices
    from oneai.kit import clock
    from tests.billing import books

    with clock.travel(timedelta(days=days)):
        invoices.issue_missing(most=10**6, since=timedelta(days=400))
        return json.dumps(books.disagreements())


def main(days: str, lease_seconds: str) -> None:
    import django

    django.setup()

    from django.db import connection

    from billing import handling, invoices, reconciling
    from oneai.kit import clock

    # What stands for minutes and hours in production passes within a test.
    handling.LEASE = timedelta(seconds=float(lease_seconds))  # type: ignore[misc]
    handling.FIRST_WAIT = handling.LONGEST_WAIT = timedelta(seconds=0.5)  # type: ignore[misc]
    duties: tuple[Any, ...] = (
        lambda: handling.handle_due(10),
        reconciling.send_due,
        lambda: invoices.issue_missing(since=timedelta(days=400)),
    )
    with clock.travel(timedelta(days=int(days))):
        connection.ensure_connection()
        print("serving", flush=True)
        while True:
            for duty in duties:
                try:
                    duty()
                except Exception as error:  # what the real worker does: note it and go on
                    print(f"round failed: {error!r}", flush=True)
                    connection.close()
            time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
