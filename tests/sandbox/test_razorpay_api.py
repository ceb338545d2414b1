"""The door of the imitated Razorpay: keys, modes, refusals, lists, and faults that were ordered."""

from __future__ import annotations

from http.client import BadStatusLine
from urllib.parse import urlencode

import pytest

from tests.sandbox.razorpay import KEY, LIVE_KEY, LIVE_SECRET, SECRET, Razorpay, Receiver, basic
from tests.sandbox.wire import Client
from tests.servers.process import ROOT

PLANS = "/razorpay/v1/plans"
NO_ANSWER = (BadStatusLine, ConnectionError)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "Authentication failed"),
        ({"Authorization": "Bearer x"}, "Authentication failed"),
        ({"Authorization": "Basic ???"}, "Authentication failed"),
        (basic(secret="no"), "Authentication failed"),
        (basic(secret=LIVE_SECRET), "Authentication failed"),
        (basic("rzp_test_unknown", SECRET), "The api key provided is invalid"),
    ],
)
def test_wrong_keys_are_refused(box: Client, headers: dict[str, str], words: str) -> None:
    status, body = box.call("GET", PLANS, headers=headers)
    assert status == 401 and body["error"]["description"] == words
    assert body["error"]["code"] == "BAD_REQUEST_ERROR" and body["error"]["metadata"] == {}


def test_the_modes_know_nothing_of_each_other(razorpay: Razorpay) -> None:
    plan = razorpay.plan()
    live = basic(LIVE_KEY, LIVE_SECRET)
    assert razorpay.box.call("GET", PLANS, headers=live)[1]["count"] == 0
    status, body = razorpay.box.call("GET", f"{PLANS}/{plan['id']}", headers=live)
    assert (status, body["error"]["description"]) == (400, "The id provided does not exist")
    asked = {"plan_id": plan["id"], "total_count": 1}
    assert razorpay.box.call("POST", "/razorpay/v1/subscriptions", asked, live)[0] == 400


def test_unknown_things_are_refused_as_the_service_does(razorpay: Razorpay) -> None:
    for method, path in (("GET", "/nothing"), ("DELETE", "/plans/plan_1"), ("PUT", "/subscriptions")):
        assert razorpay.no(method, path)["description"] == "The requested URL was not found on the server."
    assert razorpay.no("GET", "/subscriptions/sub_00000000000000")["description"] == "The id provided does not exist"
    plan = razorpay.plan()
    more = razorpay.no("POST", "/subscriptions", {"plan_id": plan["id"], "total_count": 1, "price": 1})
    assert more["description"] == "price is/are not required and should not be sent"
    unknown = razorpay.no("POST", "/subscriptions", {"plan_id": "plan_00000000000000", "total_count": 1})
    assert (unknown["field"], unknown["reason"]) == ("plan_id", "input_validation_failed")
    missing = razorpay.no("POST", "/subscriptions", {"plan_id": plan["id"]})
    assert missing["description"] == "The total count field is required." and missing["field"] == "total_count"


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/orders", {"amount": 99, "currency": "INR"}, "less than minimum amount"),
        ("/orders", {"amount": "many", "currency": "INR"}, "must be an integer"),
        ("/orders", {"amount": 100}, "required"),
        ("/orders", {"amount": 100, "currency": "INR", "receipt": "r" * 41}, "between"),
        ("/orders", {"amount": 100, "currency": "INR", "notes": {str(n): "x" for n in range(16)}}, "15"),
        ("/orders", {"amount": 100, "currency": "INR", "notes": {"a": "x" * 257}}, "256"),
        ("/plans", {"period": "daily", "interval": 6, "item": {}}, "7"),
        ("/plans", {"period": "hourly", "interval": 1, "item": {}}, "period"),
        ("/plans", {"period": "monthly", "interval": 1}, "item field is required"),
        ("/plans", {"period": "monthly", "interval": 1, "item": {"name": "x", "amount": 1, "currency": "INR"}}, "1.00"),
    ],
)
def test_bodies_that_make_no_sense(razorpay: Razorpay, path: str, body: object, words: str) -> None:
    assert words in razorpay.no("POST", path, body)["description"]


