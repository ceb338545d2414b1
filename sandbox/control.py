"""Control endpoints under /_control: what happened, and what shall happen next. For tests and the curious."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from aiohttp import web

from .jsontext import parse, pretty
from .openrouter import keys
from .openrouter.scenarios import SCENARIOS
from .pace import PACES
from .world import WORLD, PlannedFault


def answer(value: Any, status: int = 200) -> web.Response:
    """JSON, indented: people read it too."""
    return web.Response(status=status, body=pretty(value), content_type="application/json")


def wrong(message: str) -> web.Response:
    """400 with the reason."""
    return answer({"error": message}, 400)


async def fields(request: web.Request) -> dict[str, Any]:
    """The JSON object of a control call, empty when there is no body. Raises ValueError for anything else."""
    raw = await request.read()
    value = parse(raw) if raw.strip() else {}
    if not isinstance(value, dict):
        raise ValueError("expected a JSON object")
    return value


async def dispatches(request: web.Request) -> web.Response:
    """Dispatches, oldest first; `?user=`, `?model=`, `?state=`, `?session_id=`, `?id=` narrow the list."""
    rows = [one.as_json() for one in request.app[WORLD].dispatches.values()]
    for name, key in (
        ("user", "user"),
        ("model", "model"),
        ("state", "state"),
        ("session_id", "session_id"),
        ("id", "generation_id"),
    ):
        wanted = request.query.get(name)
        if wanted is not None:
            rows = [row for row in rows if row[key] == wanted]
    return answer({"count": len(rows), "dispatches": rows})


async def reset(request: web.Request) -> web.Response:
    """Forgets everything: dispatches, mails, faults, codes; the pace is the one of the start again."""
    request.app[WORLD].reset()
    return answer({"ok": True})


async def pace(request: web.Request) -> web.Response:
    """Sets `pace` (human, fast, none) and `stall_seconds`; answers what holds now."""
    world = request.app[WORLD]
    given = await fields(request)
    name = given.get("pace", world.pace.name)
    if name not in PACES:
        return wrong(f"pace: one of {', '.join(PACES)}")
    stall = given.get("stall_seconds", world.stall_seconds)
    if not isinstance(stall, int | float) or not 0 <= stall <= 3600:
        return wrong("stall_seconds: a number from 0 to 3600")
    world.pace = PACES[name]
    world.stall_seconds = float(stall)
    return answer({"pace": world.pace.name, "stall_seconds": world.stall_seconds})


async def fault(request: web.Request) -> web.Response:
    """Orders a `scenario` for the next `times` requests, of one `model` or any, every `every`-th of them."""
    given = await fields(request)
    scenario = str(given.get("scenario", "")).removeprefix("sandbox/")
    if scenario not in SCENARIOS:
        return wrong(f"scenario: one of {', '.join(SCENARIOS)}")
    times, every = given.get("times", 1), given.get("every", 1)
    if not isinstance(times, int) or not isinstance(every, int) or times < 1 or every < 1:
        return wrong("times, every: whole numbers from 1")
    model = given.get("model")
    request.app[WORLD].faults.append(PlannedFault(scenario, times, str(model) if model else None, every))
    return answer({"ok": True})


async def key(request: web.Request) -> web.Response:
    """Overrides fields of GET /key; `{"limit_remaining": 0}` makes completions answer 402 too."""
    try:
        keys.set_fields(request.app[WORLD], await fields(request))
    except ArithmeticError:
        return wrong("limit, limit_remaining: numbers or null")
    return answer(request.app[WORLD].key_fields)


async def record(request: web.Request) -> web.Response:
    """Falsifies the books of one generation: `lose` its record, bill it `double`, at a `factor` of its price or at a
    `cost` of any kind, or for more `tokens` than were written.
    """
    given = await fields(request)
    world = request.app[WORLD]
    dispatch = world.dispatches.get(str(given.get("generation_id", "")))
    if dispatch is None:
        return wrong("generation_id: unknown")
    tokens = given.get("tokens", 0)
    if not isinstance(tokens, int) or dispatch.completion_tokens + tokens < 0:
        return wrong("tokens: a whole number, and no more may go than there are")
    try:
        factor, cost = (
            Decimal(str(given.get(name, start))) for name, start in (("factor", 1), ("cost", dispatch.cost))
        )
    except ArithmeticError:
        return wrong("factor, cost: numbers")
    if not (factor.is_finite() and cost.is_finite()) or factor < 0 or cost < 0:
        return wrong("factor, cost: numbers from 0")
    world.bill(dispatch, cost)
    world.falsify(
        dispatch, lose=bool(given.get("lose")), double=bool(given.get("double")), factor=factor, tokens=tokens
    )
    return answer(dispatch.as_json())


async def scenarios(_: web.Request) -> web.Response:
    """Every scenario with what it does."""
    return answer({one.slug: one.says for one in SCENARIOS.values()})


@web.middleware
async def plain_errors(request: web.Request, handler: Any) -> web.StreamResponse:
    """Answers 400 when a control call carries no JSON object."""
    try:
        response: web.StreamResponse = await handler(request)
    except ValueError as error:
        if not request.path.startswith("/_control/"):
            raise
        return wrong(str(error))
    return response


def add(app: web.Application) -> None:
    """Adds the paths."""
    app.router.add_get("/_control/dispatches", dispatches)
    app.router.add_get("/_control/scenarios", scenarios)
    app.router.add_post("/_control/reset", reset)
    app.router.add_post("/_control/pace", pace)
    app.router.add_post("/_control/fault", fault)
    app.router.add_post("/_control/key", key)
    app.router.add_post("/_control/record", record)
