"""Our records against the upstream's: what it lost, doubled or priced anew is found, and put right once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.chat.client import Chat, dispatches
from tests.servers.site import CommandFailed, Site
from tools.check_receipt import faults

OWNER = "keeper@example.com"
STATE = """
import json
from django.db.models import Sum
from accounts.models import OutgoingMail
from chat.models import UpstreamFinding
from quotas.models import LedgerEntry, UsageRecord
print(json.dumps({
    "records": {r.upstream_id: [r.tokens, r.nano_usd, r.source, r.corrections] for r in UsageRecord.objects.all()},
    "entries": LedgerEntry.objects.filter(kind="reconcile").exclude(hold_id=None).count(),
    "mails": OutgoingMail.objects.filter(subject__contains="books").count(),
    "findings": UpstreamFinding.objects.count(),
}))
"""


def state(site: Site) -> dict[str, Any]:
    return dict(json.loads(site.command("shell", "-v", "0", "-c", STATE).strip().splitlines()[-1]))


def mails(site: Site, count: int) -> list[str]:
    """What the owner reads about it, once all ``count`` mails have come."""
    url = f"{site.sandbox_url}/_control/mail?to={OWNER}"
    deadline = time.monotonic() + 30
    while True:
        found = [json.dumps(mail) for mail in httpx.get(url).json()["messages"] if "books" in mail["subject"]]
        if len(found) >= count or time.monotonic() > deadline:
            return found
        time.sleep(0.3)


def reconcile(site: Site, *arguments: str) -> dict[str, Any]:
    """The command's result, over all calls that have ended."""
    said = json.loads(site.command("reconcile", "--json", "--grace", "0", *arguments))
    assert said["razorpay"] is None
    return dict(said["openrouter"])


def sums(found: dict[str, Any]) -> dict[str, int]:
    return {name: sum(day[name] for day in found["days"]) for name in found["days"][0] if name != "day"}


def falsify(site: Site, generation_id: str, **how: Any) -> dict[str, Any]:
    answer = httpx.post(f"{site.sandbox_url}/_control/record", json={"generation_id": generation_id, **how})
    answer.raise_for_status()
    return dict(answer.json())


def asked(site: Site, chat: Chat, model: str = "openai/gpt-4o-mini") -> str:
    """A call that has ended; the upstream's name for it."""
    seen = {dispatch["generation_id"] for dispatch in dispatches(site)}
    chat.send("Tell me something.", model)
    (new,) = (each["generation_id"] for each in dispatches(site) if each["generation_id"] not in seen)
    deadline = time.monotonic() + 30
    while chat.held and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not chat.held
    return str(new)


def nano(dispatch: dict[str, Any]) -> int:
    return round(float(dispatch["usage"]["cost"]) * 10**9)


@pytest.fixture(scope="module")
def site(own_site: Callable[..., Site]) -> Site:
    # The models alone: what Razorpay says is compared in tests/billing.
    without = dict.fromkeys(("RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET", "RAZORPAY_WEBHOOK_SECRET"), "")
    started = own_site(pace="fast", settings=without)
    started.command("create_user", OWNER, "--role", "owner", "--verified", "--password", "a long battery 1")
    return started


def test_lost_doubled_mispriced_and_longer_calls_are_found_and_put_right_once(site: Site) -> None:
    chat = Chat(site, site.new_user("team"))
    names = [asked(site, chat) for _ in range(6)]
    first = reconcile(site)
    assert sums(first) | {"checked": 6, "matched": 6} == sums(first)
    assert first["findings"] == []

    good, other, lost, dear, long, short = names
    falsify(site, lost, lose=True)
    billed_dear = falsify(site, dear, factor=7)
    billed_long = falsify(site, long, tokens=400)
    billed_short = falsify(site, short, tokens=-3, factor="0.5")
    before = state(site)["records"]
    found = reconcile(site)

    kinds = {each["upstream_id"]: each["kind"] for each in found["findings"]}
    assert kinds == {lost: "missing", dear: "corrected", long: "corrected", short: "corrected"}
    after = state(site)
    records = after["records"]
    assert records[good] == before[good] and records[lost] == before[lost] and records[other] == before[other]
    for name, billed in ((dear, billed_dear), (long, billed_long), (short, billed_short)):
        assert records[name] == [billed["usage"]["total_tokens"], nano(billed), "generation_api", 1]
    assert sums(found)["tokens_difference"] == 400 - 3
    assert found["keys"]["recorded_nano_usd"] == found["keys"]["unexplained_nano_usd"] == 0
    (mail,) = mails(site, after["mails"])
    assert lost in mail and dear not in mail

    again = reconcile(site)
    assert sums(again) == sums(found) | {"matched": 5}
    assert state(site) == after, "a second run finds nothing new"

    site.command("audit_ledger")
    usage = chat.http.get("/api/user/usage").json()
    assert usage["totals"]["total_tokens"] == chat.used == sum(records[name][0] for name in names)
    spent = int(chat.limit("nano_usd")["used"])
    assert spent == sum(records[name][1] for name in names)


