"""`manage.py worker`: background work and the clock."""

from __future__ import annotations

from typing import Any

import structlog
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from oneai.kit import diagnosis

log = structlog.get_logger("worker")


class Command(BaseCommand):
    help = "Background work: mail, settling what lost its server, the model catalogue."

    def handle(self, *args: Any, **options: Any) -> None:
        from oneai import worker

        try:
            if diagnosis.pending_migrations():
                raise CommandError(f"The database is not migrated: {diagnosis.MIGRATE} first.")
        except DatabaseError:
            log.warning("database_away", why=diagnosis.why_away())  # it may come back: the worker waits for it
        worker.run()
