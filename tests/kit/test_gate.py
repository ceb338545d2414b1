"""The gate: what holds for every answer of a real server, whichever part of the house gave it."""

from __future__ import annotations

import re
import secrets

import httpx
import pytest

from oneai.kit.gate import LETTERS, Policy
from oneai.kit.hosts import Hosts
from tests.chat.browser import Browser
from tests.servers.site import Newcomer, Site

pytestmark = pytest.mark.wire
PAGES = [
    "/",
    "/pricing",
    "/login",
    "/signup",
    "/nothing-here",
    "/admin/",
    "/c",
    "/settings/keys",
    "/static/nothing.js",
    "/healthz",
]
API = [
    "/api/nothing",
    "/api/user/quota",
    "/api/user/api-keys",
    "/api/chat/models",
    "/v1/models",
    "/v1/nothing",
    "/api/chat/stream",
    "/readyz",
]


@pytest.fixture(scope="module")
def user(live_site: Site) -> Newcomer:
    return live_site.new_user()


@pytest.mark.parametrize("path", PAGES + API)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_every_answer_carries_the_headers(live_site: Site, path: str, method: str) -> None:
    answer = httpx.request(method, live_site.url + path, follow_redirects=False)
    headers = answer.headers
    assert re.fullmatch(r"[a-z2-7]{26}", headers["x-request-id"])
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["referrer-policy"] in {"strict-origin-when-cross-origin", "no-referrer", "same-origin"}
    assert "server" not in headers
    assert "x-powered-by" not in headers
    policy = headers["content-security-policy"]
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy
    assert policy.startswith("default-src 'none'")
    assert "strict-transport-security" not in headers  # plain http on loopback
    if path.startswith(("/api/", "/v1/")):
        assert headers["content-type"].startswith("application/json")
        assert headers["cache-control"] == "no-store, private"
        assert "error" in answer.json() or answer.status_code < 400


