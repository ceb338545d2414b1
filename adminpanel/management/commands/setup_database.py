"""`manage.py setup_database`: once per PostgreSQL database that is reached through a pooler."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from oneai.kit import schema


class Command(BaseCommand):
    help = "Make OneAI's schema in PostgreSQL and let the database role carry the search path."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if connection.vendor != "postgresql":
            raise CommandError("This is for PostgreSQL; DATABASE_URL names SQLite, which needs no set-up.")
        if str(connection.settings_dict.get("PORT")) == "6543":
            raise CommandError("Port 6543 is a transaction pooler. Set DATABASE_DIRECT_URL to the direct address.")
        try:
            role, database = schema.give_role_the_path()
        except DatabaseError as error:
            raise CommandError(f"The database refused: {error}".strip()) from error
        result = {"role": role, "database": database, "schema": settings.DATABASE_SCHEMA}
        self.stdout.write(
            json.dumps(result)
            if options["json"]
            else f"{role} works in schema {settings.DATABASE_SCHEMA} of {database}"
        )
