"""Every fault and oddity that a model slug `sandbox/<name>` calls up, as data; `writer` and `chat` act on it."""
# ruff: noqa: E501 - one row each

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sandbox.model import Model

PROMPT_PRICE = "0.0000005"
COMPLETION_PRICE = "0.0000015"
CACHE_READ_PRICE = "0.00000005"

UsageShape = Literal["current", "old", "none", "no-cost", "null-cost", "null-details", "twice", "each", "string"]
Break = Literal[
    "error", "error-no-choices", "error-string-code", "error-with-usage", "choice-error",
    "cut", "reset", "end", "stall", "malformed",
]  # fmt: skip
Script = Literal[
    "answer", "hello", "accents", "emoji", "long", "nothing", "nul", "separators", "bad-utf8", "surrogates",
    "echo", "tool", "parallel-tools", "encrypted", "blank-deltas", "markup", "whitespace", "one-big",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is different about one slug. Seconds are multiples of the pace's comment gap unless said otherwise.

    `break_after` counts pieces; `over` is what is written past the cap, as a part of it; `raw` replaces the whole answer, `http` names a refusal of `refusals`.
    """

    name: str
    says: str
    http: str | None = None
    raw: Literal["stream", "http", "json", "html"] | None = None
    script: Script = "answer"
    usage: UsageShape = "current"
    comments_before: int = 1
    comments_between: int = 0
    line_end: str = "\n"
    split: bool = False
    pack: int = 1
    stall_headers: bool = False
    stall_first: bool = False
    endless_comments: bool = False
    breaks: Break | None = None
    break_after: int = 12
    drop_done: bool = False
    drop_finish: bool = False
    cut_after_finish: bool = False
    body_error: bool = False
    leading: str = ""
    pads: int = 0
    reasons: bool = False
    strange_fields: bool = False
    finish: str | None = None
    native_finish: str = "stop"
    over: float = 0.0
    free_when_empty: bool = False
    rate: float | None = None
    provider: str | None = None
    cached: bool = False

    @property
    def slug(self) -> str:
        """The model that calls this scenario up."""
        return f"sandbox/{self.name}"


S = Scenario
SCENARIOS: dict[str, Scenario] = {
    one.name: one
    for one in (
        # The wire
        S("comments-first", "four comment lines before the first chunk", comments_before=4),
        S("comments-between", "a comment line before every third chunk", comments_between=3),
        S("comments-only", "comment lines and nothing else, until the reader leaves", endless_comments=True),
        S("crlf", "lines end with CR LF, comments included", line_end="\r\n", comments_between=4),
        S("cr", "lines end with a lone CR, as the event stream format allows", line_end="\r"),
        S("split-utf8", "each event in two packets, cut inside a character", script="accents", split=True),
        S("packed", "eight events in one packet", pack=8),
        S("long-line", "one chunk carries 300 KB in an unknown field", pads=300_000),
        S("one-chunk", "the whole answer in a single chunk", script="one-big"),
        S("unknown-fields", "fields, event names, ids and values that no document mentions", strange_fields=True),
        # Usage
        S("usage-old-shape", "the usage chunk has one choice with an empty delta", usage="old"),
        S("usage-no-cost", "usage without `cost`", usage="no-cost"),
        S("cost-null", "usage with `cost: null`", usage="null-cost"),
        S("usage-null-details", "usage with null for both details", usage="null-details"),
        S("usage-string", "usage is a string instead of an object", usage="string"),
        S("no-usage", "no usage at all; the record has it", usage="none"),
        S("duplicate-usage", "two usage chunks: half of it, then the right one", usage="twice"),
        S("usage-each", "growing usage in every chunk, the last one right", usage="each"),
        S("cached", "half of the prompt was read from the cache, at its price", cached=True),
        # Breaking off
        S("midstream-error", "an error chunk after some text", breaks="error"),
        S("midstream-error-no-choices", "an error chunk with `choices: []`", breaks="error-no-choices"),
        S("midstream-error-string-code", "an error chunk whose code is a string", breaks="error-string-code"),
        S("midstream-error-usage", "an error chunk, then usage and [DONE]", breaks="error-with-usage"),
        S("midstream-error-first", "an error chunk before any text", breaks="error", break_after=0),
        S("cut", "the connection ends inside the stream", breaks="cut"),
        S("cut-first", "the connection ends before the first chunk", breaks="cut", break_after=0, comments_before=0),
        S("reset", "the connection is reset inside the stream", breaks="reset"),
        S("ends-early", "the stream ends tidily, without finish reason and [DONE]", breaks="end"),
        S("malformed", "a chunk that is broken JSON, after some text", breaks="malformed"),
        S("cut-after-finish", "the connection ends after the finish reason, before usage", cut_after_finish=True),
        S("no-done", "everything but [DONE]", drop_done=True),
        S("no-finish", "usage and [DONE], but never a finish reason", drop_finish=True),
        S("stall", "silence after some text, for the stall time", breaks="stall"),
        S("stall-before-first", "silence after the headers, for the stall time", stall_first=True, comments_before=0),
        S("stall-headers", "silence before the headers, for the stall time", stall_headers=True),
        # Refusals over HTTP
        S("http-400", "400 invalid request", http="400"),
        S("http-400-context", "400 context length exceeded", http="400-context"),
        S("http-400-model", "400 not a valid model", http="400-model"),
        S("http-401", "401 user not found", http="401"),
        S("http-402", "402 insufficient credits", http="402"),
        S("http-402-preflight", "402 when more than 64 output tokens are asked for, or none stated",
          http="402-preflight"),
        S("http-402-key-limit", "402 the key's limit", http="402-key-limit"),
        S("http-403-moderation", "403 flagged by moderation, with reasons", http="403-moderation"),
        S("http-404", "404 no endpoints", http="404"),
        S("http-404-deprecated", "404 the model was retired (availability body)", http="404-deprecated"),
        S("http-408", "408 timed out", http="408"),
        S("http-413", "413 payload too large", http="413"),
        S("http-422", "422 unprocessable", http="422"),
        S("http-429", "429 from the provider, without any hint when", http="429"),
        S("http-429-retry-after", "429 with Retry-After: 2", http="429-retry-after"),
        S("http-429-ms-reset", "429 with a reset in epoch milliseconds", http="429-ms-reset"),
        S("http-500", "500", http="500"),
        S("http-502", "502 provider returned error", http="502"),
        S("http-502-raw", "502 with the provider's raw words, which no user may see", http="502-raw"),
        S("http-502-html", "502 as an HTML page of the edge", http="502-html"),
        S("http-503", "503 with Retry-After: 1", http="503"),
        S("http-524", "524 time-out at the edge", http="524"),
        S("http-529", "529 overloaded", http="529"),
        S("availability-no-code", "503 with an availability body and no `code`", http="availability-no-code"),
        S("error-in-200", "status 200, the body only an error", body_error=True),
        S("choice-error-in-200", "status 200, the error inside the choice", breaks="choice-error"),
        S("leading-whitespace", "blank lines before the JSON body or the first event", leading="\n\n  \n"),
        S("leading-comment", "a comment line before the JSON body", leading=": OPENROUTER PROCESSING\n\n"),
        # What the model does
        S("hello", "a fixed short answer of few tokens, for measuring", script="hello", comments_before=0),
        S("reasoning", "reasoning before the text", reasons=True),
        S("reasoning-only", "reasoning, and no text", reasons=True, script="nothing"),
        S("encrypted-reasoning", "reasoning that is only there encrypted", script="encrypted", reasons=True),
        S("empty-deltas", "many chunks with empty content among the others", script="blank-deltas"),
        S("tool-call", "calls one tool, its arguments over several chunks; answers its result", script="tool"),
        S("parallel-tool-calls", "calls two tools at once, interleaved", script="parallel-tools"),
        S("length", "stops after 40 tokens for length, wherever the cap is", finish="length", native_finish="max_tokens"),
        S("zero-tokens", "no token, no finish reason: not billed", script="nothing", drop_finish=True,
          free_when_empty=True),
        S("zero-tokens-stop", "no token, finish reason stop: the prompt is billed", script="nothing"),
        S("content-filter", "some text, then stopped by the filter", finish="content_filter",
          native_finish="SAFETY"),
        S("unknown-finish", "a finish reason that no document mentions", finish="paused", native_finish="PAUSED"),
        S("overrun", "writes 50 % more tokens than the cap, and bills them", over=0.5),
        S("runaway", "writes five times the tokens of the cap, 100 a second, and bills them", over=4.0, rate=100.0),
        S("ignores-cancel", "goes on and bills to the end though the reader left", provider="Google AI Studio"),
        S("slow", "ten tokens a second at any pace", rate=10.0),
        S("long", "some four thousand tokens of Markdown", script="long"),
        S("echo-request", "answers with the request's body and headers as JSON, without the key", script="echo"),
        # Difficult text
        S("emoji", "emoji of every make: joined, skin tones, flags", script="emoji"),
        S("nul", "U+0000 and other control characters in the text", script="nul"),
        S("line-separators", "CR, U+2028, U+2029, U+0085, VT and FF in the text", script="separators"),
        S("bad-utf8", "bytes that are no UTF-8 inside the JSON", script="bad-utf8"),
        S("lone-surrogate", "an emoji as two escaped halves in two chunks", script="surrogates"),
        S("markup", "HTML, script, links with javascript: and remote images in the text", script="markup"),
        S("whitespace", "nothing but blanks and line breaks", script="whitespace"),
        S("garbage", "status 200 and bytes that are neither events nor JSON", raw="stream"),
        S("garbage-html", "status 200 and an HTML page", raw="html"),
        S("garbage-json", "status 200 and JSON of quite another shape", raw="json"),
        S("garbage-http", "bytes that are not even HTTP", raw="http"),
    )
}  # fmt: skip


def scenario_models() -> tuple[Model, ...]:
    """A priced row of the catalogue for every scenario."""
    return tuple(
        Model(
            one.slug,
            f"Sandbox: {one.name}",
            {
                "prompt": PROMPT_PRICE,
                "completion": COMPLETION_PRICE,
                "request": "0",
                "image": "0",
                "input_cache_read": CACHE_READ_PRICE,
            },
            provider=one.provider or "DeepInfra",
            inputs=("text", "image"),
            reasons=one.reasons,
            scenario=one.name,
            description=f"Sandbox scenario: {one.says}.",
        )
        for one in SCENARIOS.values()
    )
