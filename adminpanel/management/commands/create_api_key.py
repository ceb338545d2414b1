"""`manage.py create_api_key EMAIL`: a key for programs, printed once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts import apikeys, audit
from accounts.models import User
from accounts.principal import SCOPES
from oneai.kit.clock import now
from oneai.kit.errors import Refusal


class Command(BaseCommand):
    help = "Make an API key. It is printed once and can't be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--name", default="key")
        parser.add_argument("--scopes", default=",".join(sorted(SCOPES)), help="separated by commas")
        parser.add_argument("--expires", type=int, metavar="DAYS")
        parser.add_argument("--budget-tokens", type=int, metavar="N", help="what it may use in a period")
        parser.add_argument("--json", action="store_true", help="print an object instead of the key alone")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email__iexact=options["email"].strip()).first()
        if user is None:
            raise CommandError(f"There is nobody with the address {options['email']}.")
        days: int | None = options["expires"]
        if days is not None and not 1 <= days <= 36_500:
            raise CommandError("--expires must be between 1 and 36500 days.")
        try:
            with transaction.atomic():
                key, plaintext = apikeys.mint(
                    user,
                    options["name"],
                    [scope.strip() for scope in options["scopes"].split(",") if scope.strip()],
                    now() + timedelta(days=days) if days else None,
                    options["budget_tokens"],
                )
                audit.record(
                    audit.command_actor(),
                    "api_key.created",
                    user.pk,
                    target=key.prefix,
                    details={"scopes": key.scopes, "limit_tokens": key.limit_tokens},
                )
        except Refusal as refusal:
            raise CommandError(refusal.text) from refusal
        if not options["json"]:
            self.stdout.write(plaintext)
            return
        self.stdout.write(
            json.dumps(
                {
                    "id": str(key.pk),
                    "key": plaintext,
                    "prefix": key.prefix,
                    "name": key.name,
                    "scopes": key.scopes,
                    "expires_at": key.expires_at.isoformat() if key.expires_at else None,
                    "limit_tokens": key.limit_tokens,
                }
            )
        )
