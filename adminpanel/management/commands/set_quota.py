"""`manage.py set_quota EMAIL --model MODEL --tokens N --reason TEXT`: a limit for one person."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit
from adminpanel import actions
from adminpanel.management import amounts
from oneai.kit.money import dollars
from quotas.allowances import InvalidTerms
from quotas.policy import NANO_USD, TOKENS
from quotas.reading import standing


class Command(BaseCommand):
    help = (
        "Set the limit of a person's period, in tokens and, with --usd, in dollars. It is the limit, not "
        "an addition. The person sees the reason and the dates. Without --usd, a token limit lifts the "
        "dollar ceiling of the same model."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--model", required=True, help="a model's id, class:NAME, or * for all together")
        parser.add_argument("--tokens", required=True, metavar="N|unlimited")
        parser.add_argument("--usd", metavar="N|unlimited")
        parser.add_argument("--from", dest="starts", metavar="DATE", help="it holds from this day on (UTC)")
        parser.add_argument("--until", metavar="DATE", help="the plan's limit holds again from this day on (UTC)")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--json", action="store_true", help="print the limits as an object")

    def handle(self, *args: Any, **options: Any) -> None:
        user = amounts.person(options["email"])
        model: str = options["model"].strip()
        limits = {TOKENS: amounts.amount("--tokens", options["tokens"])}
        if options["usd"] is not None:
            limits[NANO_USD] = amounts.nano_usd("--usd", options["usd"])
        starts, until = amounts.moment("--from", options["starts"]), amounts.end(options["until"])
        reason = amounts.reason(options["reason"])
        try:
            actions.check_scope(model)
        except InvalidTerms as error:
            raise CommandError(str(error)) from error
        try:
            actions.set_limit(audit.command(), user, model, limits, reason, starts=starts, until=until)
        except InvalidTerms as error:
            raise CommandError(f"The limit can't be set: {error}.") from error
        now = [limit.as_json() for limit in standing(user.pk).limits if limit.scope == model]
        if options["json"]:
            self.stdout.write(json.dumps({"user_id": str(user.pk), "email": user.email, "limits": now}))
        else:
            shown = ", ".join(_words(row["unit"], row["limit"]) for row in now)
            self.stdout.write(f"{user.email} {model}: {shown}")


def _words(unit: str, limit: int | None) -> str:
    if limit is None:
        return "no limit in dollars" if unit == NANO_USD else f"no limit in {unit}"
    return dollars(limit) if unit == NANO_USD else f"{limit} {unit}"
