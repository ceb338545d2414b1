"""`manage.py set_seats TEAM N --reason TEXT`: how many seats a team has, by hand."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit, teams
from accounts.models import Team, User
from adminpanel.management import amounts
from oneai.kit.errors import Refusal


class Command(BaseCommand):
    help = "Set how many seats a team has. Open invitations that have none any more are revoked."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("team", help="its id, the address of its account, or that of its owner")
        parser.add_argument("seats", type=int)
        parser.add_argument("--reason", required=True)
        parser.add_argument("--json", action="store_true", help="print an object instead of a line")

    def handle(self, *args: Any, **options: Any) -> None:
        team_id = _team(options["team"])
        reason = amounts.reason(options["reason"])
        try:
            team = teams.set_seats(team_id, options["seats"], label=audit.command_actor(), reason=reason)
        except Refusal as refusal:
            raise CommandError(refusal.text) from refusal
        taken = teams.seats_taken(team.pk)
        result = {"team_id": str(team.pk), "name": team.name, "seats": team.seats, "taken": taken}
        self.stdout.write(
            json.dumps(result) if options["json"] else f"{team.name} has {team.seats} seats, {taken} of them taken"
        )


def _team(text: str) -> UUID:
    if "@" in text:
        user = User.objects.filter(email=text.strip().lower()).first()
        found = [team.pk for team in teams.teams_of(user.pk)] or [user.pk] if user else []
    else:
        try:
            found = [UUID(text)]
        except ValueError as error:
            raise CommandError("Name the team by its id or an address.") from error
    if not found or not Team.objects.filter(pk=found[0], state=Team.State.ACTIVE).exists():
        raise CommandError("There is no such team.")
    return found[0]
