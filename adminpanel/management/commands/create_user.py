"""`manage.py create_user EMAIL`: a person, made by whoever runs the site."""

from __future__ import annotations

import json
import sys
from getpass import getpass
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from accounts import audit
from accounts.models import Role, User

ASK = ""
PLANS = ("free", "plus", "pro", "team")


def asked() -> str:
    """A password that nobody else can read in the list of processes or in the shell's history."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass("Password: ")
    if getpass("Once more: ") != password:
        raise CommandError("The two are not the same.")
    return password


class Command(BaseCommand):
    help = "Make a person. Without a password they sign in by e-mailed code or by Google."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        asks = "checked by the site's rules; without a value it is asked for, or read from standard input"
        parser.add_argument("--password", nargs="?", const=ASK, help=asks)
        parser.add_argument("--name", default="")
        parser.add_argument("--plan", choices=PLANS, default="free")
        parser.add_argument("--verified", action="store_true", help="the address needs no confirmation")
        parser.add_argument("--role", choices=Role.values, default=Role.USER.value)
        parser.add_argument("--exist-ok", action="store_true", help="leave an existing person as they are")
        parser.add_argument("--json", action="store_true", help="print an object instead of the id")

    def handle(self, *args: Any, **options: Any) -> None:
        email = options["email"].strip().lower()
        try:
            validate_email(email)
        except ValidationError as error:
            raise CommandError(f"{email!r} is not an e-mail address.") from error
        user = User.objects.filter(email__iexact=email).first()
        made = user is None
        if user is None:
            user = self._make(email, options)
        elif not options["exist_ok"]:
            raise CommandError(f"{email} is there already.")
        found = {
            "id": str(user.pk),
            "email": user.email,
            "name": user.name,
            "role": user.role,
            "plan": user.current_subscription,
            "created": made,
        }
        self.stdout.write(json.dumps(found) if options["json"] else str(user.pk))

    def _make(self, email: str, options: dict[str, Any]) -> User:
        password: str | None = asked() if options["password"] == ASK else options["password"]
        if len(options["name"]) > 150:
            raise CommandError("The name has more than 150 characters.")
        if password is not None:
            try:
                validate_password(password, User(email=email, name=options["name"]))
            except ValidationError as error:
                raise CommandError(" ".join(error.messages)) from error
        try:
            with transaction.atomic():
                return self._save(email, password, options)
        except IntegrityError as error:
            raise CommandError(f"{email} is there already.") from error

    @staticmethod
    def _save(email: str, password: str | None, options: dict[str, Any]) -> User:
        user = User.objects.create_user(email, password, name=options["name"], role=options["role"])
        if EmailAddress.objects.filter(email__iexact=email, verified=True).exists():
            raise CommandError(f"{email} belongs to somebody else's account.")
        EmailAddress.objects.create(user=user, email=email, primary=True, verified=options["verified"])
        actor = audit.command_actor()
        audit.record(
            actor,
            "user.created",
            user.pk,
            target=email,
            details={"role": user.role, "plan": options["plan"], "verified": options["verified"]},
        )
        if options["plan"] != "free":
            from billing.plans import grant

            grant(user, options["plan"], None, "created with this plan", actor)
            user.refresh_from_db()
        return user
