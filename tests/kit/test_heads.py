"""Headers sent twice, and credentials of any shape, mean the same to every part of the house."""

from __future__ import annotations

import json
import re
import time

import httpx
import pytest

from tests.kit.wire import Wire, code_of
from tests.servers.site import Newcomer, Site

pytestmark = pytest.mark.wire
TURN = "0198c0de-0000-7000-8000-000000000000"
PATHS = [f"/api/chat/stream/{TURN}", "/api/user/quota", "/login", "/static/nothing.js"]


@pytest.fixture(scope="module")
def user(live_site: Site) -> Newcomer:
    return live_site.new_user()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer {key}"),
        ("Content-Type", "application/json"),
        ("Content-Length", "0"),
        ("Idempotency-Key", "a"),
        ("Last-Event-ID", "1"),
        ("Host", "localhost"),
        ("Origin", "https://a.example"),
    ],
)
def test_what_may_be_said_once_is_refused_twice(
    live_site: Site, user: Newcomer, path: str, name: str, value: str
) -> None:
    said = (name, value.format(key=user.api_key))
    with Wire(live_site) as wire:
        wire.send(wire.head("GET", path, [said] if name == "Host" else [said, said]))
        status, headers, _ = wire.answer()
    assert status == 400
    assert headers["x-request-id"]


def signed_in(site: Site, user: Newcomer) -> str:
    with httpx.Client(base_url=site.url, headers={"X-Forwarded-For": "203.0.113.90"}) as client:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get("/login").text)
        assert token
        form = {"login": user.email, "password": user.password, "csrfmiddlewaretoken": token.group(1)}
        client.post("/login", data=form, headers={"Referer": site.url + "/login", "Origin": site.url})
        return client.cookies["session"]


def test_cookies_in_several_headers_are_one_list_everywhere(live_site: Site, user: Newcomer) -> None:
    session = signed_in(live_site, user)
    crumbs = [("Cookie", "theme=dark"), ("Cookie", f"session={session}"), ("Cookie", "last=1")]
    seen = {}
    for path in (f"/api/chat/stream/{TURN}", "/api/auth/session", "/c"):
        with Wire(live_site) as wire:
            wire.send(wire.head("GET", path, [*crumbs, ("Connection", "close")]))
            seen[path] = wire.answer()[0]
    assert list(seen.values()) == [404, 200, 200]  # known everywhere; there is no such turn


@pytest.mark.parametrize(
    ("credential", "code"),
    [
        ("Bearer {key}" + "x" * 4096, "invalid_token"),
        ("Bearer  {key}", "invalid_token"),
        ("{key}", "invalid_token"),
        ("Bearer {key}x", "invalid_api_key"),
    ],
)
def test_a_credential_of_the_wrong_shape_is_refused_alike(
    live_site: Site, user: Newcomer, credential: str, code: str
) -> None:
    header = {"Authorization": credential.format(key=user.api_key)}
    chat = {"content": "hi", "model": "openai/gpt-4o-mini"}
    answers = [
        httpx.post(live_site.url + "/api/chat/stream", json=chat, headers=header),
        httpx.get(live_site.url + f"/api/chat/stream/{TURN}", headers=header),
        httpx.get(live_site.url + "/api/user/quota", headers=header),
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert [code_of(answer.content) for answer in answers] == [code] * 3


def refusals(site: Site, request_id: str) -> list[dict[str, str]]:
    return [line for line in site.lines_of(request_id) if line["event"] == "api_key_refused"]


def test_a_refused_key_is_noted_the_same_whichever_door_refused_it(live_site: Site) -> None:
    """C-37: why, when and by which key's id, never the key."""
    user = live_site.new_user()
    made = live_site.command("create_api_key", user.email, "--name", "second", "--json")
    revoke = "from accounts.models import ApiKey; from accounts.apikeys import revoke; revoke(ApiKey.objects.filter("
    live_site.command("shell", "-c", f"{revoke}user__email={user.email!r}, name='test'))")
    other = json.loads(made)["key"]
    live_site.command(
        "shell",
        "-c",
        f"from accounts.models import User; User.objects.filter(email={user.email!r}).update(is_active=False)",
    )
    cases = {user.api_key: "revoked", other: "account disabled", "oneai_broken": "malformed"}
    chat = {"content": "hi", "model": "openai/gpt-4o-mini"}
    completion = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    for key, why in cases.items():
        header = {"Authorization": f"Bearer {key}"}
        answers = [
            httpx.get(live_site.url + "/api/user/quota", headers=header),
            httpx.post(live_site.url + "/api/chat/stream", json=chat, headers=header),
            httpx.post(live_site.url + "/v1/chat/completions", json=completion, headers=header),
        ]
        time.sleep(0.05)
        for answer in answers:
            (line,) = refusals(live_site, answer.headers["x-request-id"])
            assert line["why"] == why
            assert bool(line["api_key_id"]) == (why != "malformed")
        assert key not in live_site.log_path.read_text()
