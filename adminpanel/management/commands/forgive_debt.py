"""`manage.py forgive_debt EMAIL --reason TEXT`: lets be what was used of top-ups whose payment went back."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from accounts import audit
from adminpanel.management import amounts
from quotas import grants


class Command(BaseCommand):
    help = "Forgive what a person owes after refunds of top-ups that were used already."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--json", action="store_true", help="print an object instead of a line")

    def handle(self, *args: Any, **options: Any) -> None:
        user = amounts.person(options["email"])
        reason = amounts.reason(options["reason"])
        actor = audit.command_actor()
        with transaction.atomic():
            forgiven = grants.forgive(user.pk, actor)
            if forgiven:
                audit.record(actor, "quota.forgiven", user.pk, reason=reason, details={"amounts": forgiven})
        if options["json"]:
            self.stdout.write(json.dumps({"user_id": str(user.pk), "email": user.email, "forgiven": forgiven}))
        else:
            what = ", ".join(f"{amount} {unit}" for unit, amount in forgiven.items()) or "nothing was owed"
            self.stdout.write(f"{user.email}: {what}")
