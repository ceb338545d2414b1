"""The shapes of subscriptions, packs and what is sent to change them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from billing.models.plans import Interval
from oneai.kit.fields import Body, Text, WholeNumber

WHEN = ["now", "cycle_end"]
LONGEST_ID = 64


class CreateBody(Body):
    """What is to be subscribed; ``team`` is the id of a team of yours that it is for."""

    plan = Text(max_length=40)
    interval = serializers.ChoiceField(choices=Interval.values)
    coupon = Text(max_length=40, required=False, allow_blank=True)
    seats = WholeNumber(min_value=1, max_value=1000, required=False)
    team = serializers.UUIDField(required=False)


class VerifyBody(Body):
    """What Checkout.js gave: with the id of the subscription or of the order."""

    razorpay_payment_id = Text(max_length=LONGEST_ID)
    razorpay_subscription_id = Text(max_length=LONGEST_ID, required=False)
    razorpay_order_id = Text(max_length=LONGEST_ID, required=False)
    razorpay_signature = Text(max_length=200)


class CancelBody(Body):
    """``now`` gives back the unused part; ``cycle_end`` can be taken back."""

    when = serializers.ChoiceField(choices=WHEN)
    reason = Text(max_length=1000, required=False, allow_blank=True)
    team = serializers.UUIDField(required=False)


class UpdateBody(Body):
    """What is left out stays; ``when`` left out is at once for more, at the end of the cycle for less."""

    plan = Text(max_length=40, required=False)
    interval = serializers.ChoiceField(choices=Interval.values, required=False)
    seats = WholeNumber(min_value=1, max_value=1000, required=False)
    when = serializers.ChoiceField(choices=WHEN, required=False)
    team = serializers.UUIDField(required=False)


class ForTeamBody(Body):
    """Nothing, or the team that it is about."""

    team = serializers.UUIDField(required=False)


class TopupBody(Body):
    """The code of a pack."""

    pack = Text(max_length=40)
    coupon = Text(max_length=40, required=False, allow_blank=True)
    team = serializers.UUIDField(required=False)


class NextShape(serializers.Serializer[Any]):
    """What begins with the next cycle, or is being charged for now."""

    plan = serializers.CharField()
    interval = serializers.ChoiceField(choices=Interval.values)
    seats = serializers.IntegerField()
    amount = serializers.IntegerField(help_text="Of a cycle, in the smallest unit (paise).")
    at = serializers.DateTimeField(allow_null=True)


class SubscriptionShape(serializers.Serializer[Any]):
    """A subscription. ``paid_until`` is the end of what was paid for; amounts are in paise."""

    id = serializers.UUIDField()
    plan = serializers.CharField()
    plan_name = serializers.CharField()
    interval = serializers.ChoiceField(choices=Interval.values)
    amount = serializers.IntegerField(help_text="Of a cycle, all seats together.")
    currency = serializers.CharField()
    seats = serializers.IntegerField()
    team = serializers.UUIDField(allow_null=True)
    status = serializers.CharField()
    trial_ends_at = serializers.DateTimeField(allow_null=True)
    current_period_start = serializers.DateTimeField(allow_null=True)
    current_period_end = serializers.DateTimeField(allow_null=True)
    paid_until = serializers.DateTimeField(allow_null=True)
    next_charge_at = serializers.DateTimeField(allow_null=True)
    cancel_at_cycle_end = serializers.BooleanField()
    ends_at = serializers.DateTimeField(allow_null=True)
    next = NextShape(allow_null=True)
    payment_method = serializers.CharField()
    payment_method_url = serializers.CharField(help_text="Razorpay's page to pay by something else; empty if none.")
    unused = serializers.IntegerField(help_text="What ending it now would give back, in paise.")
    unused_by_hand = serializers.IntegerField(
        help_text="What of that can't go back the way it was paid, because the payment is more than six months old."
    )
    can = serializers.ListField(child=serializers.CharField(), help_text="What may be done with it now.")
    created_at = serializers.DateTimeField()


class CheckoutShape(serializers.Serializer[Any]):
    """What Checkout.js is opened with; ``url`` is Razorpay's page for the same."""

    key = serializers.CharField()
    subscription_id = serializers.CharField()
    url = serializers.CharField()


class OrderCheckoutShape(serializers.Serializer[Any]):
    """What Checkout.js is opened with for an order."""

    key = serializers.CharField()
    order_id = serializers.CharField()
    amount = serializers.IntegerField()
    currency = serializers.CharField()


class CreatedShape(serializers.Serializer[Any]):
    """A subscription that waits to be paid."""

    subscription = SubscriptionShape()
    checkout = CheckoutShape(allow_null=True)


class CurrentShape(serializers.Serializer[Any]):
    """What is subscribed, what waits to be paid, and what will take over."""

    subscription = SubscriptionShape(allow_null=True)
    open = CreatedShape(allow_null=True, help_text="One that waits to be paid.")
    replacement = SubscriptionShape(allow_null=True, help_text="One that takes over at the end of the cycle.")


class ChangedShape(serializers.Serializer[Any]):
    """``replaced``: the change is a new subscription, which ``checkout`` pays for; the old one goes on until then."""

    way = serializers.ChoiceField(choices=["in_place", "replaced"])
    when = serializers.ChoiceField(choices=WHEN)
    subscription = SubscriptionShape()
    replacement = SubscriptionShape(allow_null=True)
    checkout = CheckoutShape(allow_null=True)


class PackShape(serializers.Serializer[Any]):
    """A pack of tokens on sale; ``days`` null: its tokens do not end."""

    code = serializers.CharField()
    name = serializers.CharField()
    amount = serializers.IntegerField(source="amount_paise")
    currency = serializers.CharField()
    tokens = serializers.IntegerField()
    days = serializers.IntegerField(allow_null=True)


class PurchaseShape(serializers.Serializer[Any]):
    """An order of a pack."""

    id = serializers.UUIDField()
    pack = serializers.CharField(source="pack.code")
    tokens = serializers.IntegerField()
    amount = serializers.IntegerField(source="amount_paise")
    currency = serializers.CharField()
    status = serializers.CharField()
    credited_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class OrderedShape(serializers.Serializer[Any]):
    """An order that waits to be paid."""

    purchase = PurchaseShape()
    checkout = OrderCheckoutShape()


class VerifiedShape(serializers.Serializer[Any]):
    """``paid`` says whether Razorpay has the money; ``pending``: not yet, it will be looked at again by itself."""

    status = serializers.ChoiceField(choices=["paid", "pending"])
    subscription = SubscriptionShape(allow_null=True)
    purchase = PurchaseShape(allow_null=True)


class PortalShape(serializers.Serializer[Any]):
    """The page on which everything about the subscription can be done."""

    url = serializers.CharField()