def test_subscriptions_that_make_no_sense(razorpay: Razorpay) -> None:
    plan = razorpay.plan(period="yearly")["id"]
    now = razorpay.advance()
    for fields in (
        {"total_count": 101},
        {"total_count": 0},
        {"total_count": 1, "quantity": 0},
        {"total_count": 1, "start_at": now - 1},
        {"total_count": 1, "expire_by": now},
        {"total_count": 1, "customer_notify": "perhaps"},
        {"total_count": 1, "addons": [{}] * 6},
        {"total_count": 1, "addons": [{"quantity": 1}]},
    ):
        assert razorpay.no("POST", "/subscriptions", {"plan_id": plan} | fields)
    for raw in (b"{", b'"text"'):
        reply = razorpay.box.raw("POST", PLANS, raw, basic())
        assert reply.status == 400


def test_empty_notes_come_back_as_a_list(razorpay: Razorpay) -> None:
    for given, seen in (({}, []), ([], []), ({"user": "7"}, {"user": "7"})):
        made = razorpay.ok("POST", "/orders", {"amount": 100, "currency": "INR", "notes": given})
        assert made["notes"] == seen


def test_lists_have_pages_of_a_hundred_and_a_span_of_time(razorpay: Razorpay) -> None:
    plan = razorpay.plan(period="daily", interval=7)
    key = razorpay.active(plan=plan, total_count=130)
    start = razorpay.advance()
    razorpay.advance(days=7 * 129)
    path = f"/invoices?subscription_id={key}"
    assert razorpay.ok("GET", path)["count"] == 10
    assert "between" in razorpay.no("GET", path + "&count=101")["description"]
    pages = [razorpay.ok("GET", f"{path}&count=100&skip={skip}") for skip in (0, 100, 200)]
    assert [page["count"] for page in pages] == [100, 30, 0]
    keys = [row["id"] for page in pages for row in page["items"]]
    assert len(set(keys)) == 130
    made = [row["created_at"] for page in pages for row in page["items"]]
    assert made == sorted(made, reverse=True)
    assert razorpay.ok("GET", f"{path}&from={start}&to={start}")["count"] == 1
    assert razorpay.ok("GET", f"/subscriptions?plan_id={plan['id']}")["items"][0]["id"] == key
    assert razorpay.ok("GET", "/payments?count=100")["count"] == 100


# Faults ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("401", 401, "BAD_REQUEST_ERROR"),
        ("429", 429, "BAD_REQUEST_ERROR"),
        ("500", 500, "SERVER_ERROR"),
        ("503", 503, "SERVER_ERROR"),
        ("504", 504, "GATEWAY_ERROR"),
        ("url-not-found", 400, "BAD_REQUEST_ERROR"),
    ],
)
def test_faults_that_are_answers_happen_as_often_as_ordered(
    razorpay: Razorpay, fault: str, status: int, code: str
) -> None:
    razorpay.control("fault", {"fault": fault, "path": "/plans", "method": "GET", "times": 2})
    assert [razorpay.no("GET", "/plans", status=status)["code"] for _ in range(2)] == [code] * 2
    assert razorpay.ok("GET", "/plans")["count"] == 0


def test_a_page_of_the_edge_and_broken_json(razorpay: Razorpay) -> None:
    razorpay.control("fault", {"fault": "502-html", "path": "/payments/*"})
    reply = razorpay.raw("GET", "/payments/pay_1")
    assert reply.status == 502 and reply.headers["content-type"].startswith("text/html")
    razorpay.control("fault", {"fault": "garbage", "path": "/plans"})
    assert razorpay.ask("GET", "/plans") == (200, '{"entity":')


@pytest.mark.parametrize("fault", ["lost", "lost-reset", "lost-500"])
def test_an_answer_may_be_lost_though_it_was_done(razorpay: Razorpay, fault: str) -> None:
    plan = razorpay.plan()
    razorpay.control("fault", {"fault": fault, "method": "POST", "path": "/subscriptions", "seconds": 0.1})
    body = {"plan_id": plan["id"], "total_count": 1, "notes": {"ours": "42"}}
    if fault == "lost-500":
        assert razorpay.raw("POST", "/subscriptions", body).status == 500
    else:
        with pytest.raises(NO_ANSWER):
            razorpay.raw("POST", "/subscriptions", body)
    (found,) = razorpay.ok("GET", f"/subscriptions?plan_id={plan['id']}")["items"]
    assert found["notes"] == {"ours": "42"}


@pytest.mark.parametrize("fault", ["timeout", "reset"])
def test_or_nothing_was_done(razorpay: Razorpay, fault: str) -> None:
    razorpay.control("fault", {"fault": fault, "seconds": 0.1})
    with pytest.raises(NO_ANSWER):
        razorpay.raw("POST", "/orders", {"amount": 100, "currency": "INR"})
    assert razorpay.ok("GET", "/orders")["count"] == 0


