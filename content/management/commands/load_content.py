"""Bring the repository's documentation and posts into the database."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from content import loading


class Command(BaseCommand):
    help = "Load the documentation and the blog of the repository; what staff have edited stays as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = loading.load()
        except loading.InvalidContent as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"pages": done.pages, "posts": done.posts, "removed": done.removed}))
        else:
            self.stdout.write(f"written: pages {done.pages}, posts {done.posts}; removed: pages {done.removed}")
