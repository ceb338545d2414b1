"""`manage.py export_invoices --from DAY --to DAY --format csv|gstr1`: invoices for the accountant."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing import gstin, invoice_export
from oneai.kit.clock import calendar_day
from oneai.kit.csvfile import csv_text


class Command(BaseCommand):
    help = "Print the invoices and credit notes of these days in India: a table, or the figures of the return GSTR-1."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="first", metavar="DAY", required=True, help="the first day, as 2026-04-01")
        parser.add_argument("--to", dest="last", metavar="DAY", required=True, help="the last day, included")
        parser.add_argument("--format", choices=["csv", "gstr1"], default="csv")
        parser.add_argument("--gstin", default="", help="of the seller, for a return where there were several")

    def handle(self, *args: Any, **options: Any) -> None:
        first, last = _day("--from", options["first"]), _day("--to", options["last"])
        try:
            if options["format"] == "csv":
                rows = invoice_export.table(invoice_export.between(first, last))
                self.stdout.write(csv_text(invoice_export.COLUMNS, rows), ending="")
            else:
                own = gstin.read(options["gstin"]) if options["gstin"] else ""
                self.stdout.write(json.dumps(invoice_export.gstr1(first, last, own), indent=1))
        except ValueError as error:
            raise CommandError(str(error)) from error


def _day(name: str, text: str) -> date:
    try:
        return calendar_day(text)
    except ValueError as error:
        raise CommandError(f"{name}: {error}") from error
