"""The shape of production: two sites of two processes and a worker each, behind Caddy with TLS, over one
PostgreSQL through PgBouncer in transaction mode, and one Redis. What begins in one process goes on in any."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from websockets.sync.client import connect

from tests.chat.browser import Browser
from tests.chat.client import Chat, join_deltas
from tests.servers.caddy import Caddy, NoCaddy
from tests.servers.databases import Databases
from tests.servers.pooler import NoPooler, Pooler
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis
from tests.servers.sandbox import Sandbox
from tests.servers.site import Newcomer, Site

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]


class House:
    """The whole deployment; `.url` is what people type."""

    def __init__(self, caddy: Caddy, sites: list[Site], razorpay: Sandbox) -> None:
        self.caddy, self.sites, self.razorpay = caddy, sites, razorpay
        self.url = caddy.url
        self.trust = caddy.trust()

    def client(self, user: Newcomer, site: Site | None = None) -> Chat:
        """A client by API key: through the proxy, or at one site as the proxy would speak to it."""
        chat = Chat(site or self.sites[0], user)
        if site is None:
            chat.http = httpx.Client(
                base_url=self.url, headers={"Authorization": f"Bearer {user.api_key}"}, verify=self.trust, timeout=60
            )
        else:
            chat.http.headers.update(
                {
                    "Host": self.url.removeprefix("https://"),
                    "X-Forwarded-Proto": "https",
                    "X-Forwarded-For": "10.7.7.7",
                }
            )
        return chat

    def everywhere(self, user: Newcomer) -> list[Chat]:
        """Through the proxy, then at each site; each asks on new connections, which any process may take."""
        return [self.client(user), *(self.client(user, site) for site in self.sites)]


def until(true: Callable[[], bool]) -> None:
    """Wait for what a worker or a webhook brings about."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "still not so"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def house(database: Databases, postgres: Postgres, redis_server: Redis, server_logs: Path) -> Iterator[House]:
    try:
        caddy, pooler = Caddy(), Pooler(postgres)
    except (NoCaddy, NoPooler) as error:
        pytest.skip(str(error))
    direct = database.migrated()
    shared = {
        "SECRET_KEY": secrets.token_urlsafe(60),
        "JWT_SIGNING_KEYS": secrets.token_urlsafe(40),
        "SITE_URL": caddy.url,
        "TRUSTED_PROXIES": "1",
        "REDIS_URL": redis_server.url,
        "DATABASE_DIRECT_URL": direct,
    }
    started: list[Any] = [pooler, caddy]
    try:
        pooler.start()
        pooled = pooler.url(direct)
        sites = [Site(pooled, server_logs, settings=shared, processes=2) for _ in range(2)]
        caddy.start([site.port for site in sites])
        razorpay = Sandbox(
            server_logs, razorpay_webhook=f"{caddy.url}/api/webhooks/razorpay", authority=caddy.authority
        )
        razorpay.start()
        started.append(razorpay)
        for site in sites:
            site.env |= razorpay.settings()
            site.sandbox_url = razorpay.url
            started.append(site)
        for command in ("setup_database", "sync_models", "sync_plans"):
            sites[0].manage(command)
        for site in sites:
            site.start()
        yield House(caddy, sites, razorpay)
    finally:
        for server in reversed(started):
            server.stop()


@pytest.mark.core
def test_an_answer_that_began_behind_the_proxy_is_followed_in_every_process(house: House) -> None:
    user = house.sites[0].new_user("pro")
    through = house.client(user)
    with through.opened("Tell me about rivers, at length.") as (response, events):
        assert response.status_code == 200
        assert "strict-transport-security" in response.headers
        started = next(events)
        first = next(event for event in events if event.name == "message.delta")
        half = [first]  # the proxy holds nothing back: the answer is not over yet
        half += [next(events) for _ in range(5)]
    turn = started.data["turn_id"]
    left = half[-1]
    had = join_deltas([event for event in half if event.name == "message.delta"])
    told = set()
    for reader in house.everywhere(user) * 2:
        reader.http.headers["Connection"] = "close"
        rest = reader.resume(turn, left.id)
        assert rest.events[-1].name == "turn.completed"
        told.add(had + "".join(event.data["text"] for event in rest.events if event.name == "message.delta"))
    assert len(told) == 1
    stored = through.http.get(
        f"/api/conversations/{started.data['conversation_id']}/messages", params={"limit": 100}
    ).json()["results"]
    assert stored[-1]["content"] == told.pop()
    assert stored[-1]["status"] == "complete"


