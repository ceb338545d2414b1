"""`manage.py sync_plans`: the prices of the plans, as plans at Razorpay."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit
from billing import gateway, prices
from billing.prices import Synced
from billing.razorpay.errors import RazorpayError
from oneai.kit.errors import Refusal


class Command(BaseCommand):
    help = (
        "Make at Razorpay what the plans on sale need there. A changed price or changed terms are a new version, which "
        "new subscriptions take; those who have an older one keep it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print an object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = list(prices.sync(gateway.razorpay()))
        except Refusal as refusal:
            raise CommandError(f"{refusal.text} Set RAZORPAY_KEY_ID and RAZORPAY_KEY_SECRET.") from refusal
        except RazorpayError as error:
            raise CommandError(f"Razorpay: {error}. What was made is kept; run this again.") from error
        audit.record(
            audit.command_actor(),
            "plans.synced",
            details={
                "mode": gateway.mode(),
                "new": [each.price.razorpay_plan_id for each in done if each.result == "new"],
            },
        )
        if options["json"]:
            self.stdout.write(json.dumps({"mode": gateway.mode(), "prices": [_json(each) for each in done]}))
            return
        for each in done:
            self.stdout.write(_line(each))
            if each.warning:
                self.stderr.write(f"Warning: {each.warning}")


def _json(one: Synced) -> dict[str, Any]:
    return {
        "plan": one.price.plan.code,
        "interval": one.price.interval,
        "version": one.price.version,
        "amount_paise": one.price.amount_paise,
        "razorpay_plan_id": one.price.razorpay_plan_id,
        "result": one.result,
        "warning": one.warning or None,
    }


def _line(one: Synced) -> str:
    price = one.price
    rupees = f"₹{price.amount_paise // 100:,}.{price.amount_paise % 100:02d}"
    said = {"new": "new", "kept": "as before", "off": "no longer sold"}[one.result]
    name = f"{price.plan.code} by the {price.interval}"
    return f"{name}: {rupees}, version {price.version}, {price.razorpay_plan_id}, {said}"
