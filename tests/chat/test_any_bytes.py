"""Any text in any pieces is told, stored and settled once; garbage ends an answer and keeps what came before it."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneai.kit.sse import LINE_LIMIT
from tests.chat.client import Chat
from tests.faults.load import unlimited
from tests.servers.databases import Databases
from tests.servers.sandbox import Sandbox
from tests.servers.site import Site

UNPAIRED = st.text(st.characters(), max_size=30)  # lone surrogates, NUL, separators: what JSON can say
LINE_END = st.sampled_from([b"\n", b"\r", b"\r\n"])
NOISE = st.sampled_from(
    [b": OPENROUTER PROCESSING", b":", b"event: message", b"id: 7", b"retry: 10", b"what: \xff\xfe"]
)
USAGE = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}}'
Pieces = list[bytes]


class Upstream(socketserver.ThreadingTCPServer):
    """Answers each question with the bytes that were laid out for it, piece by piece, and hangs up."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.pieces: Pieces = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Call(socketserver.StreamRequestHandler):
    server: Upstream

    def handle(self) -> None:
        path = self.rfile.readline().split()[1]
        length = 0
        while line := self.rfile.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        self.rfile.read(length)
        if path.endswith(b"/models"):
            self._head(b"application/json")
            self.wfile.write(json.dumps({"data": [{"id": "model", "context_length": 8000}]}).encode())
            return
        self._head(b"text/event-stream")
        for piece in self.server.pieces:
            try:
                self.wfile.write(piece)
            except OSError:
                return

    def _head(self, kind: bytes) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\nConnection: close\r\n\r\n")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def chat(database: Databases, sandbox: Sandbox, server_logs: Path, upstream: Upstream) -> Iterator[Chat]:
    """A user of a site whose model `raw/model` is that upstream."""
    settings = sandbox.settings() | {"EXTRA_UPSTREAMS": f"raw={upstream.url}|none"}
    site = Site(database.migrated(), server_logs, settings=settings, worker=False)
    try:
        site.command("sync_models")
        site.start()
        yield Chat(site, unlimited(site, 1)[0])
    finally:
        site.stop()


def chunk(text: str) -> bytes:
    return json.dumps({"id": "gen-1", "choices": [{"delta": {"content": text}}]}).encode()


def mended(text: str) -> str:
    """The text as it can be stored: halves that meet are one character, lone ones and NUL are replaced."""
    return text.replace("\0", "\ufffd").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, Pieces]:
    texts = draw(st.lists(UNPAIRED, min_size=1, max_size=6))
    data = b""
    for block in [*map(chunk, texts), b'{"choices":[{"delta":{},"finish_reason":"stop"}]}', USAGE, b"[DONE]"]:
        for noise in draw(st.lists(NOISE, max_size=1)):
            data += noise + draw(LINE_END)
        data += b"data: " + block + draw(LINE_END)
        end = draw(LINE_END)
        data += end + end
    cuts = sorted({min(cut, len(data)) for cut in draw(st.lists(st.integers(1, 600), max_size=12))} | {0, len(data)})
    return mended("".join(texts)), [data[start:end] for start, end in pairwise(cuts)]


def whole_and_settled_once(chat: Chat, upstream: Upstream, examples: int) -> None:
    """Ask for so many answers of any text in any pieces."""

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(answers())
    def ask(found: tuple[str, Pieces]) -> None:
        expected, upstream.pieces = found
        used = chat.used
        turn = chat.send("Say it.", "raw/model")
        assert turn.closing.name == "message.completed", turn.closing
        assert turn.text == chat.message(turn)["content"] == expected
        assert (chat.used - used, chat.held) == (8, 0)

    ask()


def test_any_text_in_any_pieces_is_told_stored_and_settled_once(chat: Chat, upstream: Upstream) -> None:
    whole_and_settled_once(chat, upstream, 40)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_thousands_of_texts_in_any_pieces_are_told_stored_and_settled_once(chat: Chat, upstream: Upstream) -> None:
    whole_and_settled_once(chat, upstream, 3000)


GARBAGE = {
    "broken JSON": b"data: {broken\n\n",
    "no object": b"data: [1,2]\n\n",
    "deep": b"data: " + b"[" * 5000 + b"\n\n",
    "no UTF-8": b"data: \xff\xfe\x00\n\n",
    "a page": b"<html>\r\n\r\n</html>",
    "ten mebibytes": b"data: " + b"x" * (10 * LINE_LIMIT) + b"\n\n",
    "nothing": b"",
}


def test_garbage_ends_an_answer_with_an_error_and_keeps_what_came_before(chat: Chat, upstream: Upstream) -> None:
    for name, garbage in GARBAGE.items():
        for before in ("", "So far"):
            # In one piece: what is whole before the garbage counts, however the network has cut it.
            upstream.pieces = [(b"data: " + chunk(before) + b"\n\n" if before else b"") + garbage]
            turn = chat.send("Say it.", "raw/model")
            assert turn.closing.name == "message.failed", name
            assert turn.closing.data["error"]["code"] in {"upstream_invalid", "upstream_interrupted"}, name
            stored: dict[str, Any] = chat.message(turn)
            assert turn.text == stored["content"] == before, name
            assert stored["status"] == ("interrupted" if before else "failed"), name
