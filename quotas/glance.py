"""A glance at the ledger: whether the keys of the settings verify what is stored, told from a few entries."""

from __future__ import annotations

from typing import Final

from quotas import audit, chain
from quotas.models import LedgerEntry, QuotaAccount

ACCOUNTS: Final = 5


def look() -> tuple[int, int]:
    """How many entries were looked at, and how many of them no key verifies.

    The first and the last of the oldest and of the newest accounts: after a change of SECRET_KEY these differ.
    """
    accounts = QuotaAccount.objects.filter(entry_seq__gt=0)
    some = {*accounts.order_by("pk")[:ACCOUNTS], *accounts.order_by("-pk")[:ACCOUNTS]}
    keys = chain.accepted_keys()
    looked = unverified = 0
    for account in some:
        last = account.entry_seq
        near = {1, last - 1, last}
        entries = {entry.seq: entry for entry in LedgerEntry.objects.filter(user_id=account.pk, seq__in=near)}
        for seq in sorted({1, last} & entries.keys()):
            if seq > 1 and seq - 1 not in entries:
                continue  # a gap, which the audit tells
            before = entries[seq - 1].mac if seq > 1 else ""
            looked += 1
            unverified += entries[seq].mac not in audit.macs(entries[seq], before, keys)
    return looked, unverified
