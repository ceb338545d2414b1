"""The HTML of the checkout and of hosted pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from .purchase import ADDRESSES, CARDS, Purchase

AROUND = "http://localhost:* http://127.0.0.1:* http://*.localhost:* https://localhost:* https://127.0.0.1:*"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; "
    "frame-ancestors 'self' " + AROUND + "; form-action 'self'"
)
SIGNATURES = {
    "good": "right",
    "wrong": "wrong: made with another secret",
    "swapped": "wrong: the two ids in the other order",
    "missing": "missing",
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a form goes, what it carries along and fills in, and who is told: a page around it, or a callback."""

    action: str
    hidden: Mapping[str, str]
    filled: Mapping[str, str]
    origin: str = ""
    callback: str = ""


def money(amount: int, currency: str) -> str:
    """An amount for people, grouped as in India for rupees."""
    whole, rest = divmod(amount, 100)
    digits = str(whole)
    if currency != "INR":
        return f"{currency} {whole:,}.{rest:02d}"
    head, tail = digits[:-3], digits[-3:]
    groups = []
    while head:
        head, group = head[:-2], head[-2:]
        groups.append(group)
    return f"₹{','.join([*reversed(groups), tail])}.{rest:02d}"


def _page(
    title: str,
    body: str,
    around: Surroundings,
    kind: str = "",
    answer: Mapping[str, Any] | None = None,
    *,
    leads_to: str = "",
) -> web.Response:
    told = f" data-kind='{kind}' data-answer='{escape(json.dumps(answer))}'" if kind else ""
    html = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)} · sandbox</title><link rel='stylesheet' href='/razorpay/checkout/checkout.css'>"
        "<link rel='icon' href='/icon.svg' type='image/svg+xml'>"
        "<script src='/razorpay/checkout/frame.js'></script></head>"
        f"<body data-origin='{escape(around.origin)}'{told}>"
        "<div class='banner' role='note'>This is a sandbox: no money moves. Never type a real card here.</div>"
        f"<main>{body}</main></body></html>"
    )
    return web.Response(
        text=html,
        content_type="text/html",
        headers={
            "Content-Security-Policy": f"{POLICY} {leads_to}".rstrip(),
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        },
    )


def _head(title: str, about: str, around: Surroundings) -> str:
    close = "<button type='button' class='close' data-close aria-label='Close'>×</button>" if around.origin else ""
    return f"<header><div><h1>{escape(title)}</h1><p>{escape(about)}</p></div>{close}</header>"


