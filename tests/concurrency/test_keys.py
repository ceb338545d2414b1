"""Keys across processes, without Redis: what one process ends, every other refuses on its next request."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any

import httpx
import psutil
import pytest

from oneai.kit.clock import now
from tests.accounts.test_live_sign_in import mail_to
from tests.chat import endings
from tests.chat.browser import Browser
from tests.chat.client import Chat
from tests.chat.test_keys import COMPLETION, SEND, new_key
from tests.chat.test_watching import wait_for
from tests.servers.site import Newcomer, Site

pytestmark = pytest.mark.slow
PROCESSES = 4
DOORS: list[tuple[str, str, Any]] = [
    ("GET", "/api/auth/session", None),
    ("GET", "/v1/models", None),
    ("POST", "/api/chat/stream", SEND),
    ("POST", "/v1/chat/completions", COMPLETION),
]


class Line:
    """One connection by a key."""

    def __init__(self, site: Site, key: dict[str, Any]) -> None:
        self._wire = HTTPConnection("localhost", site.port, timeout=60)
        self._headers = {"Authorization": f"Bearer {key['key']}", "Content-Type": "application/json"}
        self._wire.connect()
        self.port = self._now()
        assert self.ask("GET", "/api/auth/session")[0] == 200

    def _now(self) -> int:
        return int(self._wire.sock.getsockname()[1])

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Status and error code on this connection; fails when it was opened anew, perhaps to another process."""
        self._wire.request(method, path, json.dumps(body) if body else None, self._headers)
        assert self._now() == self.port, "the connection was closed meanwhile"
        answer = self._wire.getresponse()
        said = json.loads(answer.read())
        return answer.status, said.get("error", {}).get("code", "")


def lines(site: Site, key: dict[str, Any], each: int) -> dict[int, list[Line]]:
    """So many connections to each of the site's processes, all of them just used."""
    with ThreadPoolExecutor(24) as pool:
        for _ in range(10):
            opened = list(pool.map(lambda _: Line(site, key), range(24 * each)))
            ends = {
                connection.raddr.port: process.pid
                for process in psutil.Process(site.web_pid).children(recursive=True)
                for connection in process.net_connections("tcp")
                if connection.raddr and connection.laddr.port == site.port
            }
            found: dict[int, list[Line]] = defaultdict(list)
            for line in opened:
                if line.port in ends and len(found[ends[line.port]]) < each:
                    found[ends[line.port]].append(line)
            if len(found) == PROCESSES and min(map(len, found.values())) == each:
                return found
    raise AssertionError(f"connections by process: { {process: len(its) for process, its in found.items()} }")


@pytest.fixture(scope="module")
def site(database: Any, sandbox: Any, server_logs: Any) -> Any:
    site = Site(database.migrated(), server_logs, settings=sandbox.settings(), processes=PROCESSES)
    site.sandbox_url = sandbox.url
    site.command("sync_models")
    site.start()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def owner(site: Site) -> Newcomer:
    return site.new_user("team")


@pytest.fixture(scope="module")
def keys(site: Site, owner: Newcomer) -> Browser:
    return Browser(site, owner)


def revoke(keys: Browser, key: dict[str, Any]) -> None:
    assert keys.http.delete(f"/api/user/api-keys/{key['id']}").status_code == 204


def rotate(keys: Browser, key: dict[str, Any]) -> None:
    answer = keys.http.post(f"/api/user/api-keys/{key['id']}/rotate", json={"overlap_seconds": 0})
    assert answer.status_code == 200


def bind(keys: Browser, key: dict[str, Any]) -> None:
    answer = keys.http.patch(f"/api/user/api-keys/{key['id']}", json={"allowed_addresses": ["192.0.2.7"]})
    assert answer.status_code == 200


