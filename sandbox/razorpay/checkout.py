"""The checkout's frame, the way back to the site by a form, and the hosted page of a subscription or invoice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from aiohttp import web

from sandbox.loopback import leads_here
from sandbox.world import WORLD

from . import checkout_page, purchase
from .account import Account
from .checkout_page import Surroundings
from .money import INSTRUMENTS, Payment
from .purchase import Purchase
from .refusals import Refused
from .service import Service

STATIC = Path(__file__).parent / "static"
FILES = {
    "/razorpay/checkout.js": ("checkout.js", "text/javascript"),
    "/razorpay/checkout/frame.js": ("frame.js", "text/javascript"),
    "/razorpay/checkout/checkout.css": ("checkout.css", "text/css"),
}
OPTIONS = ("key", "subscription_id", "order_id", "card_change", "name", "description", "callback_url", "origin")
FILLED = ("email", "contact", "method")


def _service(request: web.Request) -> Service:
    service = request.app[WORLD].razorpay
    service.catch_up()
    return service


def _local(address: str) -> str:
    """An address of this machine. Raises Refused."""
    if not leads_here(address):
        raise Refused("The sandbox speaks only to pages of this machine.")
    return address


def _surroundings(options: Mapping[str, str]) -> Surroundings:
    origin, callback = options.get("origin", ""), options.get("callback_url", "")
    if origin:
        parts = urlsplit(_local(origin))
        origin = f"{parts.scheme}://{parts.netloc}"
        callback = urljoin(origin, callback) if callback else ""
    if callback:
        _local(callback)
    hidden = {name: options[name] for name in OPTIONS if options.get(name)}
    return Surroundings("/razorpay/checkout/frame", hidden, _filled(options), origin, "" if origin else callback)


def _filled(options: Mapping[str, str]) -> dict[str, str]:
    found = {name: options[name] for name in FILLED if options.get(name)}
    return found | ({"method": options["failing"]} if options.get("failing") else {})


def _account(service: Service, options: Mapping[str, str]) -> Account:
    account = service.account_of(options.get("key", ""))
    if account is None:
        raise Refused("The api key provided is invalid")
    return account


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {name: value for name, value in values.items() if isinstance(value, str) and value}


async def frame(request: web.Request) -> web.Response:
    """The form of a checkout."""
    service = _service(request)
    options = _texts(request.query)
    try:
        around = _surroundings(options)
    except Refused as no:
        return checkout_page.refused(str(no), Surroundings("", {}, {}))
    try:
        account = _account(service, options)
        wanted = purchase.of_checkout(account, options)
    except Refused as no:
        return checkout_page.refused(str(no), around)
    return _form(account, wanted, around)


def _form(account: Account, wanted: Purchase, around: Surroundings, error: str = "") -> web.Response:
    amounts = {name: wanted.amount(account, one) for name, one in INSTRUMENTS.items()}
    return checkout_page.form(wanted, amounts, around, account.keys.mode, error)


async def pay(request: web.Request) -> web.Response:
    """The form came back: paid, or not."""
    service = _service(request)
    form = _texts(await request.post())
    try:
        around = _surroundings(form)
    except Refused as no:
        return checkout_page.refused(str(no), Surroundings("", {}, {}))
    try:
        account = _account(service, form)
        wanted = purchase.of_checkout(account, form)
    except Refused as no:
        return checkout_page.refused(str(no), around)
    return await _paid(account, wanted, around, form)


async def _paid(account: Account, wanted: Purchase, around: Surroundings, form: Mapping[str, str]) -> web.Response:
    try:
        payment = purchase.pay(account, wanted, form)
    except Refused as no:
        return _form(account, wanted, around, str(no))
    if account.habits.return_delay_seconds:
        await asyncio.sleep(account.habits.return_delay_seconds)
    if payment.status == "failed":
        return _failed(account, wanted, around, payment)
    if form.get("action") == "vanish":
        return checkout_page.done("Paid", "The payment came through, and the browser is not told.", around)
    if wanted.link is not None and (back := wanted.link.way_back(payment, account.keys.secret)):
        return web.Response(status=303, headers={"Location": back})
    answer = purchase.answer_of(account, wanted, payment, _signature(account, form))
    if around.callback:
        return checkout_page.back(around.callback, answer)
    return checkout_page.done("Paid", f"Payment {payment.id} came through.", around, "success", answer)


def _signature(account: Account, form: Mapping[str, str]) -> str:
    habits = account.habits
    if habits.signatures > 0:
        habits.signatures -= 1
        return habits.signature
    return form.get("signature", "good")


def _failed(account: Account, wanted: Purchase, around: Surroundings, payment: Payment) -> web.Response:
    failure = purchase.failure_of(payment)
    if around.callback:
        error = failure["error"]
        fields = {f"error[{name}]": str(value) for name, value in error.items() if name != "metadata"}
        return checkout_page.back(around.callback, fields | {"error[metadata]": json.dumps(error["metadata"])})
    amounts = {name: wanted.amount(account, one) for name, one in INSTRUMENTS.items()}
    said = str(failure["error"]["description"])
    return checkout_page.form(wanted, amounts, around, account.keys.mode, said, "failed", failure)


async def go_back(request: web.Request) -> web.Response:
    """The way back to the site's `callback_url` (`to`): a form that is sent from here, as from another site."""
    fields = _texts(request.query)
    try:
        to = _local(fields.pop("to", ""))
    except Refused as no:
        return checkout_page.refused(str(no), Surroundings("", {}, {}))
    return checkout_page.back(to, fields)


# Hosted page -------------------------------------------------------------------------------------
def _hosted(request: web.Request) -> tuple[Account, Purchase, Surroundings]:
    key = request.match_info["key"]
    service = _service(request)
    account = next(
        (
            one
            for one in service.accounts.values()
            if one.subscriptions.find(key) or one.invoices.find(key) or one.links.find(key)
        ),
        None,
    )
    if account is None:
        raise Refused("There is nothing behind this address.")
    return account, purchase.of_link(account, key), Surroundings(f"/razorpay/i/{key}", {}, {})


async def hosted(request: web.Request) -> web.Response:
    """The page behind a `short_url`: the first payment, another way of paying, or an open invoice."""
    try:
        account, wanted, around = _hosted(request)
    except Refused as no:
        return checkout_page.refused(str(no), Surroundings("", {}, {}))
    return _form(account, wanted, around)


async def pay_hosted(request: web.Request) -> web.Response:
    """Its form came back."""
    try:
        account, wanted, around = _hosted(request)
    except Refused as no:
        return checkout_page.refused(str(no), Surroundings("", {}, {}))
    form = _texts(await request.post())
    return await _paid(account, wanted, replace(around, filled=_filled(form)), form)


async def file(request: web.Request) -> web.Response:
    """A script or style sheet."""
    name, kind = FILES[request.path]
    return web.Response(
        text=(STATIC / name).read_text(encoding="utf-8"),
        content_type=kind,
        headers={"Cache-Control": "no-cache", "Cross-Origin-Resource-Policy": "cross-origin"},
    )


def add(app: web.Application) -> None:
    """Adds the paths."""
    router = app.router
    for path in FILES:
        router.add_get(path, file)
    router.add_get("/razorpay/checkout/frame", frame)
    router.add_post("/razorpay/checkout/frame", pay)
    router.add_get("/razorpay/checkout/return", go_back)
    router.add_get(r"/razorpay/i/{key:\w{1,40}}", hosted)
    router.add_post(r"/razorpay/i/{key:\w{1,40}}", pay_hosted)
