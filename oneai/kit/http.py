"""The one seam to other people's servers. Nothing else imports an HTTP client.

Plain calls go through httpx. Streams go through aiohttp, whose cost a chunk does not grow with the
number of open streams (docs/decisions/0041-the-upstream-client.md).
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import httpx
import orjson

from oneai.kit import traces

CONNECT_SECONDS: Final = 10.0
END_SECONDS: Final = 1.0  # how long a body may take to end after its last word
KEPT_SECONDS: Final = 5.0  # how long an idle connection of plain calls waits for the next one
ANSWER_LIMIT: Final = 16 * 1024 * 1024


@dataclass(slots=True)
class HTTPFailure(Exception):
    """A call that gave no usable answer. ``status`` is None when there was no answer at all.

    ``sent`` is False when it is certain that the request never left: nobody has acted on it.
    """

    status: int | None
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: bool = True

    def __str__(self) -> str:
        return f"status {self.status}" if self.status else self.text or "no answer"


@cache
def _trusted() -> ssl.SSLContext:
    """Whom we believe: reading the certificates takes many times what a call does."""
    return httpx.create_ssl_context()


def fetch_json(url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 20.0) -> Any:
    """The JSON at ``url``, synchronously. HTTPFailure for anything but 2xx JSON below 16 MiB."""
    try:
        with (
            httpx.Client(timeout=timeout, follow_redirects=False, verify=_trusted()) as client,
            client.stream("GET", url, headers=dict(headers or {})) as response,
        ):
            parts, size = [], 0
            for chunk in response.iter_bytes():
                size += len(chunk)
                if size > ANSWER_LIMIT:
                    raise HTTPFailure(response.status_code, "the answer is too large")
                parts.append(chunk)
    except httpx.HTTPError as error:
        raise HTTPFailure(None, type(error).__name__) from error
    body = b"".join(parts)
    if not response.is_success:
        raise HTTPFailure(response.status_code, body[:2000].decode("utf-8", "replace"), dict(response.headers))
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise HTTPFailure(response.status_code, "the answer is not JSON") from error


@cache
def _client() -> httpx.Client:
    """This process's connections for plain calls, used by any of its threads; kept for less than servers keep them."""
    return httpx.Client(
        follow_redirects=False,
        verify=_trusted(),
        trust_env=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        limits=httpx.Limits(keepalive_expiry=KEPT_SECONDS),
    )


# Two processes on one connection would read each other's answers.
os.register_at_fork(after_in_child=_client.cache_clear)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, whatever its status; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def call(
    method: str,
    url: str,
    *,
    auth: tuple[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str | int] | None = None,
    json: Any = None,
    connect: float = 5.0,
    read: float = 20.0,
    limit: int = ANSWER_LIMIT,
) -> Reply:
    """One call, synchronously: ``json`` is its body, ``auth`` its Basic user and password. Follows no redirect.

    ``connect`` and ``read`` are seconds; the body has three times ``read`` to end. HTTPFailure when no
    whole answer of at most ``limit`` bytes came; it says whether the request may have been acted on.
    """
    content = None if json is None else orjson.dumps(json)
    given = dict(headers or {}) | ({} if content is None else {"Content-Type": "application/json"})
    timeout = httpx.Timeout(read, connect=connect)
    last = time.monotonic() + connect + 3 * read
    try:
        with _client().stream(
            method, url, auth=auth, headers=given, params=query, content=content, timeout=timeout
        ) as response:
            parts, size = [], 0
            for chunk in response.iter_bytes():
                size += len(chunk)
                if size > limit:
                    raise HTTPFailure(response.status_code, "the answer is too large")
                if time.monotonic() > last:
                    raise HTTPFailure(response.status_code, "the answer does not end")
                parts.append(chunk)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
        raise HTTPFailure(None, type(error).__name__, sent=False) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise HTTPFailure(None, type(error).__name__) from error
    return Reply(response.status_code, {n.lower(): v for n, v in response.headers.items()}, b"".join(parts))


class Answer:
    """A streamed answer: status, headers (lower case) and its body as it arrives."""

    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: dict[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def chunks(self) -> AsyncIterator[bytes]:
        """Whatever each read brings. HTTPFailure when the connection breaks before the body's end."""
        read = self._response.content.readany
        try:
            while data := await read():
                yield data
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise HTTPFailure(None, type(error).__name__) from error

    async def body(self, limit: int = 256 * 1024) -> bytes:
        """The body, at most ``limit`` bytes of it."""
        parts, size = [], 0
        async for chunk in self.chunks():
            parts.append(chunk)
            size += len(chunk)
            if size >= limit:
                break
        return b"".join(parts)[:limit]

    def close(self) -> None:
        """Drop the connection: what is still coming is not wanted."""
        self._response.close()

    async def finish(self) -> None:
        """Give the connection back once the body has ended, for the next call; drop it when it does not end."""
        try:
            async with asyncio.timeout(END_SECONDS):
                while await self._response.content.readany():
                    pass
        except (aiohttp.ClientError, OSError, TimeoutError):
            pass
        finally:
            self._response.close()


class Streams:
    """A pool of connections for streams, one for each event loop; as many at once as are asked for."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30, ttl_dns_cache=60),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=None),
                auto_decompress=True,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send ``body`` and return as soon as the answer's headers are there. HTTPFailure when none come."""
        try:
            with traces.span("upstream", **{"server.address": urlsplit(url).hostname or ""}) as span:
                response = await self._open().post(url, data=body, headers=dict(headers), allow_redirects=False)
                if span is not None:
                    span.set_attribute("http.response.status_code", response.status)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise HTTPFailure(None, type(error).__name__) from error
        return Answer(response)

    async def close(self) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()
            self._session = None