@pytest.mark.core
@pytest.mark.parametrize(
    ("end", "refused"),
    [
        (revoke, (401, "invalid_api_key")),
        (rotate, (401, "invalid_api_key")),
        (bind, (403, "address_not_allowed")),
    ],
)
def test_what_one_process_ends_every_other_refuses_on_its_next_request(
    site: Site, keys: Browser, end: Callable[[Browser, dict[str, Any]], None], refused: tuple[int, str]
) -> None:
    key = new_key(keys)
    to = lines(site, key, len(DOORS))
    end(keys, key)
    asked = [(process, line, door) for process, its in to.items() for line, door in zip(its, DOORS, strict=True)]
    with ThreadPoolExecutor(len(asked)) as pool:
        told = list(pool.map(lambda each: (each[0], each[2][1], each[1].ask(*each[2])), asked))
    assert len({(process, path) for process, path, _ in told}) == PROCESSES * len(DOORS)
    assert [each for each in told if each[2] != refused] == []


def test_the_worker_announces_an_end_once(site: Site, keys: Browser, owner: Newcomer) -> None:
    key = new_key(keys, name="Ending", expires_at=(now() + timedelta(days=30)).isoformat())
    site.kill_worker()
    endings.shell(site, owner, f"keys.filter(pk={key['id']!r}).update(warn_at=now())")
    site.start_worker()  # its first round comes at once, the next in a minute
    mail = mail_to(site, owner.email)
    assert mail["subject"] == "Your API key Ending ends soon"
    assert key["prefix"] in mail["text"]
    mails = httpx.get(f"{site.sandbox_url}/_control/mail", params={"to": owner.email}).json()["messages"]
    assert len(mails) == 1


def test_two_keys_at_once_spend_exactly_their_own_budgets(site: Site, keys: Browser, owner: Newcomer) -> None:
    site.command("set_rates", owner.email, "--rpm", "unlimited", "--tpm", "unlimited", "--concurrent", "unlimited",
                 "--reason", "test")  # fmt: skip
    content, cap = "Tell me a long story.", 400
    chat = Chat(site, owner)
    with chat.opened(content, "sandbox/stall", max_tokens=cap) as (_, events):
        turn_id = next(events).data["turn_id"]
        hold, cost = chat.held, chat.limit("nano_usd")["held"]
        chat.stop(turn_id)
    wait_for(lambda: chat.held == 0, 120)
    by_tokens = new_key(keys, limit_tokens=10 * hold)
    by_money = new_key(keys, limit_nano_usd=7 * cost, limit_tokens=10**9)
    pair = [Chat(site, Newcomer(owner.email, owner.password, key["key"])) for key in (by_tokens, by_money)]

    def send(number: int) -> tuple[int, str, str]:
        with pair[number % 2].opened(content, "sandbox/stall", max_tokens=cap) as (response, events):
            if response.status_code != 200:
                response.read()
                error = response.json()["error"]
                return number % 2, error["code"], error["details"]["limit"]["scope"]
            return number % 2, "", next(events).data["turn_id"]

    with ThreadPoolExecutor(50) as pool:
        results = list(pool.map(send, range(50)))
    admitted = [[turn for which, code, turn in results if which == number and not code] for number in (0, 1)]
    assert [len(turns) for turns in admitted] == [10, 7]
    refused = {(which, code, scope) for which, code, scope in results if code}
    assert refused == {
        (0, "quota_exceeded", f"key:{by_tokens['id']}"), (1, "quota_exceeded", f"key:{by_money['id']}"),
    }  # fmt: skip
    states = [keys.http.get(f"/api/user/api-keys/{key['id']}").json()["limits"] for key in (by_tokens, by_money)]
    assert [state["held"] for state in states[0]] == [10 * hold]
    assert [state["held"] for state in states[1]] == [7 * hold, 7 * cost]
    for number, turns in enumerate(admitted):
        for turn_id in turns:
            pair[number].stop(turn_id)
    wait_for(lambda: chat.held == 0, 120)
    site.command("audit_ledger", owner.email)
