"""`manage.py set_rates EMAIL --rpm N --tpm N --concurrent N --reason TEXT`: rates for one person."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit
from adminpanel import actions
from adminpanel.management import amounts
from quotas.allowances import InvalidTerms
from quotas.policy import RATES
from quotas.reading import standing

OPTIONS = {"rpm": "requests_per_minute", "tpm": "tokens_per_minute", "concurrent": "concurrent_generations"}


class Command(BaseCommand):
    help = "Set a person's rates; those not named stay as they are."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--rpm", metavar="N|unlimited", help="requests a minute")
        parser.add_argument("--tpm", metavar="N|unlimited", help="tokens a minute")
        parser.add_argument("--concurrent", metavar="N|unlimited", help="answers at once")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--json", action="store_true", help="print the rates as an object")

    def handle(self, *args: Any, **options: Any) -> None:
        user = amounts.person(options["email"])
        rates = {
            name: amounts.amount(f"--{option}", options[option])
            for option, name in OPTIONS.items()
            if options[option] is not None
        }
        if not rates:
            raise CommandError("Give at least one of --rpm, --tpm and --concurrent.")
        reason = amounts.reason(options["reason"])
        try:
            actions.set_rates(audit.command(), user, rates, reason)
        except InvalidTerms as error:
            raise CommandError(f"The rates can't be set: {error}.") from error
        terms = standing(user.pk).terms
        now = {name: getattr(terms, name) for name in RATES}
        if options["json"]:
            self.stdout.write(json.dumps({"user_id": str(user.pk), "email": user.email, "rates": now}))
        else:
            shown = ", ".join(f"{name} {amounts.UNLIMITED if now[name] is None else now[name]}" for name in RATES)
            self.stdout.write(f"{user.email}: {shown}")
