"""The look of the sandbox's own pages, and its front page."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from aiohttp import web

from .catalogue import HEALTHY, ODD
from .openrouter.scenarios import SCENARIOS
from .world import WORLD

STYLE = """
:root { color-scheme: light dark; --line: #d5d7dd; --muted: #5c6270; --card: #fff; --back: #f5f6f8; --ink: #16181d;
  --link: #0b57c2; --warn: #fff3cd; --warn-ink: #5f4300; }
@media (prefers-color-scheme: dark) { :root { --line: #343841; --muted: #a3a9b8; --card: #1d2026; --back: #131519;
  --ink: #eceef2; --link: #8ab4ff; --warn: #3b2f0b; --warn-ink: #ffe08a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
.banner { background: var(--warn); color: var(--warn-ink); padding: .6rem 1rem; text-align: center; font-weight: 600; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
main.narrow { max-width: 28rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin: 1.6rem 0 .5rem; }
a { color: var(--link); overflow-wrap: anywhere; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1rem 1.2rem;
  margin: 1rem 0; }
.card h2 { margin-top: 0; }
.muted { color: var(--muted); }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem .35rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { font-weight: 500; color: var(--muted); }
code, pre { font: .9em/1.5 ui-monospace, monospace; }
pre.mail { white-space: pre-wrap; overflow-wrap: anywhere; margin: .5rem 0 0; }
iframe { width: 100%; height: 30rem; border: 1px solid var(--line); border-radius: .5rem; background: #fff; }
button { font: inherit; width: 100%; padding: .7rem 1rem; margin: .3rem 0; border-radius: .6rem; cursor: pointer;
  border: 1px solid var(--line); background: var(--card); color: var(--ink); text-align: left; }
button:hover, button:focus-visible { border-color: var(--link); }
button small { display: block; color: var(--muted); }
input[type=text], input[type=email] { font: inherit; width: 100%; padding: .55rem .7rem; margin: .2rem 0 .7rem;
  border: 1px solid var(--line); border-radius: .5rem; background: var(--back); color: var(--ink); }
label { display: block; }
.wide { overflow-x: auto; }
.wide td, .wide th { white-space: nowrap; overflow-wrap: normal; padding-right: 1rem; }
.buttons { display: flex; flex-wrap: wrap; gap: .4rem; }
.buttons button { width: auto; margin: 0; padding: .4rem .8rem; }
"""

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'self'"
)


def page(title: str, body: str, *, narrow: bool = False, status: int = 200, leads_to: str = "") -> web.Response:
    """An HTML page that says what it is. `body` is HTML, `title` is text.

    `leads_to` is the origin that a form of the page may redirect to, beside the sandbox itself.
    """
    html = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)} · sandbox</title><link rel='stylesheet' href='/style.css'>"
        "<link rel='icon' href='/icon.svg' type='image/svg+xml'></head><body>"
        "<div class='banner'>This is a sandbox: an imitation for trying things out. Nothing here is real.</div>"
        f"<main{' class=narrow' if narrow else ''}>{body}</main></body></html>"
    )
    return web.Response(
        text=html,
        status=status,
        content_type="text/html",
        headers={
            "Content-Security-Policy": f"{POLICY} {leads_to}".rstrip(),
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        },
    )


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><td><code>{escape(name)}</code></td><td>{escape(text)}</td></tr>" for name, text in rows)
    return f"<table>{cells}</table>"


CONTROLS = (
    ("GET /_control/dispatches", "every chat completion: what was asked, billed, and how it ended"),
    ("POST /_control/pace", '{"pace": "human|fast|none", "stall_seconds": 90}'),
    ("POST /_control/fault", '{"scenario": "http-502", "times": 1, "model": null, "every": 1}'),
    (
        "POST /_control/record",
        'wrong books: {"generation_id": …, "lose": true, "double": true, "factor": 1.5, "cost": "0.02", "tokens": 9}',
    ),
    ("POST /_control/key", 'fields of GET /key, such as {"limit_remaining": 0}'),
    ("POST /_control/google", '{"fault": "wrong-aud"} for the next exchange'),
    ("POST /_control/google/id-token", "a signed identity token for token sign-in"),
    ("POST /_control/razorpay/clock", '{"days": 31}: what falls due until then happens'),
    ("POST /_control/razorpay/webhooks", '{"url": …, "mode": "deliver|hold|drop"}'),
    ("POST /_control/razorpay/subscription/…/authenticate", '{"method": "upi"}; the README lists the other walks'),
    ("GET /_control/razorpay/events", "every webhook event and its deliveries"),
    ("GET /_control/mail?to=", "mails as JSON"),
    ("POST /_control/mail-fault", '{"times": 2}: refuse so many deliveries'),
    ("POST /_control/reset", "forget everything"),
)


async def front(request: web.Request) -> web.Response:
    """What is imitated, and where."""
    world = request.app[WORLD]
    mails = len(world.mailbox.newest_first())
    base = escape(world.base_url)
    return page(
        "Sandbox",
        "<h1>Sandbox</h1><p>Stand-ins for the services that the site talks to, on this machine only. No account, no "
        "key, no cost.</p>"
        f"<div class='card'><h2><a href='/mail'>Mailbox</a></h2><p>{mails} mail{'' if mails == 1 else 's'}. What the "
        f"site sends arrives here (SMTP port {world.smtp_port}).</p></div>"
        "<div class='card'><h2>Imitated</h2><table>"
        f"<tr><th>OpenRouter</th><td><code>{base}/openrouter/api/v1</code> · any key that begins with "
        "<code>sk-or-</code></td></tr>"
        f"<tr><th>Google sign-in</th><td><code>{base}/google</code> · client <code>sandbox-client</code></td></tr>"
        f"<tr><th>Razorpay</th><td><code>{base}/razorpay</code> · key <code>rzp_test_sandbox0000001</code> · "
        "<a href='/razorpay/dashboard'>dashboard</a></td></tr>"
        f"<tr><th>Mail</th><td><code>smtp://127.0.0.1:{world.smtp_port}</code></td></tr></table></div>"
        f"<h2>Models</h2>{_rows((model.id, model.name) for model in HEALTHY)}"
        f"<h2>Scenarios, by model name</h2>{_rows((one.slug, one.says) for one in SCENARIOS.values())}"
        f"<h2>Odd rows of the catalogue</h2>{_rows((model.id, model.name) for model in ODD)}"
        f"<h2>Control</h2>{_rows(CONTROLS)}",
    )


async def style(_: web.Request) -> web.Response:
    """The style sheet."""
    return web.Response(text=STYLE, content_type="text/css")


async def icon(_: web.Request) -> web.Response:
    """The icon: a box."""
    return web.Response(
        text="<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><path fill='#c58b1a' "
        "d='M2 5l6-3 6 3v6l-6 3-6-3z'/></svg>",
        content_type="image/svg+xml",
    )


def add(app: web.Application) -> None:
    """Adds the paths."""
    app.router.add_get("/", front)
    app.router.add_get("/style.css", style)
    app.router.add_get("/icon.svg", icon)
