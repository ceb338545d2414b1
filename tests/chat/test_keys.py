"""The bounds of a key hold on every door: addresses, models, rates and budgets, against a running site."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.chat.browser import Browser
from tests.chat.socket import ChatSocket, refusal
from tests.servers.site import Newcomer, Site

MODEL = "openai/gpt-4o-mini"
OTHER = "anthropic/claude-haiku-4.5"
SEND = {"content": "Hello.", "model": MODEL, "max_tokens": 20}
COMPLETION = {"messages": [{"role": "user", "content": "Hello."}], "model": MODEL, "max_tokens": 20}
# (method, path, body): one of each kind of door that takes a key, but the socket.
DOORS: list[tuple[str, str, Any]] = [
    ("GET", "/api/auth/session", None),
    ("GET", "/api/user/quota", None),
    ("GET", "/api/conversations", None),
    ("GET", "/api/chat/models", None),
    ("POST", "/api/chat/quote", SEND),
    ("POST", "/api/chat/stream", SEND),
    ("GET", "/v1/models", None),
    ("POST", "/v1/chat/completions", COMPLETION),
    ("POST", "/v1/chat/completions", COMPLETION | {"stream": True}),
]


@pytest.fixture(scope="module")
def owner(live_site: Site) -> Newcomer:
    return live_site.new_user("team")


@pytest.fixture(scope="module")
def keys(live_site: Site, owner: Newcomer) -> Browser:
    """The owner in a browser, who sees to keys."""
    return Browser(live_site, owner)


def new_key(keys: Browser, **terms: Any) -> dict[str, Any]:
    """A key on these terms, as the API answers."""
    answer = keys.http.post("/api/user/api-keys", json={"name": "test"} | terms)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def asking(site: Site, key: dict[str, Any], **headers: str) -> httpx.Client:
    return httpx.Client(base_url=site.url, headers={"Authorization": f"Bearer {key['key']}"} | headers, timeout=60)


def outcomes(site: Site, key: dict[str, Any], **headers: str) -> dict[str, tuple[int, str]]:
    """What each door says to the key: the status, and the code of a refusal."""
    found: dict[str, tuple[int, str]] = {}
    with asking(site, key, **headers) as http:
        for number, (method, path, body) in enumerate(DOORS):
            answer = http.request(method, path, json=body)
            code = "" if answer.status_code < 400 else answer.json()["error"]["code"]
            found[f"{number} {path}"] = (answer.status_code, code)
    status, code = refusal(site, {"Authorization": f"Bearer {key['key']}"} | headers)
    return found | {"/ws/chat": (200 if status == 101 else status, code)}


# Addresses ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("forwarded", "allowed"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("[2001:db8::7]:4711", True),
        ("198.51.100.1, 192.0.2.7", True),  # what the client itself wrote is not what the proxy saw
        ("192.0.2.7, 198.51.100.1", False),
        ("198.51.100.1", False),
        ("2001:db9::7", False),
        ("not an address", False),  # then it is the connection's own
        ("", False),
    ],
)
def test_behind_a_proxy_a_key_is_good_from_its_addresses_alone(
    live_site: Site, keys: Browser, forwarded: str, allowed: bool
) -> None:
    key = new_key(keys, allowed_addresses=["192.0.2.0/24", "2001:db8::/32"])
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    found = outcomes(live_site, key, **headers)
    assert set(found.values()) == ({(200, "")} if allowed else {(403, "address_not_allowed")}), found


def test_a_refused_address_is_told_which_it_is(live_site: Site, keys: Browser) -> None:
    key = new_key(keys, allowed_addresses=["192.0.2.0/24"])
    with asking(live_site, key, **{"X-Forwarded-For": "2001:DB8::1"}) as http:
        error = http.get("/v1/models").json()["error"]
    assert error["details"] == {"address": "2001:db8::1"}


def test_without_a_proxy_nobody_is_believed(fresh_site: Callable[..., Site]) -> None:
    site = fresh_site(worker=False)
    keys = Browser(site, site.new_user("team"))
    bound = new_key(keys, allowed_addresses=["192.0.2.7"])
    for headers in (
        {"X-Forwarded-For": "192.0.2.7"}, {"X-Real-Ip": "192.0.2.7"}, {"Forwarded": "for=192.0.2.7"},
        {"X_Forwarded_For": "192.0.2.7"}, {"X-Client-Ip": "192.0.2.7"}, {"CF-Connecting-IP": "192.0.2.7"},
    ):  # fmt: skip
        assert set(outcomes(site, bound, **headers).values()) == {(403, "address_not_allowed")}, headers
    local = new_key(keys, allowed_addresses=["127.0.0.0/8", "::1"])
    assert set(outcomes(site, local, **{"X-Forwarded-For": "192.0.2.7"}).values()) == {(200, "")}


def test_a_change_of_addresses_holds_on_the_next_request(live_site: Site, keys: Browser) -> None:
    key = new_key(keys)
    headers = {"X-Forwarded-For": "198.51.100.1"}
    assert set(outcomes(live_site, key, **headers).values()) == {(200, "")}
    keys.http.patch(f"/api/user/api-keys/{key['id']}", json={"allowed_addresses": ["192.0.2.7"]}).raise_for_status()
    assert set(outcomes(live_site, key, **headers).values()) == {(403, "address_not_allowed")}


# Models and scopes -------------------------------------------------------------------------------
def test_a_key_asks_its_models_alone_on_every_door(live_site: Site, keys: Browser) -> None:
    key = new_key(keys, allowed_models=["openai/gpt-4o-*"])
    with asking(live_site, key) as http:
        first = http.post("/api/chat/stream", json=SEND)
        assert first.status_code == 200
        message = next(line for line in first.text.splitlines() if '"message_id"' in line)
        answer = httpx.Response(200, text=message.removeprefix("data: ")).json()["messages"][0]["message_id"]
        again = {"model": OTHER, "max_tokens": 20}
        refused = {
            "send": http.post("/api/chat/stream", json=SEND | {"model": OTHER}),
            "quote": http.post("/api/chat/quote", json=SEND | {"model": OTHER}),
            "side by side": http.post("/api/chat/stream", json=SEND | {"model": None, "models": [MODEL, OTHER]}),
            "regenerate": http.post(f"/api/messages/{answer}/regenerate", json={"model": OTHER}),
            "completion": http.post("/v1/chat/completions", json=COMPLETION | again),
            "stream": http.post("/v1/chat/completions", json=COMPLETION | again | {"stream": True}),
        }
        assert {name: (r.status_code, r.json()["error"]["code"]) for name, r in refused.items()} == dict.fromkeys(
            refused, (403, "model_not_allowed")
        )
        listed = http.get("/v1/models").json()["data"]
        assert {model["id"] for model in listed} >= {MODEL}
        assert all(model["id"].startswith("openai/gpt-4o-") for model in listed)
        shown = http.get("/api/chat/models", params={"q": "claude", "limit": 100}).json()["results"]
        assert shown and not any(model["allowed"] for model in shown)
    with ChatSocket(live_site, {"Authorization": f"Bearer {key['key']}"}) as socket:
        assert socket.turn(**(SEND | {"type": "send", "model": OTHER})).error["code"] == "model_not_allowed"  # type: ignore[index]


def test_a_change_of_scopes_holds_on_the_next_request(live_site: Site, keys: Browser) -> None:
    key = new_key(keys)
    keys.http.patch(f"/api/user/api-keys/{key['id']}", json={"scopes": ["usage"]}).raise_for_status()
    found = outcomes(live_site, key)
    assert {path.split()[-1] for path, outcome in found.items() if outcome[0] == 200} == {
        "/api/auth/session", "/api/user/quota",
    }  # fmt: skip
    assert {outcome for outcome in found.values() if outcome[0] != 200} == {(403, "insufficient_scope")}


# Rates and budgets -------------------------------------------------------------------------------
def test_a_key_has_its_own_rate_beside_the_plan_s(live_site: Site, keys: Browser) -> None:
    key, free = new_key(keys, requests_per_minute=3), new_key(keys)
    with asking(live_site, key) as http, asking(live_site, free) as other:
        answers = [http.post("/v1/chat/completions", json=COMPLETION) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers[:3]] == ["2", "1", "0"]
        assert answers[3].json()["error"]["code"] == "rate_limit_exceeded"
        assert 1 <= int(answers[3].headers["retry-after"]) <= 61
        assert http.post("/api/chat/stream", json=SEND).json()["error"]["code"] == "rate_limited"
        assert other.post("/v1/chat/completions", json=COMPLETION).status_code == 200


@pytest.mark.parametrize(
    ("field", "unit", "limit"), [("limit_tokens", "tokens", 400), ("limit_nano_usd", "nano_usd", 40_000)]
)
def test_a_key_spends_its_own_budget_to_the_end_and_not_beyond(
    live_site: Site, keys: Browser, field: str, unit: str, limit: int
) -> None:
    key, other = new_key(keys, **{field: limit}), new_key(keys, **{field: limit})
    where = f"/api/user/api-keys/{key['id']}"
    with asking(live_site, key) as http, asking(live_site, other) as free:
        for number in range(100):
            door, body = (("/api/chat/stream", SEND), ("/v1/chat/completions", COMPLETION))[number % 2]
            answer = http.post(door, json=body)
            if answer.status_code != 200:
                break
        error = answer.json()["error"]
        assert (answer.status_code, error["type"]) == (429, "insufficient_quota"), error
        assert error["details"]["limit"]["scope"] == f"key:{key['id']}"
        (state,) = keys.http.get(where).json()["limits"]
        assert (state["unit"], state["limit"], state["held"]) == (unit, limit, 0)
        assert 0 < state["used"] <= limit
        assert error["details"]["limit"]["used"] == state["used"]
        assert free.post("/v1/chat/completions", json=COMPLETION).status_code == 200
        keys.http.patch(where, json={field: limit * 2}).raise_for_status()
        assert http.post("/v1/chat/completions", json=COMPLETION).status_code == 200
        rotated = keys.http.post(f"{where}/rotate").json()
        assert rotated["limits"][0]["used"] > state["used"]


def test_what_was_used_without_a_budget_counts_when_one_comes_back(live_site: Site) -> None:
    """A budget that was lifted for a while has not missed what the key used meanwhile."""
    keys = Browser(live_site, live_site.new_user("team"))
    key = new_key(keys, limit_tokens=100_000)
    where = f"/api/user/api-keys/{key['id']}"

    def used() -> int:
        return int(keys.http.get("/api/user/quota").json()["limits"][0]["used"])

    with asking(live_site, key) as http:
        for terms in ({}, {"limit_tokens": "unlimited"}, {"limit_tokens": 90_000}):
            keys.http.patch(where, json=terms).raise_for_status()
            assert http.post("/v1/chat/completions", json=COMPLETION).status_code == 200
    (state,) = keys.http.get(where).json()["limits"]
    assert state["used"] == used() > 0
