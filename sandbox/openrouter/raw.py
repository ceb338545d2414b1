"""Answers that are no answers: bytes of another kind under status 200, or no HTTP at all."""

from __future__ import annotations

from typing import Literal

from aiohttp import web

JUNK = b"\x00\x01\x02 neither events nor JSON \xff\xfe\n\n{[}\n\nPK\x03\x04 data \n\n"
PAGE = "<!DOCTYPE html><html><body><h1>Sandbox</h1><p>A page where an answer was expected.</p></body></html>"


def garbage(
    request: web.Request, kind: Literal["stream", "http", "json", "html"], streamed: bool, generation_id: str
) -> web.Response:
    """A response that can't be read as a completion."""
    headers = {"X-Generation-Id": generation_id}
    match kind:
        case "stream":
            content_type = "text/event-stream" if streamed else "application/json"
            return web.Response(body=JUNK * 20, content_type=content_type, headers=headers)
        case "json":
            return web.json_response({"choices": "none", "usage": [1, 2, 3], "id": 7}, headers=headers)
        case "html":
            return web.Response(text=PAGE, content_type="text/html", headers=headers)
    if request.transport is not None:
        request.transport.write(b"\x15\x03\x01 this is not HTTP\r\n\r\n")
        request.transport.close()
    return web.Response()
