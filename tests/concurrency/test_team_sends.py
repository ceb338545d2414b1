"""A team's quota over HTTP: of 50 sends of its members at once, two processes admit the ten that it covers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chat.client import Chat
from tests.servers.site import Site
from tools.check_receipt import faults

CONTENT = "Tell me a long story."
CAP = 400
MEMBERS = 10
_TEAM = """
import json; from accounts import teams; from accounts.models import Membership, User; from quotas import allowances
(owner, *others) = [User.objects.get(email=each) for each in {emails}]
team = teams.create_team(owner, "Together", len(others) + 1)
for user in others:
    Membership.objects.create(team=team, user=user)
    teams.changed(user.pk)
print(json.dumps([str(team.pk), teams.address_of(team.pk)]))
"""

pytestmark = pytest.mark.slow


def test_50_sends_of_a_team_at_once_on_a_quota_of_ten_holds_admit_exactly_ten(fresh_site: Callable[..., Site]) -> None:
    site = fresh_site(processes=2, worker=False)
    people = [site.new_user() for _ in range(MEMBERS)]
    chats = [Chat(site, user) for user in people]
    team_id, account = json.loads(
        site.command("shell", "-c", _TEAM.format(emails=[user.email for user in people])).splitlines()[-1]
    )
    site.command("grant_plan", account, "team", "--reason", "test")
    site.command("set_rates", account, "--rpm", "unlimited", "--tpm", "unlimited", "--concurrent", "unlimited",
                 "--reason", "test")  # fmt: skip
    scope = f"team:{team_id}"

    def held() -> int:
        return int(chats[-1].limit(scope=scope)["held"])

    with chats[0].opened(CONTENT, "sandbox/stall", max_tokens=CAP) as (_, events):
        turn_id = next(events).data["turn_id"]
        hold = held()
        chats[0].stop(turn_id)
    wait_for(lambda: held() == 0)
    used = int(chats[0].limit(scope=scope)["used"])
    site.command("set_quota", account, "--model", "*", "--tokens", str(used + 10 * hold), "--reason", "test")

    def send(number: int) -> tuple[int, int, str]:
        who = number % MEMBERS
        with Chat(site, people[who]).opened(CONTENT, "sandbox/stall", max_tokens=CAP) as (response, events):
            if response.status_code != 200:
                response.read()
                error = response.json()["error"]
                return response.status_code, who, f"{error['code']} {error['details']['limit']['scope']}"
            return 200, who, next(events).data["turn_id"]

    with ThreadPoolExecutor(50) as pool:
        results = list(pool.map(send, range(50)))
    admitted = [(who, turn) for status, who, turn in results if status == 200]
    assert len(admitted) == 10
    assert {said for status, _, said in results if status != 200} == {f"quota_exceeded {scope}"}
    assert held() == 10 * hold
    for who, turn in admitted:
        chats[who].stop(turn)
    wait_for(lambda: held() == 0)
    talk = chats[0].http.get("/api/conversations").json()["results"][0]
    answer = chats[0].http.get(f"/api/conversations/{talk['id']}/messages").json()["results"][-1]
    receipt = chats[0].http.get(f"/api/messages/{answer['id']}/receipt").json()
    assert (receipt["team_id"], faults(receipt)) == (team_id, [])
    assert {(limit["scope"], limit["shared"]) for limit in receipt["limits"]} == {(scope, True)}
    for address in (account, *(user.email for user in people)):
        site.command("audit_ledger", address)


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while not done() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert done()
