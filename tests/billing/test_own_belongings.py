"""What billing says when an account is copied or closed: what is charged on, what goes, what the law keeps."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.belongings import NotYet
from billing import invoices, own_belongings
from billing.models import BillingDetails, Invoice, Payment
from oneai.kit.clock import now
from tests.billing import paid, rows
from tests.billing.test_subscribing import refused

pytestmark = pytest.mark.django_db
HOLDER = own_belongings.HOLDER


def test_a_copy_has_details_subscriptions_payments_and_invoices_of_the_person_alone() -> None:
    paid.seller()
    asha, ravi = paid.person(name="Asha Rao", city="Pune", state_code="27"), paid.person()
    first, second = paid.subscribed(asha), paid.topped_up(asha)
    paid.subscribed(ravi)
    invoices.issue_missing()
    ((path, held),) = HOLDER.export(asha)
    assert path == "billing.json"
    assert (held["details"]["name"], held["details"]["city"]) == ("Asha Rao", "Pune")
    assert [(each["id"], each["plan__code"]) for each in held["subscriptions"]] == [(first.subscription_id, "plus")]
    assert [each["id"] for each in held["payments"]] == [first.pk, second.pk]
    numbers = Invoice.objects.filter(user=asha).order_by("issued_at").values_list("number", flat=True)
    assert [each["number"] for each in held["invoices"]] == list(numbers) and len(numbers) == 2
    ((_, nothing),) = HOLDER.export(paid.person())
    assert nothing == {"details": None, "subscriptions": [], "payments": [], "invoices": []}


@pytest.mark.parametrize(
    ("fields", "keeps"),
    [
        ({}, True),
        ({"status": "paused"}, True),
        ({"status": "authenticated"}, True),
        ({"cancel_at_cycle_end": True}, False),
        ({"metadata": {"ended": {"why": "asked"}}}, False),
        ({"cancel_at_cycle_end": False, "cancel_sent_at": now()}, False),
        ({"status": "cancelled"}, False),
        ({"status": "created"}, False),
    ],
)
def test_an_account_stays_while_something_would_be_charged_again(fields: dict[str, Any], keeps: bool) -> None:
    user = paid.person()
    rows.subscribed(user, "plus", status="cancelled")
    rows.subscribed(user, "plus", **fields)
    if keeps:
        assert refused(HOLDER.keep, user) == "subscription_running"
    else:
        HOLDER.keep(user)


def test_of_two_subscriptions_one_that_goes_on_is_enough_to_stay() -> None:
    user = paid.person()
    rows.subscribed(user, "plus", cancel_at_cycle_end=True)
    rows.subscribed(user, "team", team_id=paid.person().pk)
    assert refused(HOLDER.keep, user) == "subscription_running"


def test_nothing_is_erased_before_razorpay_knows_of_the_end() -> None:
    user = paid.person(name="Asha")
    row = rows.subscribed(user, "plus", cancel_at_cycle_end=True)
    with pytest.raises(NotYet):
        HOLDER.erase(user)
    assert BillingDetails.objects.filter(user=user).exists()
    row.cancel_sent_at = now()
    row.save()
    assert HOLDER.erase(user) == 1
    assert not BillingDetails.objects.filter(user=user).exists()


def test_details_go_and_payments_and_papers_stay() -> None:
    paid.seller()
    asha, ravi = paid.person(name="Asha Rao"), paid.person(name="Ravi")
    paid.topped_up(asha)
    invoices.issue_missing()
    assert HOLDER.erase(asha) == 1
    assert HOLDER.erase(asha) == 0
    assert BillingDetails.objects.filter(user=ravi).exists()
    assert (Payment.objects.filter(user=asha).count(), Invoice.objects.filter(user=asha).count()) == (1, 1)
