"""`manage.py grant_plan EMAIL PLAN --reason TEXT`: a plan by hand, without a payment."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit
from adminpanel import actions
from adminpanel.management import amounts
from billing import plans
from quotas.allowances import InvalidTerms


class Command(BaseCommand):
    help = "Give a person a plan from now on. What they have used in this period stays used."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("plan")
        parser.add_argument("--until", metavar="DATE", help="the plan before holds again from this day on (UTC)")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--json", action="store_true", help="print an object instead of a line")

    def handle(self, *args: Any, **options: Any) -> None:
        user = amounts.person(options["email"])
        until = amounts.end(options["until"])
        reason = amounts.reason(options["reason"])
        try:
            granted = actions.grant_plan(audit.command(), user, options["plan"], reason, until=until)
        except (plans.UnknownPlan, InvalidTerms) as error:
            raise CommandError(str(error)) from error
        result = {
            "user_id": str(user.pk),
            "email": user.email,
            "plan": granted.plan,
            "from": granted.starts_at.isoformat(),
            "until": granted.until.isoformat() if granted.until else None,
        }
        ends = f" until {granted.until.isoformat()}" if granted.until else ""
        self.stdout.write(json.dumps(result) if options["json"] else f"{user.email} has {granted.plan}{ends}")
