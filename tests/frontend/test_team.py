"""The pages of a team in a real browser: every state without a fault in either theme, and the quota in the chat."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.frontend.conftest import Watch, sign_in
from tests.frontend.test_pages import LOOKS, faults
from tests.servers.site import Newcomer, Site

_CREW = """
import json; from accounts import team_invitations, team_members, teams; from accounts.models import Membership, User
owner, other = (User.objects.get(email=each) for each in {emails})
User.objects.filter(pk=other.pk).update(name="Mia Lindqvist")
team = teams.create_team(owner, "Reading circle", 4)
Membership.objects.create(team=team, user=other); teams.changed(other.pk)
mine = Membership.objects.select_related("team", "user").get(user=owner)
team_members.change(mine, other.pk, caps={{"cap_tokens": 250000, "cap_nano_usd": None}})
invited = team_invitations.invite(mine, "a-rather-long-address.of-somebody@department.example.com", "admin")
print(json.dumps([teams.address_of(team.pk), str(other.pk)]))
"""


def crew(site: Site) -> tuple[Newcomer, Newcomer, str]:
    """An owner and a member of a team with a plan, and the member's id."""
    owner, other = site.new_user(), site.new_user()
    account, user_id = json.loads(
        site.command("shell", "-c", _CREW.format(emails=[owner.email, other.email])).splitlines()[-1]
    )
    site.command("grant_plan", account, "team", "--reason", "test")
    return owner, other, user_id


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_of_a_team_has_no_fault(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site, look: dict[str, Any]
) -> None:
    owner, other, user_id = crew(live_site)
    page, _ = open_page(**look)
    sign_in(page, live_site, owner)
    found = {}
    for name in ("", "/invite", f"/members/{user_id}", f"/members/{user_id}/remove", "/transfer", "/delete", "/name"):
        page.goto(f"{live_site.url}/settings/team{name}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        found[name] = faults(page)
    page.goto(f"{live_site.url}/settings/team/invite")
    page.get_by_label("E-mail address").fill(other.email)
    page.get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_text("is in the team already")).to_be_visible()
    found["refused"] = faults(page)
    page.goto(f"{live_site.url}/settings/team/join/unknown")
    found["unknown"] = faults(page)
    assert {name: each for name, each in found.items() if each} == {}


def test_the_chat_shows_what_is_left_of_ones_share(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site
) -> None:
    _, other, _ = crew(live_site)
    page, _ = open_page()
    sign_in(page, live_site, other)
    expect(page.locator("#composer-left")).to_contain_text("250,000")
    page.goto(f"{live_site.url}/usage")
    expect(page.get_by_text("Tokens of your share of your team")).to_be_visible()
    expect(page.get_by_text("Tokens of your team", exact=True)).to_be_visible()
