"""`manage.py reset_second_step EMAIL --reason TEXT`: for somebody who has lost app, passkeys and recovery codes."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts import audit, second_step, standing
from accounts.models import User
from adminpanel.management import amounts


class Command(BaseCommand):
    help = "Remove every second step of a person and sign them out everywhere. Be sure that it is them who asks."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--json", action="store_true", help="print an object instead of a line")

    def handle(self, *args: Any, **options: Any) -> None:
        reason = amounts.reason(options["reason"])
        user = User.objects.filter(email=options["email"].strip().lower()).first()
        if user is None:
            raise CommandError("There is nobody with this address.")
        with transaction.atomic():
            removed = second_step.take_away(user)
            standing.end_sign_ins(user)
            audit.record(audit.command_actor(), "second_step.reset", user.pk, user.email, reason, {"removed": removed})
        result = {"email": user.email, "removed": removed}
        self.stdout.write(json.dumps(result) if options["json"] else f"Removed of {user.email}: {removed}")