def test_the_nonce_is_new_in_each_answer_and_the_page_s_own(live_site: Site) -> None:
    nonces = set()
    for _ in range(3):
        answer = httpx.get(live_site.url + "/")
        (nonce,) = set(re.findall(r"'nonce-([^']+)'", answer.headers["content-security-policy"]))
        assert len(nonce) >= 22
        assert f'nonce="{nonce}"' in answer.text
        nonces.add(nonce)
    assert len(nonces) == 3


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/chat/stream", 405, "method_not_allowed"),
        ("DELETE", "/v1/chat/completions", 405, "method_not_allowed"),
        ("PUT", "/api/conversations", 405, "method_not_allowed"),
        ("GET", "/api/conversations/not-an-id", 404, "not_found"),
        ("POST", "/api/user/quota", 405, "method_not_allowed"),
        ("GET", "/api/wibble", 404, "not_found"),
        ("GET", "/api", 404, "not_found"),
    ],
)
def test_errors_of_the_api_have_one_body_whatever_raised_them(
    live_site: Site, user: Newcomer, method: str, path: str, status: int, code: str
) -> None:
    answer = httpx.request(method, live_site.url + path, headers={"Authorization": f"Bearer {user.api_key}"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert set(error) >= {"code", "message", "type", "param", "request_id"}
    assert error["request_id"] == answer.headers["x-request-id"]
    if status == 405:
        assert answer.headers["allow"]


def test_pages_are_for_people_also_when_they_are_not_there(live_site: Site) -> None:
    answer = httpx.get(live_site.url + "/nothing-here")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "Traceback" not in answer.text


def test_an_address_that_only_takes_forms_says_so_to_who_opens_it(live_site: Site) -> None:
    for address in ("/c/send", "/docs/errors/feedback"):  # for who is signed in, and for everybody
        answer = Browser(live_site, live_site.new_user()).http.get(address)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert "This address only takes forms" in answer.text
        assert answer.headers["x-request-id"] in answer.text


def test_cors_is_open_on_v1_without_credentials_and_shut_elsewhere(live_site: Site) -> None:
    origin = {"Origin": "https://elsewhere.example"}
    for path in ("/v1/models", "/v1/chat/completions"):
        preflight = httpx.options(live_site.url + path, headers=origin | {"Access-Control-Request-Method": "POST"})
        assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, "*")
        assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
        assert "access-control-allow-credentials" not in preflight.headers
    for path in ("/api/user/quota", "/", "/login"):
        assert "access-control-allow-origin" not in httpx.get(live_site.url + path, headers=origin).headers


def test_cors_of_the_api_is_open_to_listed_origins_only(fresh_site) -> None:  # type: ignore[no-untyped-def]
    site = fresh_site(worker=False, settings={"CORS_ALLOWED_ORIGINS": "https://app.example"})
    allowed = httpx.get(site.url + "/api/user/quota", headers={"Origin": "https://app.example"})
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-credentials" not in allowed.headers
    other = httpx.get(site.url + "/api/user/quota", headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers


def test_a_body_over_the_limit_is_refused_on_pages_and_api_alike(live_site: Site, user: Newcomer) -> None:
    body = b"x" * (1024 * 1024 + 1)
    for path in ("/login", "/api/conversations", "/nothing-here", "/v1/nothing"):
        answer = httpx.post(live_site.url + path, content=body, headers={"Authorization": f"Bearer {user.api_key}"})
        assert answer.status_code == 413, path
    huge = httpx.post(live_site.url + "/login", content=b"", headers={"Content-Length": "0"})
    assert huge.status_code != 413


def test_logs_hold_no_prompt_no_key_and_no_password(live_site: Site, user: Newcomer) -> None:
    secret = "the-canary-prompt-7c21"
    httpx.post(
        live_site.url + "/api/chat/stream",
        json={"content": secret, "model": "openai/gpt-4o-mini"},
        headers={"Authorization": f"Bearer {user.api_key}"},
    )
    httpx.post(
        live_site.url + "/api/chat/stream", json={"content": secret}, headers={"Authorization": "Bearer oneai_x"}
    )
    log = live_site.log_path.read_text()
    assert '"event":"request"' in log
    for planted in (secret, user.api_key, user.password, live_site.env["SECRET_KEY"]):
        assert planted not in log


def test_a_site_with_tls_says_so_and_sends_plain_visitors_there(fresh_site) -> None:  # type: ignore[no-untyped-def]
    site = fresh_site(worker=False, settings={"SITE_URL": "https://localhost", "TRUSTED_PROXIES": "1"})
    over_tls = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9", "Host": "localhost"}
    page = httpx.get(site.url + "/login", headers=over_tls)
    assert page.headers["strict-transport-security"] == "max-age=31536000"
    assert "upgrade-insecure-requests" in page.headers["content-security-policy"]
    assert "wss://localhost" in page.headers["content-security-policy"]
    cookies = page.headers.get_list("set-cookie")
    assert any(cookie.startswith("__Host-csrf=") for cookie in cookies)
    assert all("Secure" in cookie and "HttpOnly" in cookie and "Path=/" in cookie for cookie in cookies)
    assert not any("Domain=" in cookie for cookie in cookies)
    listed = httpx.get(site.url + "/api/subscription/plans?limit=1", headers=over_tls).json()
    assert listed["next"].startswith("https://localhost/")
    plain = httpx.get(site.url + "/pricing?a=b", headers=over_tls | {"X-Forwarded-Proto": "http"})
    assert (plain.status_code, plain.headers["location"]) == (308, "https://localhost/pricing?a=b")
    assert httpx.get(site.url + "/readyz", headers={"X-Forwarded-Proto": "http"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/pricing", "/login", "/static/nothing.js", "/v1/models", "/api/schema", "/c"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_request_for_another_host_is_refused_whatever_it_asks_for(live_site: Site, path: str, method: str) -> None:
    said = {"Host": "evil.example", "Origin": "https://evil.example"}
    answer = httpx.request(method, live_site.url + path, headers=said)
    assert answer.status_code == 400
    assert [line["level"] for line in live_site.lines_of(answer.headers["x-request-id"])] == ["info"]


def test_a_socket_for_another_host_is_refused(live_site: Site) -> None:
    said = {"Host": "evil.example", "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    answer = httpx.get(live_site.url + "/ws/chat", headers=said | {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
    assert answer.status_code == 400


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/readyz", 200), ("/metrics", 404)])
def test_machines_inside_may_ask_by_an_address(live_site: Site, path: str, status: int) -> None:
    assert httpx.get(live_site.url + path, headers={"Host": "172.18.0.5:8000"}).status_code == status


def test_hosts_are_judged_to_the_letter() -> None:
    hosts = Hosts([".example.com", "[::1]"])
    for host in (b"example.com", b"A.Example.com:8000", b"[::1]:80"):
        assert not hosts.foreign("/", host)
    for host in (b"", b"example.com.evil.net", b"evil@example.com", b"example.com:x", b"[::2]", b"\xff"):
        assert hosts.foreign("/", host)


@pytest.mark.parametrize("path", ["/docs", "/pricing", "/login", "/docs/quota"])
def test_an_address_with_a_slash_too_many_leads_to_its_page(live_site: Site, path: str) -> None:
    answer = httpx.get(f"{live_site.url}{path}/?a=b%2F", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (301, f"{path}?a=b%2F")
    assert httpx.post(f"{live_site.url}{path}/").status_code in {403, 404}


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example/",
        "//evil.example/docs/",
        "/%5Cevil.example/",
        "//docs/",
        "/nothing/",
        "/v1/models/",
        "/api/schema/",
    ],
)
def test_what_is_no_page_without_its_slash_either_is_not_there(live_site: Site, path: str) -> None:
    answer = httpx.get(live_site.url + path, follow_redirects=False)
    assert answer.status_code in {401, 404}
    assert "location" not in answer.headers


def policy() -> dict[str, dict[str, str]]:
    """The headers of a page, by its path."""
    made = Policy(
        site_url="https://chat.example", form_targets=[], cors_origins=[], payment_origins=["https://pay.example"]
    )
    paths = ("/billing", "/billing/pay/1", "/billing/method/1", "/c", "/admin/", f"{LETTERS}receipt/")
    return {
        path: {name.decode(): value.decode() for name, value in made.headers(path, b"text/html", "n")} for path in paths
    }


def test_only_pages_that_take_payments_may_frame_and_call_where_they_are_made() -> None:
    for path, headers in policy().items():
        paying = path.startswith(("/billing/pay/", "/billing/method/"))
        assert headers["content-security-policy"].count("https://pay.example") == (3 if paying else 0), path
        opener = "same-origin-allow-popups" if paying else "same-origin"
        assert headers["cross-origin-opener-policy"] == opener


def test_only_a_mail_on_the_desk_may_have_inline_styles_and_it_can_do_nothing() -> None:
    for path, headers in policy().items():
        shown = headers["content-security-policy"]
        if path.startswith(LETTERS):
            assert shown == "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
            assert "x-frame-options" not in headers
        else:
            assert "unsafe-inline" not in shown
            assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/settings/team/join/{}", "/settings/team/join/<token>"),
        ("/s/{}", "/s/<token>"),
        ("/s/{}/report", "/s/<token>/report"),
        ("/static/{}", "/static/{}"),
    ],
)
def test_an_address_that_is_a_secret_is_in_no_log(live_site: Site, path: str, logged: str) -> None:
    token = secrets.token_urlsafe(32)
    answer = httpx.get(live_site.url + path.format(token), follow_redirects=False)
    assert live_site.lines_of(answer.headers["x-request-id"])[-1]["path"] == logged.format(token)
    assert "{}" in logged or token not in live_site.log_path.read_text()
