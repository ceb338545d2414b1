"""`manage.py grant_tokens EMAIL --tokens N --reason TEXT`: a top-up by hand, beside the plan."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit
from adminpanel import actions
from adminpanel.management import amounts
from quotas.allowances import InvalidTerms
from quotas.policy import PLAN_WIDE


class Command(BaseCommand):
    help = (
        "Give a person tokens beside the plan: they are used once the plan's quota is, and outlast the period. "
        "Without --usd, dollars come with them as they do in the plan. The person sees the reason."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--tokens", required=True, metavar="N")
        parser.add_argument("--usd", metavar="N")
        parser.add_argument("--model", default=PLAN_WIDE, help="another limit to add to: a model's id or class:NAME")
        parser.add_argument("--until", metavar="DATE", help="what is left then is gone (UTC)")
        parser.add_argument("--id", metavar="NAME", help="a name for this gift: a second one with it gives nothing")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--json", action="store_true", help="print an object instead of a line")

    def handle(self, *args: Any, **options: Any) -> None:
        user = amounts.person(options["email"])
        tokens = amounts.amount("--tokens", options["tokens"])
        if not tokens:
            raise CommandError("--tokens must be a whole number from 1 on.")
        scope: str = options["model"].strip()
        nano = self._nano(options["usd"])
        until = amounts.end(options["until"])
        reason = amounts.reason(options["reason"])
        try:
            cause, given = actions.give_tokens(
                audit.command(),
                user,
                tokens,
                reason,
                nano_usd=nano,
                scope=scope,
                until=until,
                name=options["id"] or "",
            )
        except InvalidTerms as error:
            raise CommandError(f"The tokens can't be given: {error}.") from error
        if options["json"]:
            shown = {"user_id": str(user.pk), "email": user.email, "id": cause, "new": given.new}
            self.stdout.write(json.dumps(shown | {"amounts": dict(given.amounts)}))
        else:
            what = ", ".join(f"{amount} {unit}" for unit, amount in given.amounts.items())
            self.stdout.write(f"{user.email} {'has' if given.new else 'had'} {what} more ({cause})")

    @staticmethod
    def _nano(text: str | None) -> int | None:
        if text is None:
            return None
        nano = amounts.nano_usd("--usd", text)
        if nano is None:
            raise CommandError("--usd must be an amount in dollars.")
        return nano
