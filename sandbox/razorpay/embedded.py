"""The checkout for pages without a script: a form that is posted here leads to the checkout as a page of its own."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

FIELDS = {
    "key_id": "key",
    "order_id": "order_id",
    "subscription_id": "subscription_id",
    "name": "name",
    "description": "description",
    "callback_url": "callback_url",
    "prefill[email]": "email",
    "prefill[contact]": "contact",
}


async def embedded(request: web.Request) -> web.Response:
    """`POST /v1/checkout/embedded`: what the script would be given, as fields of a form."""
    form = await request.post()
    given = {ours: str(form[theirs]) for theirs, ours in FIELDS.items() if form.get(theirs)}
    raise web.HTTPSeeOther(f"/razorpay/checkout/frame?{urlencode(given)}")


def add(app: web.Application) -> None:
    """Adds the path."""
    app.router.add_post("/razorpay/v1/checkout/embedded", embedded)
