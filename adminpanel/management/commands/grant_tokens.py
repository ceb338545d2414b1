"""`manage.py grant_tokens EMAIL --tokens N --reason TEXT`: a top-up by hand, beside the plan."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts import audit
from adminpanel.management import amounts
from oneai.kit.clock import uuid7
from quotas import grants
from quotas.allowances import InvalidTerms
from quotas.policy import NANO_USD, PLAN_WIDE, TOKENS
from quotas.reading import standing


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
        wanted = {TOKENS: tokens}
        scope: str = options["model"].strip()
        nano = self._nano(options["usd"])
        if nano is None and scope == PLAN_WIDE:
            nano = grants.in_proportion(standing(user.pk).terms, tokens)
        if nano:
            wanted[NANO_USD] = nano
        until = amounts.end(options["until"])
        reason = amounts.reason(options["reason"])
        actor = audit.command_actor()
        cause = f"admin:{options['id'] or uuid7()}"
        try:
            with transaction.atomic():
                given = grants.grant(user.pk, cause, wanted, scope=scope, until=until, note=reason)
                details = {"amounts": dict(given.amounts), "until": until.isoformat() if until else None}
                if given.new:
                    audit.record(actor, "quota.granted", user.pk, target=scope, reason=reason, details=details)
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
