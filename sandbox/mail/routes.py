"""The mailbox for people, and for tests."""

from __future__ import annotations

import time
from html import escape

from aiohttp import web

from sandbox.control import answer, fields, wrong
from sandbox.pages import page
from sandbox.world import WORLD

from .box import LINK, Mail

FRAME_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def _when(mail: Mail) -> str:
    return time.strftime("%H:%M:%S", time.localtime(mail.received))


def linked(text: str) -> str:
    """Text as HTML whose web addresses can be clicked."""
    parts = []
    end = 0
    for found in LINK.finditer(text):
        address = escape(found.group())
        parts.append(escape(text[end : found.start()]))
        parts.append(f'<a href="{address}" rel="noopener noreferrer">{address}</a>')
        end = found.end()
    return "".join(parts) + escape(text[end:])


async def mailbox(request: web.Request) -> web.Response:
    """All mails, newest first, with their text."""
    mails = request.app[WORLD].mailbox.newest_first()
    shown = "".join(
        f'<article class="card"><h2><a href="/mail/{mail.number}">{escape(mail.subject) or "(no subject)"}</a></h2>'
        f"<p class='muted'>{_when(mail)} · to {escape(', '.join(mail.recipients))} · from {escape(mail.sender)}</p>"
        f'<pre class="mail">{linked(mail.text or "(no text part)")}</pre></article>'
        for mail in mails
    )
    empty = "<p>No mail yet. What the site sends arrives here and nowhere else.</p>"
    return page("Mailbox", f"<h1>Mailbox</h1>{shown or empty}")


def _one(request: web.Request) -> Mail:
    mail = request.app[WORLD].mailbox.get(int(request.match_info["n"]))
    if mail is None:
        raise web.HTTPNotFound(text="No such mail in the sandbox.\n")
    return mail


async def one_mail(request: web.Request) -> web.Response:
    """One mail: headers, text, and its HTML part in a frame that can do nothing."""
    mail = _one(request)
    headers = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in mail.headers.items())
    files = "".join(
        f'<li><a href="/mail/{mail.number}/files/{at}">{escape(one.name) or "a file"}</a></li>'
        for at, one in enumerate(mail.attachments)
    )
    frame = f'<h2>HTML part</h2><iframe sandbox src="/mail/{mail.number}/html" title="HTML part"></iframe>'
    return page(
        mail.subject or "Mail",
        f'<p><a href="/mail">All mails</a></p><h1>{escape(mail.subject) or "(no subject)"}</h1>'
        f'<p class="muted">{_when(mail)} · delivered to {escape(", ".join(mail.recipients))}</p>'
        f'<pre class="mail">{linked(mail.text or "(no text part)")}</pre>'
        f"{f'<ul>{files}</ul>' if files else ''}{frame if mail.html else ''}<h2>Headers</h2><table>{headers}</table>",
    )


async def html_part(request: web.Request) -> web.Response:
    """The HTML part alone; nothing in it may run or load."""
    return web.Response(
        text=_one(request).html, content_type="text/html", headers={"Content-Security-Policy": FRAME_POLICY}
    )


async def attachment(request: web.Request) -> web.Response:
    """A file that came with a mail, to be kept: nothing in it is shown here."""
    files = _one(request).attachments
    at = int(request.match_info["at"])
    if at >= len(files):
        raise web.HTTPNotFound(text="No such file in this mail.\n")
    headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
    return web.Response(body=files[at].content, content_type=files[at].type, headers=headers)


async def list_mails(request: web.Request) -> web.Response:
    """Mails as JSON, newest first; `?to=` one recipient, `?since=` only numbers above it."""
    mails = request.app[WORLD].mailbox.newest_first(request.query.get("to"))
    since = int(request.query.get("since", "0"))
    return answer({"messages": [mail.as_json() for mail in mails if mail.number > since]})


async def fault(request: web.Request) -> web.Response:
    """Makes the mail server answer 451 so many `times`."""
    times = (await fields(request)).get("times", 1)
    if not isinstance(times, int) or times < 0:
        return wrong("times: a whole number from 0")
    request.app[WORLD].mailbox.refusals = times
    return answer({"times": times})


def add(app: web.Application) -> None:
    """Adds the paths."""
    app.router.add_get("/mail", mailbox)
    app.router.add_get(r"/mail/{n:\d{1,9}}", one_mail)
    app.router.add_get(r"/mail/{n:\d{1,9}}/html", html_part)
    app.router.add_get(r"/mail/{n:\d{1,9}}/files/{at:\d{1,3}}", attachment)
    app.router.add_get("/_control/mail", list_mails)
    app.router.add_post("/_control/mail-fault", fault)