def origin_of(address: str) -> str:
    """Scheme, host and port of an address; empty for none."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def refused(why: str, around: Surroundings) -> web.Response:
    """Nothing can be paid here."""
    close = "<button type='button' data-close>Close</button>" if around.origin else ""
    body = f"{_head('Nothing to pay', '', around)}<div class='block'><p class='error'>{escape(why)}</p>{close}</div>"
    return _page("Nothing to pay", body, around)


def done(
    title: str, text: str, around: Surroundings, kind: str = "", answer: Mapping[str, str] | None = None
) -> web.Response:
    """It is over."""
    body = f"{_head(title, '', around)}<div class='block'><p>{escape(text)}</p></div>"
    return _page(title, body, around, kind, answer)


def back(to: str, fields: Mapping[str, str]) -> web.Response:
    """A form on its way to the site, sent at once."""
    parts = urlsplit(to)
    inputs = "".join(f"<input type='hidden' name='{escape(name)}' value='{escape(v)}'>" for name, v in fields.items())
    body = (
        f"{_head('Back to the site', parts.netloc, Surroundings('', {}, {}))}"
        f"<form method='post' action='{escape(to)}' data-unattended>{inputs}<button>Go on</button></form>"
    )
    return _page("Back", body, Surroundings("", {}, {}), leads_to=origin_of(to))


TITLES = {"card": "Card", "upi": "UPI", "emandate": "eMandate", "netbanking": "Net banking"}


def _section(method: str, name: str, inside: str, price: str, open_: bool) -> str:
    return (
        f"<details name='method'{' open' if open_ else ''}><summary>{TITLES[method]}</summary><div>{inside}"
        f"<button name='method' value='{method}'>Pay {price} by {name}</button>"
        f"<button name='failing' value='{method}' class='second'>Let it fail</button></div></details>"
    )


def _card(price: str, open_: bool) -> str:
    known = "".join(
        f"<option value='{number[:4]} {number[4:8]} {number[8:12]} {number[12:]}'>"
        f"{one.network}, {'international' if one.international else 'domestic'}</option>"
        for number, one in CARDS.items()
    )
    inside = (
        "<label>Card number<input type='text' name='number' value='5104 0155 5555 5558' list='cards' "
        f"inputmode='numeric' autocomplete='off'></label><datalist id='cards'>{known}</datalist>"
        "<div class='row'><label>Expiry<input type='text' name='expiry' value='12/35' autocomplete='off'></label>"
        "<label>CVV<input type='text' name='cvv' value='123' autocomplete='off'></label>"
        "<label>OTP<input type='text' name='otp' value='1234' inputmode='numeric' autocomplete='off'></label></div>"
        "<p class='hint'>Domestic: 4718 6091 0820 4366, 5104 0600 0000 0008. International: 5104 0155 5555 5558. "
        "An OTP of fewer than four digits fails.</p>"
    )
    return _section("card", "card", inside, price, open_)


def _upi(price: str, open_: bool) -> str:
    inside = (
        f"<label>UPI address<input type='text' name='vpa' value='{ADDRESSES[0]}' autocomplete='off'></label>"
        f"<p class='hint'>{' or '.join(ADDRESSES)}</p>"
    )
    return _section("upi", "UPI", inside, price, open_)


def form(
    wanted: Purchase,
    amounts: Mapping[str, int],
    around: Surroundings,
    mode: str,
    error: str = "",
    kind: str = "",
    answer: Mapping[str, Any] | None = None,
) -> web.Response:
    """The ways of paying. `amounts` is by kind of instrument, in the smallest unit."""
    prices = {name: money(amount, wanted.currency) for name, amount in amounts.items()}
    method = around.filled.get("method", "card")
    other = "netbanking" if wanted.subscription is None else "emandate"
    hidden = "".join(
        f"<input type='hidden' name='{escape(name)}' value='{escape(value)}'>" for name, value in around.hidden.items()
    )
    ways = _card(prices["card_international"], method not in ("upi", other))
    if wanted.currency == "INR":
        ways += _upi(prices["upi"], method == "upi")
        bank = "<p class='hint'>HDFC, which says yes.</p>"
        name = "net banking" if other == "netbanking" else "eMandate"
        ways += _section(other, name, bank, prices[other], method == other)
    signatures = "".join(f"<option value='{name}'>{says}</option>" for name, says in SIGNATURES.items())
    title = around.hidden.get("name") or "Sandbox shop"
    about = around.hidden.get("description") or wanted.title
    body = (
        f"{_head(title, about, around)}<p class='amount'>{prices['card_international']}</p>"
        f"<form method='post' action='{escape(around.action)}'>{hidden}"
        f"{f'<p class=error role=alert>{escape(error)}</p>' if error else ''}"
        "<div class='row'>"
        f"<label>E-mail<input type='email' name='email' value='{escape(around.filled.get('email', ''))}'></label>"
        f"<label>Phone<input type='tel' name='contact' value='{escape(around.filled.get('contact', ''))}'></label>"
        "</div>"
        f"{ways}"
        "<details><summary>What may go wrong</summary><div>"
        f"<label>The signature that the site is given<select name='signature'>{signatures}</select></label>"
        "<label class='check'><input type='checkbox' name='later' value='fail'>Later automatic charges fail</label>"
        "<label class='check'><input type='checkbox' name='action' value='vanish'>"
        "It is paid, and the browser never hears of it</label>"
        "</div></details>"
        f"<p class='hint'>{escape(mode)} mode · <code>{escape(wanted.key)}</code></p></form>"
    )
    leads_to = origin_of(wanted.link.callback_url) if wanted.link else ""
    return _page(title, body, around, kind, answer, leads_to=leads_to)
