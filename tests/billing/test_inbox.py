"""The webhook door from outside: what is kept, once, and what is turned away with nothing kept."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from tests.billing.inbox import ACCOUNT, DOORS, event, headers, kept, new_id, send, signature
from tests.servers.sandbox import RAZORPAY_WEBHOOK_SECRET
from tests.servers.site import Site


@pytest.fixture(scope="module")
def site(own_site: Callable[..., Site]) -> Site:
    """A site whose inbox nobody handles: what these tests send is no business of others."""
    return own_site(worker=False)


@pytest.mark.parametrize("door", DOORS)
def test_an_event_is_kept_as_it_came(site: Site, door: str) -> None:
    event_id, body = new_id(), event("payment.made-up", extra={"unheard": "of", "rupees": "₹"})
    answer = send(site, body, event_id, door=door)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "set-cookie" not in answer.headers
    [row] = kept(site, event_id)
    assert (row["event_type"], row["account_id"], row["body"]) == ("payment.made-up", ACCOUNT, body.decode())


def test_a_duplicate_is_acknowledged_and_kept_once(site: Site) -> None:
    event_id = new_id()
    first, second = event("a.first"), event("a.second")
    assert [send(site, body, event_id).status_code for body in (first, first, second)] == [200] * 3
    assert [row["event_type"] for row in kept(site, event_id)] == ["a.first"]


def test_twenty_duplicates_at_once_to_several_processes_are_one_row(fresh_site: Callable[..., Site]) -> None:
    several = fresh_site(processes=2, worker=False)
    events = [(new_id(), event(number=number)) for number in range(2)]
    with ThreadPoolExecutor(20) as pool:
        for event_id, body in events:
            statuses = list(
                pool.map(lambda _, body=body, one=event_id: send(several, body, one).status_code, range(20))
            )
            assert statuses == [200] * 20
    assert sorted(row["event_id"] for row in kept(several)) == sorted(event_id for event_id, _ in events)


def test_an_event_without_an_id_is_known_by_its_body(site: Site) -> None:
    body = event("a.b", nonce=new_id())
    assert [send(site, body).status_code for _ in range(2)] == [200, 200]
    assert len(kept(site, f"sha256:{hashlib.sha256(body).hexdigest()}")) == 1


@pytest.mark.parametrize("odd", ["x" * 81, "x" * 5000])
def test_an_id_of_any_length_is_one(site: Site, odd: str) -> None:
    odd = f"{new_id()}{odd}"
    assert [send(site, event("a.b"), odd).status_code for _ in range(2)] == [200, 200]
    assert len(kept(site, f"id-sha256:{hashlib.sha256(odd.encode()).hexdigest()}")) == 1


BODY = event("a.forged")
FORGED = {
    "wrong": "0" * 64,
    "missing": "",
    "of another body": signature(event("a.other")),
    "by another secret": signature(BODY, "x" * 42),
    "by an empty secret": hmac.new(b"", BODY, hashlib.sha256).hexdigest(),
    "cut": signature(BODY)[:-1],
    "longer": signature(BODY) + "0",
    "in capitals": signature(BODY).upper(),
    "by the key secret": signature(BODY, "sandbox-razorpay-secret-not-secret"),
    "not ascii": "é" * 64,
}


@pytest.mark.parametrize("how", FORGED)
def test_a_signature_that_is_not_right_keeps_nothing(site: Site, how: str) -> None:
    event_id = new_id()
    given = headers(BODY, event_id, FORGED[how])
    encoded = {name: value.encode("latin-1") for name, value in given.items()}
    answer = httpx.post(site.url + DOORS[0], content=BODY, headers=encoded)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_signature")
    assert kept(site, event_id) == []


def test_bytes_changed_on_the_way_keep_nothing(site: Site) -> None:
    body = event("a.b")
    again = json.dumps(json.loads(body)).encode()
    assert json.loads(again) == json.loads(body) and again != body
    for changed in (again, body + b"\n", body.replace(b"49900", b"49901"), b"\xef\xbb\xbf" + body):
        event_id = new_id()
        assert send(site, changed, event_id, signature(body)).status_code == 400
        assert kept(site, event_id) == []


def test_two_secrets_are_good_while_both_are_listed(fresh_site: Callable[..., Site]) -> None:
    new, old = "n" * 32, "o" * 40
    during = fresh_site(worker=False, settings={"RAZORPAY_WEBHOOK_SECRET": f"{new},{old}"})
    body = event("a.b")
    statuses = [send(during, body, new_id(), signature(body, secret)).status_code for secret in (new, old, "x" * 32)]
    assert statuses == [200, 200, 400]
    assert len(kept(during)) == 2


def test_an_old_secret_is_worth_nothing_once_it_is_taken_off_the_list(site: Site) -> None:
    body = event("a.b")
    assert send(site, body, new_id(), signature(body, "o" * 40)).status_code == 400


def test_a_large_body_is_turned_away_however_it_is_announced(site: Site) -> None:
    body = event("a.b", filling="x" * 10 * 1024 * 1024)
    event_id = new_id()
    given = headers(body, event_id)
    address = urlsplit(site.url)
    for chunked in (False, True):
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
        content = iter([body[start : start + 65536] for start in range(0, len(body), 65536)]) if chunked else body
        try:
            connection.request("POST", DOORS[0], body=content, headers=given, encode_chunked=chunked)
        except OSError:  # it has answered and left
            pass
        assert connection.getresponse().status == 413
        connection.close()
    assert kept(site, event_id) == []


def test_a_body_of_almost_a_mebibyte_is_kept(site: Site) -> None:
    event_id, body = new_id(), event("a.b", filling="x" * (1024 * 1024 - 2000))
    assert send(site, body, event_id).status_code == 200
    assert kept(site, event_id)[0]["body"] == body.decode()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"plain text", b'{"event": 7}', b'"\x00"'])
def test_what_is_signed_and_is_no_event_is_kept_all_the_same(site: Site, body: bytes) -> None:
    event_id = new_id()
    assert send(site, body, event_id).status_code == 200
    assert [row["event_type"] for row in kept(site, event_id)] == [""]


def test_a_session_or_a_key_beside_it_changes_nothing(site: Site) -> None:
    body, event_id = event("a.b"), new_id()
    given = headers(body, event_id) | {"Authorization": "Bearer oneai_nonsense", "Cookie": "session=x; csrf=y"}
    assert httpx.post(site.url + DOORS[0], content=body, headers=given).status_code == 200
    given = headers(body, new_id()) | {"Content-Type": "text/plain", "Origin": "https://elsewhere.example"}
    assert httpx.post(site.url + DOORS[0], content=body, headers=given).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_post_is_answered(site: Site, method: str) -> None:
    answer = httpx.request(method, site.url + DOORS[0])
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_site_without_payments_says_so_and_never_2xx(fresh_site: Callable[..., Site]) -> None:
    off = dict.fromkeys(("RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET", "RAZORPAY_WEBHOOK_SECRET"), "")
    closed = fresh_site(worker=False, settings=off)
    body = event("a.b")
    for proof in (signature(body), hmac.new(b"", body, hashlib.sha256).hexdigest(), ""):
        answer = send(closed, body, new_id(), proof)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "payments_off")
    assert kept(closed) == []


def test_the_log_says_that_an_event_was_turned_away_and_shows_no_secret(site: Site) -> None:
    before = site.log().count("webhook_rejected")
    send(site, BODY, new_id(), "0" * 64)
    assert site.log().count("webhook_rejected") == before + 1
    assert RAZORPAY_WEBHOOK_SECRET not in site.log()