def test_every_second_after_some(razorpay: Razorpay) -> None:
    razorpay.control("fault", {"fault": "500", "path": "/plans", "times": 2, "every": 2, "after": 1})
    assert [razorpay.ask("GET", "/plans")[0] for _ in range(6)] == [200, 200, 500, 200, 500, 200]
    assert razorpay.control("fault")["ordered"] == []


def test_subscriptions_may_be_switched_off(razorpay: Razorpay) -> None:
    razorpay.control("habits", {"subscriptions_enabled": False})
    assert "URL was not found" in razorpay.no("GET", "/plans")["description"]
    assert razorpay.ok("GET", "/orders")["count"] == 0


# Control -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "address",
    ["https://example.com", "javascript:alert(1)", "http://[", "http://localhost:x", "http://a b;x.localhost/", "/x"],
)
def test_pages_and_callbacks_are_of_this_machine(razorpay: Razorpay, address: str) -> None:
    query = {"key": KEY, "subscription_id": razorpay.subscribe()}
    for name in ("origin", "callback_url"):
        page = razorpay.box.raw("GET", "/razorpay/checkout/frame?" + urlencode(query | {name: address}), b"")
        assert "only to pages of this machine" in page.body.decode()
        assert "example.com" not in page.headers["content-security-policy"]
    back = razorpay.box.raw("GET", "/razorpay/checkout/return?" + urlencode({"to": address}), b"")
    assert "only to pages of this machine" in back.body.decode() and "<form" not in back.body.decode()


def test_what_the_site_says_is_shown_and_never_run(razorpay: Razorpay) -> None:
    query = {"key": KEY, "subscription_id": razorpay.subscribe(), "name": "<script>x</script>", "email": "'><b>"}
    page = razorpay.box.raw("GET", "/razorpay/checkout/frame?" + urlencode(query), b"").body.decode()
    assert "<script>x" not in page and "&lt;script&gt;x" in page and "'><b>" not in page


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("clock", {"now": 5}),
        ("clock", {"weeks": 1}),
        ("webhooks", {"url": "http://example.com/hook"}),
        ("webhooks", {"mode": "perhaps"}),
        ("webhooks", {"events": "all"}),
        ("fault", {"fault": "none"}),
        ("habits", {"refunds": "never"}),
        ("deliver", {"events": ["unknown"]}),
        ("forge", {}),
        ("subscription/sub_unknown/authenticate", {}),
        ("object/thing_1", {}),
    ],
)
def test_control_calls_say_what_is_wrong(razorpay: Razorpay, call: str, body: object) -> None:
    status, said = razorpay.box.call("POST", f"/_control/razorpay/{call}", body)
    assert status == 400 and said["error"]


def test_the_readme_lists_every_walk(razorpay: Razorpay) -> None:
    said = razorpay.box.call("POST", f"/_control/razorpay/subscription/{razorpay.subscribe()}/none", {})[1]["error"]
    text = (ROOT / "sandbox" / "README.md").read_text(encoding="utf-8")
    walks = said.removeprefix("walk: one of ").split(", ")
    assert len(walks) == 11 and [walk for walk in walks if f"`{walk}`" not in text] == []


def test_a_clock_that_runs_goes_on_from_where_it_was_moved(box: Client) -> None:
    before = box.control("razorpay/clock")
    moved = box.control("razorpay/clock", {"days": 10})
    assert not before["frozen"] and 864_000 <= moved["now"] - before["now"] < 864_000 + 60


def test_reset_forgets_everything(razorpay: Razorpay, receiver: Receiver) -> None:
    razorpay.active()
    razorpay.control("reset", {})
    assert set(razorpay.control("objects").values()) == {0} and razorpay.control("events")["count"] == 0
    assert razorpay.control("webhooks")["url"] is None and not razorpay.control("clock")["frozen"]


def test_a_year_of_two_hundred_subscribers(razorpay: Razorpay) -> None:
    plan = razorpay.plan()
    keys = [razorpay.active(plan=plan, total_count=120) for _ in range(200)]
    razorpay.advance(days=366)
    paid = [row["paid_count"] for row in razorpay.control("objects?kind=sub")["items"]]
    assert len(keys) == len(paid) and set(paid) == {13}
    captured = [row["amount"] for row in razorpay.control("objects?kind=pay")["items"] if row["status"] == "captured"]
    assert sum(captured) == 200 * 13 * 49_900
