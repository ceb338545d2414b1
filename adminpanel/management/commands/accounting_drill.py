"""`manage.py accounting_drill`: kills workers at named points and says what the ledger made of it."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from adminpanel.drill.run import POINTS, DrillFailed, Result, drill


class Command(BaseCommand):
    help = (
        "Kill workers in the middle of answers, at each named point, and print for each what differs in the ledger "
        "and how long it took to heal. It works on a scratch database (a file, or on PostgreSQL a schema of its own "
        "on the site's server) with an upstream of its own; the site's data is not touched. Exit status 1 when "
        "anything differs, is charged otherwise than it was billed, or takes longer than 30 seconds."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rounds", type=int, default=1, help="how many workers die at each point")
        parser.add_argument("--point", choices=POINTS, help="only at this point")
        parser.add_argument("--json", action="store_true", help="print an object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["rounds"] < 1:
            raise CommandError("--rounds must be a whole number from 1 on.")
        results: list[Result] = []
        try:
            for result in drill(options["rounds"], [options["point"]] if options["point"] else POINTS):
                results.append(result)
                if not options["json"]:
                    self.stdout.write(self._line(result))
        except DrillFailed as error:
            raise CommandError(f"The drill could not be run: {error}") from error
        if options["json"]:
            self.stdout.write(json.dumps({"points": [result.as_json() for result in results]}))
        if not all(result.is_good for result in results):
            sys.exit(1)

    @staticmethod
    def _line(result: Result) -> str:
        return (
            f"{result.point:14} {result.deaths} killed, {result.calls} calls: "
            f"difference {result.difference}, charged otherwise {result.charged_otherwise}, "
            f"unbilled {result.unbilled}, left open {result.left_open}, healed in {result.heal_seconds} s"
        )
