"""The client over real HTTP: what it sends, how it pages, and what each kind of failure says."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.razorpay import calls, errors
from billing.razorpay.client import Razorpay, client
from billing.razorpay.once import once
from billing.razorpay.wire import Subscription
from tests.billing import razorpay_objects as rzp
from tests.billing.razorpay_answers import Answers, Asked, Says, refusal
from tests.servers.process import free_port


@pytest.fixture
def answers() -> Iterator[Answers]:
    server = Answers()
    yield server
    server.close()


@pytest.fixture
def razorpay(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> Razorpay:
    monkeypatch.setattr(calls, "READ_SECONDS", 1.0)
    return client(base_url=answers.url, key_id="rzp_test_key00001", key_secret="its secret")


def create(razorpay: Razorpay) -> Subscription:
    return razorpay.create_subscription("the key", plan_id="plan_1", total_count=120, notes={"user": "u"})


def test_a_subscription_is_asked_for_with_the_key_and_nothing_that_was_not_given(
    answers: Answers, razorpay: Razorpay
) -> None:
    answers.says = lambda asked: Says(rzp.subscription())
    assert create(razorpay).id == "sub_AAAAAAAAAAAA01"
    [asked] = answers.asked
    assert (asked.method, asked.path) == ("POST", "/v1/subscriptions")
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(b"rzp_test_key00001:its secret").decode()
    assert asked.body == {
        "plan_id": "plan_1",
        "total_count": 120,
        "quantity": 1,
        "customer_notify": False,
        "notes": {"user": "u", "oneai_key": "the key"},
    }


def test_each_method_asks_for_its_address(answers: Answers, razorpay: Razorpay) -> None:
    at = datetime.fromtimestamp(1790000000, UTC)
    objects: dict[str, Any] = {
        "subscriptions": rzp.subscription(), "plans": rzp.plan(), "payments": rzp.payment(), "orders": rzp.order(),
        "refunds": rzp.refund(), "refund": rzp.refund(), "invoices": rzp.invoice(), "customers": {"id": "cust_1"},
        "payment_links": {"id": "plink_1", "amount": 1, "currency": "INR"},
        "disputes": {"id": "disp_1", "payment_id": "pay_1", "amount": 1, "currency": "INR"},
    }  # fmt: skip

    def says(asked: Asked) -> Says:
        parts = asked.path.split("/")
        made = objects.get(parts[-1]) if parts[-1] == "refund" else objects[parts[2]]
        if "count" in asked.query:
            made = {"items": [objects[parts[-1]]]}
        return Says(made)

    answers.says = says
    razorpay.create_plan("k", period="monthly", interval=1, name="Plus", amount=49900)
    razorpay.plan("plan_1")
    list(razorpay.plans(at))
    razorpay.cancel_subscription("sub_1", at_cycle_end=True)
    razorpay.update_subscription("sub_1", when="cycle_end", quantity=3)
    razorpay.scheduled_changes("sub_1")
    razorpay.cancel_scheduled_changes("sub_1")
    razorpay.pause_subscription("sub_1")
    razorpay.resume_subscription("sub_1")
    razorpay.customer_for(name="A", email="a@example.com")
    razorpay.payment("pay_1")
    razorpay.capture("pay_1", amount=100)
    razorpay.create_refund("refund-key-1", "pay_1", amount=100)
    razorpay.refund("rfnd_1")
    list(razorpay.refunds_of("pay_1"))
    razorpay.create_order("k", amount=100, receipt="r")
    list(razorpay.payments_of_order("order_1"))
    list(razorpay.invoices_of("sub_1"))
    razorpay.create_link("k", amount=100, reference_id="r", description="d", callback_url="https://x/y", expire_by=at)
    razorpay.link("plink_1")
    razorpay.dispute("disp_1")
    assert [(asked.method, asked.path) for asked in answers.asked] == [
        ("POST", "/v1/plans"), ("GET", "/v1/plans/plan_1"), ("GET", "/v1/plans"),
        ("POST", "/v1/subscriptions/sub_1/cancel"), ("PATCH", "/v1/subscriptions/sub_1"),
        ("GET", "/v1/subscriptions/sub_1/retrieve_scheduled_changes"),
        ("POST", "/v1/subscriptions/sub_1/cancel_scheduled_changes"), ("POST", "/v1/subscriptions/sub_1/pause"),
        ("POST", "/v1/subscriptions/sub_1/resume"), ("POST", "/v1/customers"), ("GET", "/v1/payments/pay_1"),
        ("POST", "/v1/payments/pay_1/capture"), ("POST", "/v1/payments/pay_1/refund"), ("GET", "/v1/refunds/rfnd_1"),
        ("GET", "/v1/payments/pay_1/refunds"), ("POST", "/v1/orders"), ("GET", "/v1/orders/order_1/payments"),
        ("GET", "/v1/invoices"), ("POST", "/v1/payment_links"), ("GET", "/v1/payment_links/plink_1"),
        ("GET", "/v1/disputes/disp_1"),
    ]  # fmt: skip
    by_path = {(asked.method, asked.path): asked for asked in answers.asked}
    assert by_path["GET", "/v1/plans"].query["from"] == "1790000000"
    assert by_path["POST", "/v1/subscriptions/sub_1/cancel"].body == {"cancel_at_cycle_end": True}
    assert by_path["POST", "/v1/payments/pay_1/refund"].headers["x-refund-idempotency"] == "refund-key-1"
    assert by_path["GET", "/v1/invoices"].query == {"subscription_id": "sub_1", "count": "100", "skip": "0"}


@pytest.mark.parametrize("rows", [0, 1, 99, 100, 101, 250])
def test_a_list_is_read_to_its_end(answers: Answers, razorpay: Razorpay, rows: int) -> None:
    everything = [rzp.invoice(id=f"inv_{number:05}") for number in range(rows)]

    def page(asked: Asked) -> Says:
        skip, count = int(asked.query["skip"]), int(asked.query["count"])
        items = everything[skip : skip + min(count, 100)]
        return Says({"entity": "collection", "count": len(items), "items": items})

    answers.says = page
    assert [found.id for found in razorpay.invoices_of("sub_1")] == [row["id"] for row in everything]


def test_what_is_made_while_a_list_is_read_hides_nothing(answers: Answers, razorpay: Razorpay) -> None:
    everything = [rzp.payment(id=f"pay_{number:05}") for number in range(150)]

    def page(asked: Asked) -> Says:
        skip = int(asked.query["skip"])
        if skip:
            everything.insert(0, rzp.payment(id="pay_new"))
        return Says({"items": everything[skip : skip + 100]})

    answers.says = page
    found = [payment.id for payment in razorpay.payments()]
    assert found == [f"pay_{number:05}" for number in range(150)]


def test_a_list_that_repeats_itself_ends_in_an_error(answers: Answers, razorpay: Razorpay) -> None:
    page = [rzp.payment(id=f"pay_{number:05}") for number in range(100)]
    answers.says = lambda asked: Says({"items": page})
    with pytest.raises(errors.Unreadable, match="repeats"):
        list(razorpay.payments())


def test_a_list_that_does_not_end_ends_in_an_error(
    answers: Answers, razorpay: Razorpay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "MOST_PAGES", 3)

    def page(asked: Asked) -> Says:
        skip = int(asked.query["skip"])
        return Says({"items": [rzp.payment(id=f"pay_{skip + at}") for at in range(100)]})

    answers.says = page
    with pytest.raises(errors.Unreadable, match="does not end"):
        list(razorpay.payments())
    assert len(answers.asked) == 3


@pytest.mark.parametrize("items", [{}, "x", 7])
def test_a_list_that_is_none_is_refused_by_name(answers: Answers, razorpay: Razorpay, items: Any) -> None:
    answers.says = lambda asked: Says({"items": items})
    with pytest.raises(errors.Unreadable) as refused:
        list(razorpay.payments())
    assert refused.value.field == "items"


def test_the_secret_of_the_key_is_not_written_anywhere(razorpay: Razorpay) -> None:
    assert "rzp_test_key00001" in repr(razorpay.calls)
    assert "its secret" not in repr(razorpay.calls) + repr(razorpay)


HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


@pytest.mark.parametrize(
    ("says", "kind", "maybe_done"),
    [
        (refusal("The id provided does not exist", field="plan_id"), errors.NotFound, False),
        (refusal("The requested URL was not found on the server."), errors.NotOffered, False),
        (refusal("total_count is required.", field="total_count"), errors.BadRequest, False),
        (refusal("Authentication failed", 401), errors.Unauthorised, False),
        (refusal("The api key provided is invalid", 401, code=""), errors.Unauthorised, False),
        (refusal("Too many requests", 429), errors.TooMany, False),
        (refusal("in progress", 409), errors.Conflict, False),
        (refusal("Payment processing failed", 400, "GATEWAY_ERROR"), errors.Unavailable, True),
        (refusal("We are facing some trouble", 500, "SERVER_ERROR"), errors.Unavailable, True),
        (refusal("Not as it should be", 500), errors.Unavailable, True),
        (refusal("Too slow", 408), errors.Unavailable, True),
        (refusal("Odd", 499), errors.BadRequest, False),
        (Says(HTML, 502), errors.Unavailable, True),
        (Says(HTML, 404), errors.Unavailable, True),
        (Says(b"", 504), errors.Unavailable, True),
        (Says({"error": "a text"}, 503), errors.Unavailable, True),
        (Says(b"{}", 300), errors.Unavailable, True),
        (Says(b"", 302, {"Location": "/v1/elsewhere"}), errors.Unavailable, True),
        (Says(HTML, 200), errors.Unreadable, True),
        (Says(rzp.subscription(paid_count=-1)), errors.Unreadable, True),
        (Says(status=None), errors.Unavailable, True),
        (Says(rzp.subscription(), after_seconds=2), errors.Unavailable, True),
    ],
)
def test_a_create_that_fails_says_how_and_whether_it_may_be_done(
    answers: Answers, razorpay: Razorpay, says: Says, kind: type[errors.RazorpayError], maybe_done: bool
) -> None:
    answers.says = lambda asked: says
    with pytest.raises(errors.RazorpayError) as raised:
        create(razorpay)
    assert type(raised.value) is kind
    assert raised.value.maybe_done is maybe_done
    assert len(answers.asked) == 1
    assert "its secret" not in repr(raised.value) + str(raised.value)


def test_a_failed_read_changed_nothing(answers: Answers, razorpay: Razorpay) -> None:
    answers.says = lambda asked: Says(HTML, 502)
    with pytest.raises(errors.Unavailable) as raised:
        razorpay.payment("pay_1")
    assert raised.value.maybe_done is False


def test_an_error_keeps_status_code_field_and_description(answers: Answers, razorpay: Razorpay) -> None:
    answers.says = lambda asked: refusal("The id provided does not exist", field="plan_id")
    with pytest.raises(errors.NotFound) as raised:
        create(razorpay)
    error = raised.value
    assert (error.status, error.code, error.field) == (400, "BAD_REQUEST_ERROR", "plan_id")
    assert str(error) == "400: The id provided does not exist (plan_id)"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), (" 999999 ", 999_999), (None, None), ("soon", None), ("-1", None), ("1" * 7, None)],
)
def test_too_many_says_how_long_to_wait(
    answers: Answers, razorpay: Razorpay, header: str | None, seconds: int | None
) -> None:
    answers.says = lambda asked: Says({}, 429, {"Retry-After": header} if header else {})
    with pytest.raises(errors.TooMany) as raised:
        razorpay.payment("pay_1")
    assert raised.value.retry_after == seconds


def test_where_nobody_listens_nothing_was_done() -> None:
    alone = client(base_url=f"http://127.0.0.1:{free_port()}", key_id="k", key_secret="s")
    with pytest.raises(errors.Unavailable) as raised:
        create(alone)
    assert raised.value.maybe_done is False


def test_an_endless_answer_is_cut_off(answers: Answers, razorpay: Razorpay) -> None:
    answers.says = lambda asked: Says(b" " * (calls.LARGEST + 1))
    with pytest.raises(errors.Unavailable, match="200"):
        razorpay.payment("pay_1")


@pytest.mark.parametrize("odd", ["", "../plans", "pay_1/refund", "pay_1?x=1", "a" * 65, "pay é"])
def test_what_is_no_id_is_never_asked_for(answers: Answers, razorpay: Razorpay, odd: str) -> None:
    with pytest.raises(errors.NotFound):
        razorpay.payment(odd)
    assert answers.asked == []


@pytest.mark.parametrize("amount", [0, -100, 1.5, True, "100"])
def test_an_amount_that_is_no_number_of_paise_is_never_asked_for(
    answers: Answers, razorpay: Razorpay, amount: Any
) -> None:
    with pytest.raises(ValueError, match="amount"):
        razorpay.create_order("k", amount=amount)
    assert answers.asked == []


@pytest.mark.parametrize("key", ["", "k" * 201])
def test_what_can_not_be_found_again_by_its_key_is_never_asked_for(
    answers: Answers, razorpay: Razorpay, key: str
) -> None:
    with pytest.raises(ValueError, match="key"):
        razorpay.create_order(key, amount=100)
    assert answers.asked == []


def test_a_refund_needs_a_key_that_razorpay_takes(razorpay: Razorpay) -> None:
    with pytest.raises(ValueError, match="key"):
        razorpay.create_refund("short", "pay_1", amount=100)


# What may have been made ---------------------------------------------------------------------------
class Shop:
    """Makes subscriptions, and loses the answer to the first ``lost``."""

    def __init__(self, answers: Answers, *, lost: int = 1, makes: bool = True) -> None:
        self.made: list[dict[str, Any]] = []
        self.lost, self.makes = lost, makes
        answers.says = self.answer

    def answer(self, asked: Asked) -> Says:
        if asked.method == "GET":
            return Says({"items": list(reversed(self.made))})
        made = rzp.subscription(id=f"sub_{len(self.made)}", notes=asked.body["notes"])
        if self.makes:
            self.made.append(made)
        self.lost -= 1
        return Says(HTML, 502) if self.lost >= 0 else Says(made)


def make(razorpay: Razorpay, *, tried_before: bool = False) -> Subscription:
    since = datetime.now(UTC) - timedelta(minutes=10)
    return once(
        lambda: create(razorpay),
        lambda: razorpay.subscription_by_key("the key", "plan_1", since),
        tried_before=tried_before,
    )


def test_what_was_made_though_the_answer_was_lost_is_found_and_not_made_again(
    answers: Answers, razorpay: Razorpay
) -> None:
    shop = Shop(answers)
    assert make(razorpay).id == "sub_0"
    assert make(razorpay, tried_before=True).id == "sub_0"
    assert len(shop.made) == 1
    assert answers.asked[1].query["plan_id"] == "plan_1"


def test_what_was_not_made_is_made_by_the_next_try(answers: Answers, razorpay: Razorpay) -> None:
    shop = Shop(answers, makes=False)
    with pytest.raises(errors.Unavailable) as raised:
        make(razorpay)
    assert raised.value.maybe_done
    shop.makes = True
    assert make(razorpay, tried_before=True).id == "sub_0"
    assert len(shop.made) == 1


def test_of_two_that_were_made_everybody_finds_the_first(answers: Answers, razorpay: Razorpay) -> None:
    shop = Shop(answers, lost=0)
    create(razorpay)
    create(razorpay)
    found = razorpay.subscription_by_key("the key", "plan_1")
    assert found is not None and found.id == "sub_0"
    assert len(shop.made) == 2
    assert razorpay.subscription_by_key("another key", "plan_1") is None


def test_a_refusal_is_not_looked_up(answers: Answers, razorpay: Razorpay) -> None:
    answers.says = lambda asked: refusal("plan_id is required.")
    with pytest.raises(errors.BadRequest):
        make(razorpay)
    assert len(answers.asked) == 1


# Connections -------------------------------------------------------------------------------------
def test_calls_of_a_process_share_a_connection_and_a_forked_one_has_its_own(
    answers: Answers, razorpay: Razorpay
) -> None:
    answers.says = lambda asked: Says(rzp.subscription(), headers={"Set-Cookie": "a=b"})
    for _ in range(3):
        razorpay.subscription("sub_1")
    assert len(set(answers.ports)) == 1
    child = os.fork()
    if not child:
        try:
            razorpay.subscription("sub_1")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    razorpay.subscription("sub_1")
    assert answers.ports[0] == answers.ports[4] != answers.ports[3]
    assert not any("cookie" in asked.headers for asked in answers.asked)


def test_a_connection_that_was_closed_meanwhile_is_not_used_again(answers: Answers, razorpay: Razorpay) -> None:
    answers.says = lambda asked: Says(rzp.subscription(), headers={"Connection": "close"})
    assert [create(razorpay).id for _ in range(2)] == ["sub_AAAAAAAAAAAA01"] * 2
    assert len(set(answers.ports)) == 2
