"""A worker of the inbox that credits payments slowly, as a process that a test kills: `python -m … USER LEASE`.

Its effect is the ledger's own top-up, keyed by the payment; before and after it there is time to die.
"""

from __future__ import annotations

import os
import random
import sys
import time
from datetime import timedelta


def main(user_id: str, lease_seconds: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oneai.settings")
    import django

    django.setup()
    from uuid import UUID

    from django.db import connection, transaction

    from billing import dispatch, handling
    from quotas import grants

    handling.LEASE = timedelta(seconds=float(lease_seconds))  # type: ignore[misc]

    def credit(payment_id: str) -> None:
        time.sleep(random.random() * 0.1)
        with transaction.atomic():
            grants.grant(UUID(user_id), f"pay:{payment_id}", {"tokens": 100})
        time.sleep(random.random() * 0.1)

    dispatch.connect(payment=credit)
    connection.ensure_connection()
    print("serving", flush=True)
    while True:
        try:
            handling.handle_due(10)
        except Exception as error:  # what the real worker does: note it and go on
            print(f"round failed: {error!r}", flush=True)
            connection.close()
        time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
