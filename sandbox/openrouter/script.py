"""A reply as a list of pieces, cut to its cap, and what it bills."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox import answers
from sandbox.jsontext import compact, pretty
from sandbox.model import Model
from sandbox.tokens import count, pieces

from . import difficult
from .asked import Asked
from .bill import Piece
from .scenarios import Scenario

LENGTH_TOKENS = 40
"""Where `sandbox/length` stops, unless the cap is lower."""


@dataclass(slots=True)
class Script:
    """A whole reply before it is sent."""

    pieces: list[Piece]
    prompt_tokens: int
    cached_tokens: int
    finish: str
    native_finish: str
    annotations: list[dict[str, Any]] = field(default_factory=list)
    searches: int = 0
    uncounted: bool = False


def write(asked: Asked, model: Model, scenario: Scenario | None, headers: dict[str, str]) -> Script:
    """Writes the whole reply of a model to a request."""
    kind = scenario.script if scenario else "answer"
    searches = 1 if asked.web_search else 0
    prompt = asked.prompt_tokens
    script = Script(
        pieces=[],
        prompt_tokens=prompt,
        cached_tokens=prompt // 2 if scenario and scenario.cached else 0,
        finish="stop",
        native_finish=scenario.native_finish if scenario else "stop",
        annotations=answers.citations(asked.question) if searches else [],
        searches=searches,
        uncounted=kind == "echo",
    )
    body = list(_body(kind, asked, model, headers))
    if any("tool_calls" in piece.delta for piece in body):
        script.finish, script.native_finish = "tool_calls", "tool_use"
    whole = [*_reasoning(asked, model, scenario), *body]
    cap = _cap(asked, model, scenario)
    if kind == "one-big":
        whole = _joined(whole, cap)
    if scenario is None or not scenario.over:
        if kind == "echo":
            whole = _priced_to(whole, cap)
        else:
            whole, short = _cut(whole, cap)
            if short:
                script.finish, script.native_finish = "length", "max_tokens"
    else:
        whole = _stretched(whole, cap + int(cap * scenario.over) + 1)
    if scenario and scenario.finish:
        if scenario.finish != "length":
            whole = whole[:30]
        script.finish, script.native_finish = scenario.finish, scenario.native_finish
    script.pieces = whole
    return script


def _cap(asked: Asked, model: Model, scenario: Scenario | None) -> int:
    cap = min(asked.cap or 1_000_000, model.max_output or 1_000_000)
    if scenario and scenario.finish == "length":
        return min(cap, LENGTH_TOKENS)
    return cap


def _text(text: str) -> Iterator[Piece]:
    for piece, tokens in pieces(text):
        yield Piece({"content": piece}, tokens)


def _reasoning(asked: Asked, model: Model, scenario: Scenario | None) -> Iterator[Piece]:
    if not model.reasons or asked.no_reasoning:
        return
    thought = answers.thought(asked.question)
    if scenario and scenario.script == "encrypted":
        sealed = {
            "type": "reasoning.encrypted",
            "data": "c2FuZGJveA==" * 40,
            "id": "rs_1",
            "format": "sandbox-v1",
            "index": 0,
        }
        yield Piece({"content": "", "reasoning": None, "reasoning_details": [sealed]}, count(thought), True)
        return
    for piece, tokens in pieces(thought):
        detail = {
            "type": "reasoning.text",
            "text": piece,
            "signature": None,
            "id": None,
            "format": "unknown",
            "index": 0,
        }
        shown = {} if asked.hide_reasoning else {"reasoning": piece, "reasoning_details": [detail]}
        yield Piece({"content": "", **shown}, tokens, True)


def _body(kind: str, asked: Asked, model: Model, headers: dict[str, str]) -> Iterable[Piece]:
    if kind in ("tool", "parallel-tools") or (asked.must_call and kind != "echo"):
        called = _calls(asked, 2 if kind == "parallel-tools" else 1)
        if called is not None:
            return called
    match kind:
        case "nothing":
            return ()
        case "hello":
            return _text(difficult.HELLO)
        case "accents":
            return _text(difficult.ACCENTS)
        case "emoji":
            return _text(difficult.EMOJI)
        case "nul":
            return _text(difficult.CONTROLS)
        case "separators":
            return _text(difficult.SEPARATORS)
        case "markup":
            return _text(difficult.MARKUP)
        case "whitespace":
            return _text(" \n\n\t \n   ")
        case "bad-utf8":
            return _with_raw("The next word is broken: ", difficult.BAD_UTF8, ". Here the text goes on.")
        case "surrogates":
            return _with_raw("Two halves: ", difficult.HALVES, " make one sign.")
        case "long":
            return _text(answers.essay(asked.question, sections=24))
        case "echo":
            return _text(pretty({"body": asked.body, "headers": headers}).decode())
        case "blank-deltas":
            return _with_blanks(_text(_answer(asked, model)))
    return _text(_answer(asked, model))


def _answer(asked: Asked, model: Model) -> str:
    return answers.answer(
        asked.question,
        model=model.id,
        turn=asked.turn,
        earlier=asked.earlier,
        system=asked.system,
        schema=asked.schema,
        pictures=asked.pictures,
        texts_before=asked.texts_before,
        tool_result=asked.tool_result,
    )


def _with_raw(before: str, raws: Sequence[tuple[bytes, int]], after: str) -> Iterator[Piece]:
    yield from _text(before)
    for raw, tokens in raws:
        yield Piece({"content": ""}, tokens, raw=raw)
    yield from _text(after)


def _with_blanks(text: Iterable[Piece]) -> Iterator[Piece]:
    yield Piece({"content": ""}, 0)
    for number, piece in enumerate(text):
        yield piece
        if number % 2:
            yield Piece({"content": ""}, 0)


def _joined(whole: list[Piece], cap: int) -> list[Piece]:
    cut, _ = _cut(whole, cap)
    text = "".join(piece.delta.get("content") or "" for piece in cut)
    return [Piece({"content": text}, sum(piece.tokens for piece in cut))]


def _cut(whole: list[Piece], cap: int) -> tuple[list[Piece], bool]:
    total = 0
    for number, piece in enumerate(whole):
        total += piece.tokens
        if total > cap:
            return whole[:number], True
    return whole, False


def _stretched(whole: list[Piece], tokens: int) -> list[Piece]:
    if not whole:
        return whole
    longer: list[Piece] = []
    total = 0
    while total < tokens:
        for piece in whole:
            longer.append(piece)
            total += piece.tokens
            if total >= tokens:
                break
    return longer


def _priced_to(whole: list[Piece], cap: int) -> list[Piece]:
    """The same text, tokens counted only up to the cap: nobody is charged above what was asked for."""
    left = cap
    priced = []
    for piece in whole:
        tokens = min(piece.tokens, left)
        left -= tokens
        priced.append(Piece(piece.delta, tokens))
    return priced


def _calls(asked: Asked, number: int) -> list[Piece] | None:
    """Chunks that call tools; None when the conversation already carries their result."""
    if asked.tool_result is not None:
        return None
    names = asked.tool_names or ["get_weather", "get_time"]
    chosen = [(names * number)[index] for index in range(number)]
    heads: list[Piece] = []
    parts: list[list[Piece]] = []
    for index, name in enumerate(chosen):
        function = {"name": name, "arguments": ""}
        call_id = "call_" + secrets.token_hex(8)
        head = {"index": index, "id": call_id, "type": "function", "function": function}
        heads.append(Piece({"content": None, "tool_calls": [head]}, count(name)))
        arguments = compact(answers.arguments(asked.tools, name, asked.question)).decode()
        step = max(1, len(arguments) // 4)
        cuts = [arguments[start : start + step] for start in range(0, len(arguments), step)]
        parts.append(
            [
                Piece(
                    {"content": None, "tool_calls": [{"index": index, "function": {"arguments": cut}}]},
                    count(cut),
                )
                for cut in cuts
            ]
        )
    rest: list[Piece] = []
    for step in range(max(len(one) for one in parts)):
        rest.extend(one[step] for one in parts if step < len(one))
    return heads + rest
