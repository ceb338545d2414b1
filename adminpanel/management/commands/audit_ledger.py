"""`manage.py audit_ledger [EMAIL]`: replays the ledger against the counters; exit status 1 when they differ."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts import audit as record
from adminpanel.management import amounts
from quotas import audit, invariants
from quotas.audit import Difference


class Command(BaseCommand):
    help = "Check every invariant of the ledger of one person, or of all: replayed against counters, holds and usage."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", nargs="?")
        parser.add_argument("--json", action="store_true", help="print an object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        email: str | None = options["email"]
        ids = iter([amounts.person(email).pk]) if email else audit.accounts()
        checked = 0
        found: list[Difference] = []
        for user_id in ids:
            checked += 1
            found += invariants.check_account(user_id)
        if not email:
            found += audit.replay_platform()
        record.record(
            record.command_actor(),
            "ledger.audited",
            subject_id=found[0].account_id if email and found else None,
            target=email or "*",
            details={"accounts": checked, "differences": len(found)},
        )
        if options["json"]:
            rows = [invariants.as_json(difference) for difference in found]
            self.stdout.write(json.dumps({"accounts": checked, "differences": rows}))
        else:
            for line in self._lines(found, checked):
                self.stdout.write(line)
        if found:
            sys.exit(1)

    @staticmethod
    def _lines(found: list[Difference], checked: int) -> Iterator[str]:
        for each in found:
            who = each.account_id or "platform"
            what = f"{invariants.broken_by(each)}  {each.what}  {each.row}"
            yield f"{who}  {what}: stored {each.stored}, replayed {each.replayed}"
        yield f"{checked} accounts, {len(found)} differences"
