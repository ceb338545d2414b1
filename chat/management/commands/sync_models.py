"""``manage.py sync_models``: bring the catalogue of models into step with the upstreams, now."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat import catalog


class Command(BaseCommand):
    help = "Read the models and prices that the upstreams offer. Fails when none of them could be read."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the counts as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        done, failed = catalog.sync_all()
        for reason in failed:
            self.stderr.write(reason)
        if options["json"]:
            self.stdout.write(json.dumps({"upstreams": [asdict(counts) for counts in done], "failed": failed}))
        else:
            for counts in done:
                self.stdout.write(
                    f"{counts.upstream}: {counts.seen} models ({counts.added} new, {counts.changed} changed, "
                    f"{counts.priced} new prices, {counts.unusable} not usable, {counts.unlisted} gone, "
                    f"{counts.skipped} rows skipped)"
                )
        if not done:
            raise CommandError("no catalogue could be read" if failed else "no upstream is configured")
