"""What the staff desk calls the rows that it shows: by what staff know them by, not by numbers of ours."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import Role, User
from billing.models import Coupon, Difference, Notice, Pack
from tests.billing import paid

pytestmark = pytest.mark.django_db


def test_each_row_is_named_on_its_page() -> None:
    user = paid.person(name="Bhat and Sons")
    cycle, once = paid.subscribed(user), paid.topped_up(user)
    assert cycle.subscription is not None and once.purchase is not None
    refund = paid.refund(once, 100, key="end-of-it-all")
    nameless = paid.person(city="Pune")
    named = [
        (user.billing_details, "Bhat and Sons"),
        (nameless.billing_details, str(nameless.pk)),
        (cycle.subscription, f"{cycle.subscription.razorpay_subscription_id}, active"),
        (cycle.subscription.price, "Plus by the month, version 1"),
        (once, once.razorpay_payment_id),
        (once.purchase, f"for {user.pk}: paid"),
        (refund, "end-of-it-all"),
        (Pack.objects.get(code="small"), "Half a million tokens"),
        (Coupon.objects.create(code="WELCOME", percent=10), "WELCOME"),
        (Difference.objects.create(kind="dispute", reference="disp_1"), "dispute disp_1"),
        (Notice.objects.create(key="receipt:1", kind="receipt", user=user, subject="-"), "receipt:1"),
        (paid.seller(legal_name=""), "nobody named yet"),
    ]
    owner = paid.person()
    User.objects.filter(pk=owner.pk).update(role=Role.OWNER)
    desk = Client()
    desk.force_login(User.objects.get(pk=owner.pk))
    for row, name in named:
        page = desk.get(f"/admin/billing/{row._meta.model_name}/{row.pk}/change/")
        title = page.content.decode().partition("<title>")[2].partition("</title>")[0]
        assert page.status_code == 200 and name in title, (row._meta.model_name, title)