def test_what_is_billed_twice_has_no_partner_here(site: Site) -> None:
    chat = Chat(site, site.new_user("team"))
    name = asked(site, chat)
    assert reconcile(site)["keys"]["unexplained_nano_usd"] == 0
    told = state(site)["mails"]
    twice = falsify(site, name, double=True)
    keys = reconcile(site)["keys"]
    assert keys["unexplained_nano_usd"] == keys["billed_nano_usd"] == nano(twice) > 0
    assert keys["recorded_nano_usd"] == 0
    assert reconcile(site)["keys"]["billed_nano_usd"] == 0
    assert state(site)["mails"] == told + 1


def test_a_call_that_gave_nothing_stays_free_and_its_bill_is_the_owners(site: Site) -> None:
    chat = Chat(site, site.new_user("team"))
    name = asked(site, chat, "sandbox/garbage")
    falsify(site, name, cost="0.0123")
    told = state(site)["mails"]
    found = reconcile(site)
    (finding,) = (each for each in found["findings"] if each["upstream_id"] == name)
    assert (finding["kind"], finding["nano_usd_before"], finding["nano_usd_billed"]) == ("free", 0, 12_300_000)
    assert sums(found)["free_nano_usd"] == 12_300_000
    assert found["keys"]["billed_nano_usd"] == found["keys"]["recorded_nano_usd"] == 12_300_000
    assert found["keys"]["unexplained_nano_usd"] == 0
    assert state(site)["records"][name] == [0, 0, "local_estimate", 0]
    assert (chat.used, state(site)["mails"]) == (0, told)
    site.command("audit_ledger")


def test_what_the_upstream_can_not_say_now_is_asked_again(site: Site) -> None:
    chat = Chat(site, site.new_user("team"))
    name = asked(site, chat)
    billed = falsify(site, name, factor=2)
    before = state(site)
    key, site.env["OPENROUTER_API_KEY"] = site.env["OPENROUTER_API_KEY"], "sk-or-revoked"
    try:
        done = site.run("reconcile", "--grace", "0")
    finally:
        site.env["OPENROUTER_API_KEY"] = key
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert state(site)["records"] == before["records"]
    assert state(site)["findings"] == before["findings"]
    reconcile(site)
    assert state(site)["records"][name] == [billed["usage"]["total_tokens"], nano(billed), "generation_api", 1]


def test_the_answer_says_what_it_is_charged_for_now(site: Site) -> None:
    chat = Chat(site, site.new_user("team"))
    turn = chat.send("Tell me something.")
    name = dispatches(site)[-1]["generation_id"]
    billed = falsify(site, name, tokens=123, factor=3)
    reconcile(site)
    usage = chat.message(turn)["usage"]
    assert usage["total_tokens"] == billed["usage"]["total_tokens"]
    assert float(usage["cost_usd"]) == float(billed["usage"]["cost"])
    receipt = chat.http.get(f"/api/messages/{turn.message_id}/receipt").json()
    assert receipt["charge"]["tokens"] == usage["total_tokens"]
    assert receipt["charge"]["source"] == "generation_api"
    assert [each["kind"] for each in receipt["ledger_entries"]].count("reconcile") == 2
    assert faults(receipt) == []


def test_the_command_says_what_it_can_not_do(site: Site) -> None:
    for wrong in (["--since", "yesterday"], ["--since", "2999-01-01"], ["--grace", "-1"]):
        with pytest.raises(CommandFailed):
            site.command("reconcile", *wrong)
    assert "payments are not set up" in site.command("reconcile", "--grace", "0")


WORK = """
from datetime import timedelta
from chat import reconciling
from oneai.kit import clock
reconciling.SLICE, reconciling.BUDGET_SECONDS = 1, -1
with clock.travel(timedelta(days=1, hours=1)):
    looked = [reconciling.reconcile_due() for _ in range(60)]
print(sum(looked))
"""
DAY = """
import json
from chat.models import UpstreamReconciliation as R
from quotas.models import UsageRecord
row = R.objects.order_by("-checked").first()
there = UsageRecord.objects.filter(at__date=row.day).count()
differing = row.corrected + row.missing + row.free
print(json.dumps([row.checked, there, row.matched, differing, row.finished_at is not None]))
"""


def test_workers_share_a_day_that_is_over_and_correct_once(site: Site) -> None:
    chat = Chat(site, site.new_user("team"))
    names = [asked(site, chat) for _ in range(4)]
    wrong = [falsify(site, name, factor=5) for name in names[:2]]
    falsify(site, names[2], lose=True)
    before = state(site)
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: site.run("shell", "-v", "0", "-c", WORK), range(3)))
    assert [each.returncode for each in done] == [0, 0, 0], done[0].stderr
    after = state(site)
    assert after["entries"] == before["entries"] + 2, "each in one counter, the cost's"
    assert after["findings"] == before["findings"] + 3
    for name, billed in zip(names, wrong, strict=False):
        assert after["records"][name][1:] == [nano(billed), "generation_api", 1]
    checked, there, matched, differing, finished = json.loads(
        site.command("shell", "-v", "0", "-c", DAY).strip().splitlines()[-1]
    )
    assert finished
    assert checked == there
    assert 0 < matched < checked and differing >= 3
    assert after["mails"] == before["mails"] + 1
    site.command("audit_ledger")
