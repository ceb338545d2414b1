"""`manage.py worker`: background work and the clock."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Background work: mail, settling what lost its server, the model catalogue."

    def handle(self, *args: Any, **options: Any) -> None:
        from oneai import worker

        worker.run()
