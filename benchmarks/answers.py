"""What the simulated upstream says: its catalogue, its answers, its records, in OpenRouter's shapes."""

import itertools
import json
import re
import time

from benchmarks.stamps import stamp

PROMPT_TOKENS = 9
_PRICE_PROMPT = 0.00000015
_PRICE_COMPLETION = 0.0000006


_numbers = itertools.count(1)  # of all models: two of them may answer as many chunks


def slug(chunks: int, delay_ms: int) -> str:
    """The model that answers `chunks` chunks, `delay_ms` milliseconds apart."""
    return f"bench/c{chunks}-d{delay_ms}"


def framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _usage(chunks: int) -> dict[str, object]:
    cost = PROMPT_TOKENS * _PRICE_PROMPT + chunks * _PRICE_COMPLETION
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": chunks,
        "total_tokens": PROMPT_TOKENS + chunks,
        "cost": round(cost, 10),
        "is_byok": False,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "image_tokens": 0},
        "cost_details": {"upstream_inference_cost": None},
    }


def catalogue(models: list[str]) -> bytes:
    """The answer of GET /models: every model priced."""
    rows = [
        {
            "id": name,
            "canonical_slug": name,
            "name": f"Bench: {name}",
            "created": 1_700_000_000,
            "description": "Answers stamped text for measuring.",
            "context_length": 128_000,
            "architecture": {
                "modality": "text->text",
                "input_modalities": ["text"],
                "output_modalities": ["text"],
                "tokenizer": "Other",
                "instruct_type": None,
            },
            "pricing": {
                "prompt": "0.00000015",
                "completion": "0.0000006",
                "request": "0",
                "image": "0",
                "web_search": "0",
                "internal_reasoning": "0",
            },
            "top_provider": {
                "context_length": 128_000,
                "max_completion_tokens": 16_384,
                "is_moderated": False,
            },
            "per_request_limits": None,
            "supported_parameters": ["max_tokens", "temperature", "stop", "tools"],
            "default_parameters": {},
        }
        for name in models
    ]
    return json.dumps({"data": rows, "total_count": len(rows), "links": {"next": None}}).encode()


class Plan:
    """The answers of one model, made once with a placeholder where the generation's id goes."""

    def __init__(self, chunks: int, delay_ms: int, started: int) -> None:
        self.chunks = chunks
        self.delay = delay_ms / 1000
        self._model = slug(chunks, delay_ms)
        self._started = started
        # As long as every id, so that the lengths on the wire are right when the id takes its place.
        self._blank = b"*" * len(self.generation())
        before, after = self._chunk([self._choice("|", None)]).split(b"|")
        self._before, self._after = before, b" " + after
        finish = self._chunk([self._choice("", "stop")])
        usage = self._chunk([], usage=_usage(chunks))
        self._end = framed(finish) + framed(usage) + framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"
        self._whole = json.dumps(self._completion("|"), separators=(",", ":")).encode().split(b"|")

    def generation(self) -> bytes:
        """A new id; it says how many chunks were asked for, so that GET /generation needs no memory."""
        return b"gen-%d-%08dc%d" % (self._started, next(_numbers), self.chunks)

    def _choice(self, content: str, finish: str | None) -> dict[str, object]:
        return {
            "index": 0,
            "delta": {"role": "assistant", "content": content},
            "finish_reason": finish,
            "native_finish_reason": finish,
            "logprobs": None,
        }

    def _chunk(self, choices: list[dict[str, object]], **more: object) -> bytes:
        event = {
            "id": self._blank.decode(),
            "provider": "Bench",
            "model": self._model,
            "object": "chat.completion.chunk",
            "created": self._started,
            "choices": choices,
            **more,
        }
        return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"

    def _completion(self, text: str) -> dict[str, object]:
        message = {"role": "assistant", "content": text, "refusal": None, "reasoning": None}
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "native_finish_reason": "stop",
            "logprobs": None,
            "message": message,
        }
        return {
            "id": self._blank.decode(),
            "object": "chat.completion",
            "created": self._started,
            "model": self._model,
            "provider": "Bench",
            "system_fingerprint": None,
            "choices": [choice],
            "usage": _usage(self.chunks),
        }

    def delta(self, generation: bytes) -> tuple[bytes, bytes]:
        """What stands before and after the stamp in a chunk."""
        return self._before.replace(self._blank, generation), self._after

    def end(self, generation: bytes) -> bytes:
        """The finish chunk, the usage chunk and the end, framed for the wire."""
        return self._end.replace(self._blank, generation)

    def whole(self, generation: bytes, tag: bytes) -> bytes:
        """The answer that is not streamed."""
        text = b" ".join(stamp(tag, n, time.monotonic_ns()) for n in range(self.chunks))
        before, after = self._whole
        return b"%b%b%b" % (before.replace(self._blank, generation), text, after)


def generation(query: bytes) -> bytes:
    found = re.search(rb"id=([^&]+)", query)
    name = found.group(1).decode() if found else ""
    chunks = int(name.rpartition("c")[2]) if re.fullmatch(r"gen-\d+-\d+c\d+", name) else 0
    return json.dumps(
        {
            "data": {
                "id": name,
                "tokens_prompt": PROMPT_TOKENS,
                "tokens_completion": chunks,
                "native_tokens_prompt": PROMPT_TOKENS,
                "native_tokens_completion": chunks,
                "native_tokens_reasoning": 0,
                "native_tokens_cached": 0,
                "total_cost": _usage(chunks)["cost"],
                "usage": _usage(chunks)["cost"],
                "finish_reason": "stop",
                "cancelled": False,
                "streamed": True,
                "provider_name": "Bench",
            }
        }
    ).encode()
