"""Subscribing, changing and ending over HTTP: of the person who asks alone; closed to API keys."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.doors import PersonView, person, principal
from billing import changing, checkout, gateway, limits, once_keys, shown, stopping
from billing.api.subscription_shapes import (
    CancelBody,
    ChangedShape,
    CreateBody,
    CreatedShape,
    CurrentShape,
    ForTeamBody,
    PortalShape,
    SubscriptionShape,
    UpdateBody,
    VerifiedShape,
    VerifyBody,
)
from billing.holders import holder_for
from billing.models import Subscription
from oneai.kit.errors import Refusal
from oneai.kit.fields import Body, read_body

IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same key gives the same order; with another body it is refused (idempotency_conflict).",
)
TEAM = OpenApiParameter("team", UUID, description="The id of a team of yours, instead of your own subscription.")


def read(kind: type[Body], request: Request, *needed: str) -> dict[str, Any]:
    """The body's fields. Refusal ``missing_required_parameter`` names the first of ``needed`` that is not there."""
    body = read_body(kind, request)
    for name in needed:
        if name not in body:
            raise Refusal("missing_required_parameter", param=name)
    return body


def asked(request: Request, what: str) -> once_keys.Asked:
    """What the request is known by when it is sent again."""
    key = request.headers.get("Idempotency-Key")
    return once_keys.asked(principal(request).user_id, key, what, request.data)


class CurrentView(PersonView):
    """What is subscribed."""

    @extend_schema(operation_id="subscription", tags=["subscription"], parameters=[TEAM], responses=CurrentShape)
    def get(self, request: Request) -> Response:
        """Your subscription, one that waits to be paid, and one that will take over; each may be null."""
        team = request.query_params.get("team")
        return Response(CurrentShape(shown.current(holder_for(person(request), _team(team)))).data)


def _team(value: str | None) -> UUID | None:
    if not value:
        return None
    try:
        return UUID(value)
    except ValueError as error:
        raise Refusal("not_found", param="team") from error


class CreateView(PersonView):
    """Subscribing."""

    @extend_schema(
        operation_id="subscription_create",
        tags=["subscription"],
        parameters=[IDEMPOTENCY],
        request=CreateBody,
        responses={201: CreatedShape},
    )
    def post(self, request: Request) -> Response:
        """Prepare a subscription to be paid with Checkout.js or on Razorpay's page. Asked again, it is the same one."""
        body = read(CreateBody, request, "plan", "interval")
        user = person(request)
        limits.count_order(user.pk)
        row = checkout.subscribe(
            user,
            holder_for(user, body.get("team")),
            body["plan"],
            body["interval"],
            seats=body.get("seats", 1),
            coupon=body.get("coupon", ""),
            asked=asked(request, "subscription"),
        )
        return Response(CreatedShape(shown.created(row)).data, status=201)


class VerifyView(PersonView):
    """Back from the checkout."""

    @extend_schema(
        operation_id="subscription_verify", tags=["subscription"], request=VerifyBody, responses=VerifiedShape
    )
    def post(self, request: Request) -> Response:
        """Say what Checkout.js gave. What it paid for is asked of Razorpay; nothing is given by this alone."""
        body = read(VerifyBody, request, "razorpay_payment_id", "razorpay_signature")
        gateway.razorpay()
        limits.count_verification(principal(request).user_id)
        user_id, payment = principal(request).user_id, body["razorpay_payment_id"]
        subscribed, ordered = body.get("razorpay_subscription_id"), body.get("razorpay_order_id")
        if bool(subscribed) == bool(ordered):
            raise Refusal("missing_required_parameter", param="razorpay_subscription_id")
        if subscribed:
            found = checkout.verify_subscription(user_id, subscribed, payment, body["razorpay_signature"])
        else:
            found = checkout.verify_order(user_id, str(ordered), payment, body["razorpay_signature"])
        row = found.row
        answer = {
            "status": "paid" if found.paid else "pending",
            "subscription": shown.subscription(row) if isinstance(row, Subscription) else None,
            "purchase": None if isinstance(row, Subscription) else row,
        }
        return Response(VerifiedShape(answer).data)


class UpdateView(PersonView):
    """Changing."""

    @extend_schema(
        operation_id="subscription_update", tags=["subscription"], request=UpdateBody, responses=ChangedShape
    )
    def post(self, request: Request) -> Response:
        """Change plan, interval or seats: more at once, less when the paid cycle ends.

        A mandate that can't be changed is replaced by a new one, which has to be paid; until then nothing changes.
        """
        body, user = read(UpdateBody, request), person(request)
        limits.count_change(user.pk)
        found = changing.change(
            user,
            holder_for(user, body.get("team")),
            body.get("plan", ""),
            body.get("interval", ""),
            body.get("seats"),
            body.get("when", ""),
        )
        new = found.replacement
        opened = checkout.checkout_of(new) if new is not None else None
        answer = {
            "way": found.way,
            "when": found.when,
            "subscription": shown.subscription(found.row),
            "replacement": shown.subscription(new) if new is not None else None,
            "checkout": asdict(opened) if opened else None,
        }
        return Response(ChangedShape(answer).data)


class CancelView(PersonView):
    """Ending."""

    @extend_schema(
        operation_id="subscription_cancel", tags=["subscription"], request=CancelBody, responses=SubscriptionShape
    )
    def post(self, request: Request) -> Response:
        """End it now, with the unused part given back, or when the paid cycle ends."""
        body, user = read(CancelBody, request, "when"), person(request)
        limits.count_change(user.pk)
        holder = holder_for(user, body.get("team"))
        row = stopping.cancel(holder, body["when"], body.get("reason", ""), user.email)
        return Response(SubscriptionShape(shown.subscription(row)).data)


class UndoView(PersonView):
    """Taking back."""

    @extend_schema(
        operation_id="subscription_undo", tags=["subscription"], request=ForTeamBody, responses=SubscriptionShape
    )
    def post(self, request: Request) -> Response:
        """Take back what was to happen when the cycle ends: its end, or a change."""
        user = person(request)
        limits.count_change(user.pk)
        row = stopping.undo(holder_for(user, read(ForTeamBody, request).get("team")), user.email)
        return Response(SubscriptionShape(shown.subscription(row)).data)


class PauseView(PersonView):
    """Stopping for a while."""

    @extend_schema(
        operation_id="subscription_pause", tags=["subscription"], request=ForTeamBody, responses=SubscriptionShape
    )
    def post(self, request: Request) -> Response:
        """Stop charging, and using; what the cycle has left is given back on resuming."""
        user = person(request)
        limits.count_change(user.pk)
        row = stopping.pause(holder_for(user, read(ForTeamBody, request).get("team")))
        return Response(SubscriptionShape(shown.subscription(row)).data)


class ResumeView(PersonView):
    """Going on."""

    @extend_schema(
        operation_id="subscription_resume", tags=["subscription"], request=ForTeamBody, responses=SubscriptionShape
    )
    def post(self, request: Request) -> Response:
        """Charge again. What was paused in a UPI app can be resumed only there."""
        user = person(request)
        limits.count_change(user.pk)
        row = stopping.resume(holder_for(user, read(ForTeamBody, request).get("team")))
        return Response(SubscriptionShape(shown.subscription(row)).data)


class PortalView(PersonView):
    """The page for all of this."""

    @extend_schema(operation_id="subscription_portal", tags=["subscription"], responses=PortalShape)
    def get(self, request: Request) -> Response:
        """Where to change plan, payment method and billing details, or to cancel."""
        gateway.razorpay()
        return Response(PortalShape({"url": f"{settings.SITE_URL}/billing"}).data)