def test_a_socket_passes_the_proxy(house: House) -> None:
    user = house.sites[1].new_user("pro")
    with connect(
        house.url.replace("https", "wss") + "/ws/chat",
        ssl=house.trust,
        proxy=None,
        additional_headers=[("Authorization", f"Bearer {user.api_key}")],
    ) as socket:
        socket.send(json.dumps({"type": "send", "request_id": "1", "content": "Hello.", "model": "openai/gpt-4o-mini"}))
        names = []
        while not names or names[-1] != "turn.completed":
            names.append(json.loads(socket.recv(timeout=60))["type"])
    assert names[0] == "turn.started" and "message.completed" in names


def test_a_plan_that_is_bought_counts_in_every_process(house: House) -> None:
    user = house.sites[0].new_user()
    browser = Browser(house.sites[0], user, url=house.url, verify=house.trust)
    cookies = {cookie.name for cookie in browser.http.cookies.jar}
    assert cookies == {"__Host-session", "__Host-csrf"}
    assert all(cookie.secure for cookie in browser.http.cookies.jar)
    assert {chat.limit()["limit"] for chat in house.everywhere(user)} == {50_000}
    for plan, at_least in (("plus", 2_000_000), ("pro", 2_000_001)):
        if plan == "plus":
            made = browser.http.post("/api/subscription/create", json={"plan": plan, "interval": "month"})
            assert made.status_code == 201, made.text
            checkout = made.json()["checkout"]
            house.razorpay.razorpay_walk(checkout["subscription_id"], "authenticate", method="card_international")
        else:
            changed = browser.http.post("/api/subscription/update", json={"plan": plan})
            assert changed.status_code == 200, changed.text
        for chat in house.everywhere(user):
            until(lambda chat=chat, least=at_least: chat.limit()["limit"] >= least)
    delivered = house.razorpay.razorpay_events(state="delivered")
    assert delivered, "no webhook came through the proxy"


@pytest.mark.core
def test_a_key_revoked_in_one_process_is_refused_in_every_other(house: House) -> None:
    user = house.sites[0].new_user("pro")
    readers = house.everywhere(user)
    assert {chat.http.get("/api/user/quota").status_code for chat in readers} == {200}
    browser = Browser(house.sites[1], user, url=house.url, verify=house.trust)
    key = browser.http.get("/api/user/api-keys").json()["results"][0]["id"]
    assert browser.http.delete(f"/api/user/api-keys/{key}").status_code == 204
    for chat in readers * 2:
        chat.http.headers["Connection"] = "close"
        assert chat.http.get("/api/user/quota").status_code == 401
        assert chat.send("Hello.").error["code"] == "invalid_api_key"


def test_sixty_sends_at_once_share_two_connections_and_the_ledger_adds_up(house: House) -> None:
    users = [house.sites[0].new_user("pro") for _ in range(6)]
    chats = [house.client(user, site) for user in users for site in [*house.sites] for _ in range(5)]
    with ThreadPoolExecutor(20) as threads:
        turns = list(threads.map(lambda chat: chat.send("Say something short."), chats))
    assert [turn.status for turn in turns] == [200] * 60
    assert {turn.closing.name for turn in turns} == {"message.completed"}
    for user in users:
        chat = house.client(user)
        until(lambda chat=chat: chat.held == 0)
    assert house.sites[0].run("audit_ledger").returncode == 0


def test_the_doctor_finds_the_schema_through_the_pooler(house: House, postgres: Postgres) -> None:
    report = json.loads(house.sites[0].manage("doctor", "--json", check=False))
    levels = {found["subject"]: found["level"] for found in report["findings"]}
    assert levels["Schema"] == levels["Redis"] == levels["Worker"] == "ok"
    direct = house.sites[0].env["DATABASE_DIRECT_URL"]
    with psycopg.connect(direct.replace("//oneai@", "//postgres@")) as connection:
        found = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert found == (0,)
