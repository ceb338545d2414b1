"""A bare relay in Python: reads a request, passes it on, passes the answer's bytes back as they come.

It authenticates nobody, counts nothing and stores nothing. It is the floor under every server of this kind
that is written in Python, and therefore what the product's work per chunk is compared with.
"""

import argparse
import asyncio
import gc
from typing import cast

import httptools
import uvloop

_DROPPED = {b"host", b"content-length", b"transfer-encoding", b"connection", b"expect"}


class Upstream(asyncio.Protocol):
    """A kept connection to the upstream; serves one client's request at a time."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._client: Client | None = None
        self._parser = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, client: "Client", request: bytes) -> None:
        """Sends a request; the answer goes to `client`."""
        self._client = client
        if self.transport is None:
            client.broken()
            return
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        client = self._client
        if client is None:
            self.close()
            return
        client.relay(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            client.broken()
            self.close()

    def on_message_complete(self) -> None:
        """Called by the parser: the answer has ended, the connection is free again."""
        client, self._client = self._client, None
        if self._parser.should_keep_alive():
            self._pool.give_back(self)
        else:
            self.close()
        if client is not None:
            client.answered()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        client, self._client = self._client, None
        if client is not None:
            client.broken()

    def pause_writing(self) -> None:
        return None

    def resume_writing(self) -> None:
        return None

    def close(self) -> None:
        """Ends the connection, and with it the upstream's work."""
        self._client = None
        if self.transport is not None:
            self.transport.close()


class Pool:
    """Idle connections to one upstream."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._idle: list[Upstream] = []
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, client: "Client", request: bytes) -> None:
        """Sends the request over an idle connection, or opens one."""
        while self._idle:
            upstream = self._idle.pop()
            if upstream.transport is not None and not upstream.transport.is_closing():
                client.upstream = upstream
                upstream.ask(client, request)
                return
        task = self._loop.create_task(self._connect(client, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, client: "Client", request: bytes) -> None:
        try:
            _, upstream = await self._loop.create_connection(lambda: Upstream(self), self._host, self._port)
        except OSError:
            client.broken()
            return
        client.upstream = upstream
        upstream.ask(client, request)

    def give_back(self, upstream: Upstream) -> None:
        """Takes a connection whose answer has ended."""
        self._idle.append(upstream)


class Client(asyncio.Protocol):
    """A client's connection."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self.upstream: Upstream | None = None
        self._path = b""
        self._headers: list[bytes] = []
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self.upstream is not None:
            self.upstream.close()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._transport is not None:
                self._transport.close()

    def on_message_begin(self) -> None:
        """Called by the parser: a new request."""
        self._path = b""
        self._headers = []
        self._body = []

    def on_url(self, url: bytes) -> None:
        """Called by the parser."""
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        if name.lower() not in _DROPPED:
            self._headers.append(b"%b: %b\r\n" % (name, value))

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Called by the parser: the request is whole and goes to the upstream."""
        body = b"".join(self._body)
        head = b"%b %b HTTP/1.1\r\nHost: upstream\r\n%bContent-Length: %d\r\n\r\n"
        request = head % (self._parser.get_method(), self._path, b"".join(self._headers), len(body))
        self._pool.ask(self, request + body)

    def relay(self, data: bytes) -> None:
        """Passes bytes of the answer on."""
        if self._transport is not None:
            self._transport.write(data)

    def answered(self) -> None:
        """The answer has ended."""
        self.upstream = None

    def broken(self) -> None:
        """The upstream went away; the client sees its connection end."""
        self.upstream = None
        if self._transport is not None:
            self._transport.close()


async def serve(port: int, upstream_port: int) -> asyncio.Server:
    """Listens on loopback; `port` 0 takes a free one."""
    pool = Pool("127.0.0.1", upstream_port)
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Client(pool), "127.0.0.1", port, backlog=4096)


async def _forever(port: int, upstream_port: int) -> None:
    server = await serve(port, upstream_port)
    gc.freeze()
    await server.serve_forever()


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.byteproxy", description=__doc__)
    parser.add_argument("--port", type=int, default=18401)
    parser.add_argument("--upstream-port", type=int, default=18400)
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_forever(given.port, given.upstream_port))


if __name__ == "__main__":
    main()
