"""A team and its people, for the tests of teams."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email import message_from_bytes, policy
from typing import Any

from accounts import teams, tokens
from accounts.models import Membership, OutgoingMail, Team, TeamRole, User
from quotas import allowances
from quotas.policy import NANO_USD, PLAN_WIDE, RATES, TOKENS
from tests.accounts.people import mails_to, make
from tests.chat.people import Api

LINK = re.compile(r"/settings/team/join/(\S+)")


def api(user: User) -> Api:
    """The person's API by an access token."""
    return Api(tokens.issue_access(user)[0])


def team_of(owner: User, *members: User, seats: int = 10, admins: tuple[User, ...] = ()) -> Team:
    """A team with these people in it."""
    team = teams.create_team(owner, "Reading circle", seats)
    for user in (*admins, *members):
        Membership.objects.create(team=team, user=user, role=TeamRole.ADMIN if user in admins else TeamRole.MEMBER)
        allowances.follow_membership(user.pk)
    return team


def plan(
    team: Team, tokens: int | None = 100_000, *, nano: int | None = None, more: Mapping[str, int] | None = None
) -> None:
    """A plan for the team, without rates: ``tokens`` and ``nano`` in a period, and ``more`` by model."""
    limits: list[dict[str, Any]] = [
        {"scope": PLAN_WIDE, "unit": TOKENS, "limit": tokens},
        {"scope": PLAN_WIDE, "unit": NANO_USD, "limit": nano},
    ]
    limits += [{"scope": model, "unit": TOKENS, "limit": limit} for model, limit in (more or {}).items()]
    allowances.assign(teams.team_account(team.pk), "team", limits, dict.fromkeys(RATES), ["*"], "test")


def text_of(mail: OutgoingMail) -> str:
    """The words of a mail."""
    return str(message_from_bytes(bytes(mail.message), policy=policy.default).get_content())


def token_for(address: str) -> str:
    """The token in the newest invitation to somebody."""
    (token,) = LINK.findall(text_of(mails_to(address)[-1]))
    return str(token)


def people(*names: str) -> list[User]:
    """People whose addresses are verified, without a password: hashing one is most of a short test's time."""
    return [make(f"{name}@example.com", password=None, name=name.title()) for name in names]
