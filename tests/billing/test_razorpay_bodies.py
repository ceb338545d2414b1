"""What the client sends: every field that was said, and none that was not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from billing.razorpay.client import Razorpay, client
from tests.billing import razorpay_objects as rzp
from tests.billing.razorpay_answers import Answers, Says


@pytest.fixture
def answers() -> Iterator[Answers]:
    server = Answers()
    yield server
    server.close()


@pytest.fixture
def razorpay(answers: Answers) -> Razorpay:
    return client(base_url=answers.url + "/", key_id="rzp_test_key00001", key_secret="its secret")


def test_what_is_asked_for_is_sent_and_nothing_that_was_not_said(answers: Answers, razorpay: Razorpay) -> None:
    at = datetime.fromtimestamp(1790000000, UTC)
    link = {"id": "plink_1", "amount": 1, "currency": "INR"}
    objects = {"plans": rzp.plan(), "orders": rzp.order(), "payment_links": link, "customers": {"id": "cust_1"}}
    answers.says = lambda asked: Says(objects.get(asked.path.split("/")[-1], rzp.subscription()))

    def sent(answer: object) -> Any:
        return answers.asked[-1].body

    assert sent(razorpay.create_plan("k", period="yearly", interval=1, name="Plus", amount=100)) == {
        "period": "yearly", "interval": 1, "item": {"name": "Plus", "amount": 100, "currency": "INR"},
        "notes": {"oneai_key": "k"},
    }  # fmt: skip
    assert sent(razorpay.create_order("k", amount=1)) == {"amount": 1, "currency": "INR", "notes": {"oneai_key": "k"}}
    said = {"amount": 1, "currency": "INR", "description": "d", "reference_id": "r", "notes": {"oneai_key": "k"}}
    assert sent(razorpay.create_link("k", amount=1, reference_id="r", description="d")) == said
    found = sent(razorpay.create_link("k", amount=1, reference_id="r", description="d", callback_url="u", expire_by=at))
    assert found == said | {"callback_url": "u", "callback_method": "get", "expire_by": 1790000000}
    assert sent(razorpay.customer_for(email="a@example.com")) == {"email": "a@example.com", "fail_existing": "0"}
    assert sent(razorpay.update_subscription("sub_1", when="now", plan_id="plan_2")) == {
        "plan_id": "plan_2", "schedule_change_at": "now", "customer_notify": False,
    }  # fmt: skip
    changed = sent(razorpay.update_subscription("sub_1", when="now", quantity=3, remaining_count=9))
    assert changed == {"quantity": 3, "remaining_count": 9, "schedule_change_at": "now", "customer_notify": False}
    made = sent(razorpay.create_subscription("k", plan_id="p", total_count=9, quantity=2, start_at=at, expire_by=at))
    assert (made["quantity"], made["start_at"], made["expire_by"]) == (2, 1790000000, 1790000000)
    with pytest.raises(ValueError, match="quantity"):
        razorpay.update_subscription("sub_1", when="now", quantity=0)


def test_lists_are_of_the_time_that_is_asked_for(answers: Answers, razorpay: Razorpay) -> None:
    answers.says = lambda asked: Says({"items": []})
    first, last = datetime.fromtimestamp(1790000000, UTC), datetime.fromtimestamp(1790000009, UTC)
    page = {"count": "100", "skip": "0"}
    for read in (razorpay.payments, razorpay.refunds, razorpay.orders, razorpay.subscriptions):
        assert list(read(first, last)) == []
        assert answers.asked[-1].query == page | {"from": "1790000000", "to": "1790000009"}
        assert list(read()) == []
        assert answers.asked[-1].query == page
    assert list(razorpay.disputes(first)) == list(razorpay.plans(first)) == []
    assert [asked.query for asked in answers.asked[-2:]] == [page | {"from": "1790000000"}] * 2
