"""Who may open a WebSocket: by which credential, from which origin, and until when."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pytest_django.fixtures import Settings
from websockets.sync.client import connect

from accounts.authentication import check_origin, own_origin
from oneai.hot_routes import SOCKETS
from oneai.kit.errors import Refusal
from tests.chat import endings
from tests.chat.browser import Browser
from tests.chat.socket import ChatSocket, open_socket, refusal
from tests.chat.test_watching import PATIENCE, PROMPT, SLOW, ended_within, wait_for
from tests.servers.site import Newcomer, Site


@pytest.fixture(scope="module")
def user(live_site: Site) -> Newcomer:
    return live_site.new_user("pro")


@pytest.fixture(scope="module")
def cookies(live_site: Site, user: Newcomer) -> str:
    return Browser(live_site, user).cookies


def foreign(site: Site) -> list[str]:
    """Origins that are not the site's, some of them nearly."""
    port = site.port
    return [
        "https://evil.example", "null", "", f"https://localhost:{port}", f"http://localhost:{port + 1}",
        "http://localhost", f"http://127.0.0.1:{port}", f"http://localhost.evil.example:{port}",
        f"http://evil-localhost:{port}", f"http://localhost:{port}@evil.example", f"http://localhost:{port}/",
        f"http://LOCALHOST:{port}", f"http://localhost:{port}, https://evil.example", f" http://localhost:{port}/x",
    ]  # fmt: skip


def test_a_session_may_open_a_socket_from_our_own_pages_alone(live_site: Site, cookies: str) -> None:
    assert refusal(live_site, {"Cookie": cookies, "Origin": live_site.url}) == (101, "")
    assert refusal(live_site, {"Cookie": cookies}) == (403, "permission_denied")
    for origin in foreign(live_site):
        assert refusal(live_site, {"Cookie": cookies, "Origin": origin}) == (403, "permission_denied"), origin


def test_a_program_need_not_name_an_origin_and_may_not_name_a_foreign_one(live_site: Site, user: Newcomer) -> None:
    bearer = {"Authorization": f"Bearer {user.api_key}"}
    assert refusal(live_site, bearer) == (101, "")
    assert refusal(live_site, bearer | {"Origin": live_site.url}) == (101, "")
    for origin in foreign(live_site):
        assert refusal(live_site, bearer | {"Origin": origin}) == (403, "permission_denied"), origin
    token = endings.by_token(live_site, user, "").headers
    assert refusal(live_site, token) == (101, "")


def test_origins_that_may_call_the_api_may_open_a_socket_with_a_token_but_not_with_a_cookie(settings: Settings) -> None:
    settings.SITE_URL = "https://chat.example.com:443"
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example.org"]
    assert own_origin() == "https://chat.example.com"
    check_origin([], bearer=True)
    check_origin(["https://app.example.org"], bearer=True)
    check_origin(["https://chat.example.com"], bearer=False)
    for origins in ([], ["https://app.example.org"], ["https://chat.example.com"] * 2):
        with pytest.raises(Refusal):
            check_origin(origins, bearer=False)


def test_who_is_not_known_gets_no_socket(live_site: Site, user: Newcomer, cookies: str) -> None:
    good = user.api_key
    assert refusal(live_site, {}) == (401, "not_authenticated")
    assert refusal(live_site, {"Authorization": "Bearer oneai_nonsense"}) == (401, "invalid_api_key")
    assert refusal(live_site, {"Authorization": "Basic abc"}) == (401, "invalid_token")
    # A bad credential beside a good session is not passed over.
    both = {"Authorization": "Bearer nonsense", "Cookie": cookies, "Origin": live_site.url}
    assert refusal(live_site, both) == (401, "invalid_token")
    for path in (f"/ws/chat?token={good}", f"/ws/chat?access_token={good}", f"/ws/chat?api_key={good}"):
        assert refusal(live_site, {}, path) == (401, "not_authenticated")
    assert refusal(live_site, {"Sec-WebSocket-Protocol": f"bearer, {good}"}) == (401, "not_authenticated")
    assert refusal(live_site, {"X-Api-Key": good}) == (401, "not_authenticated")


def test_a_key_without_the_scope_gets_no_socket(live_site: Site, user: Newcomer) -> None:
    key = live_site.command("create_api_key", user.email, "--scopes", "usage,models").strip().split()[-1]
    assert refusal(live_site, {"Authorization": f"Bearer {key}"}) == (403, "insufficient_scope")


def test_there_is_one_socket() -> None:
    # Another one belongs into every test of this file.
    assert [str(route.pattern) for route in SOCKETS] == ["ws/chat"]


@pytest.mark.parametrize("path", ["/ws/other", "/ws/chat/", "/ws", "/", "/api/chat/stream", "/v1/chat/completions"])
def test_there_is_no_socket_elsewhere(live_site: Site, user: Newcomer, path: str) -> None:
    assert refusal(live_site, {"Authorization": f"Bearer {user.api_key}"}, path) == (404, "not_found")


@pytest.mark.parametrize("cookie", [9_000, 40_000, 200_000])
def test_headers_that_are_too_large_are_refused(live_site: Site, cookie: int) -> None:
    assert refusal(live_site, {"Cookie": "session=" + "x" * cookie}) == (431, "headers_too_large")


def test_a_refused_handshake_has_the_headers_of_every_answer(live_site: Site) -> None:
    from websockets.exceptions import InvalidStatus

    with pytest.raises(InvalidStatus) as refused, connect(f"ws://localhost:{live_site.port}/ws/chat", proxy=None):
        pass
    headers = refused.value.response.headers
    assert headers["www-authenticate"].startswith("Bearer")
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store, private"


@pytest.mark.slow
def test_sockets_end_with_their_credential(live_site: Site) -> None:
    def person() -> Newcomer:
        return live_site.new_user("pro")

    ways = endings.sessions(live_site, person) | endings.keys_and_tokens(live_site, person)
    last: dict[str, str] = {}
    closes: dict[str, tuple[int, str]] = {}

    def read(name: str) -> float:
        deadline = time.monotonic() + PATIENCE + 20
        headers = {key: value for key, value in ways[name].headers.items() if key != "X-CSRFToken"}
        with ChatSocket(live_site, headers) as socket:
            socket.say(type="send", request_id=name, content=PROMPT, model=SLOW, max_tokens=400)
            frame = socket.next()
            while frame["type"] != "error":
                assert frame["type"] != "turn.completed"
                assert time.monotonic() < deadline
                last[name] = frame["type"]
                frame = socket.next()
            last[name] = frame["error"]["code"]
            closes[name] = socket.closed()
        return time.monotonic()

    with ThreadPoolExecutor(len(ways)) as pool:
        opened = {name: pool.submit(read, name) for name in ways}
        wait_for(lambda: len(last) == len(ways))
        seconds = ended_within(ways, opened)
    print({name: round(took, 1) for name, took in seconds.items()})
    assert max(seconds.values()) < PATIENCE
    for name, way in ways.items():
        code = way.refused or "not_authenticated"
        assert last[name] == code
        assert closes[name] == (4403 if code in {"insufficient_scope", "address_not_allowed"} else 4401, code), name


def test_an_idle_socket_ends_with_its_credential_too(live_site: Site) -> None:
    person = live_site.new_user("pro")
    with open_socket(live_site, person) as socket:
        endings.shell(live_site, person, "apikeys.revoke(keys)")
        assert socket.closed()[0] == 4401
