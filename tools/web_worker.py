"""One web process: uvicorn on the socket that it inherits, with an end that no client notices.

    python -m tools.web_worker LISTENER STATUS LIFELINE NOTICE

The first three are file descriptors (tools/web_supervisor.py). On TERM, uvicorn alone would close
connections that are idle at once, under requests that are on their way. Here the process first stops
accepting, which leaves the queue to its siblings, and answers what still comes on the connections that
it has, each for the last time.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

import uvicorn

from oneai.kit.connections import connections
from tools.web_supervisor import LEAVING, LIVING, SERVING

MOST_FILES: Final = 65536
ACCEPTS: Final = 8  # at one go, so that siblings get their share of a burst
KEEP_ALIVE_SECONDS: Final = 5
SOCKET_FRAME_BYTES: Final = 512 * 1024
# After TERM the engine marks at 20 s what still runs, so that its readers are told before their connections
# are closed; with its own end, all of it takes less than 30 s.
PATIENCE_SECONDS: Final = 24.0
GRACEFUL_SECONDS: Final = 28.0


def raise_file_limit() -> int:
    """Take as many file descriptors as this process may; returns how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return min(soft, MOST_FILES) if soft != resource.RLIM_INFINITY else MOST_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


class Listener:
    """Accepts connections while there is room for them; what waits in the queue, a sibling may take.

    The lowest free number is what a new descriptor gets, so the number of the last one says how many
    there are. A part of them is kept for what serves the clients: upstreams, database, files.
    """

    def __init__(self, listening: socket.socket, protocol: Callable[[], asyncio.Protocol], files: int) -> None:
        self._socket = listening
        self._protocol = protocol
        self._most = files * 5 // 8
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._loop.add_reader(self._socket, self._accept)

    @property
    def opening(self) -> bool:
        """Whether a connection is accepted that its protocol has not seen yet."""
        return bool(self._opening)

    def close(self) -> None:
        """Accept no more. The socket stays open in the other processes."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._socket)
            self._socket.close()

    async def wait_closed(self) -> None:
        """As a server of asyncio has it; there is nothing to wait for."""

    def _accept(self) -> None:
        for _ in range(ACCEPTS):
            try:
                client, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no descriptor or no memory left
                self._rest()
                return
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._open(client))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
            if client.fileno() >= self._most:
                self._rest()
                return

    async def _open(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, client)
        except OSError:  # it has gone already
            client.close()

    def _rest(self) -> None:
        connections.crowded = True
        self._loop.remove_reader(self._socket)
        self._loop.call_later(0.1, self._go_on)

    def _go_on(self) -> None:
        if self._closed:
            return
        try:
            probe = os.dup(self._socket.fileno())
        except OSError:
            probe = self._most
        else:
            os.close(probe)
        if probe >= self._most:
            self._loop.call_later(0.1, self._go_on)
            return
        connections.crowded = False
        self._loop.add_reader(self._socket, self._accept)


class Server(uvicorn.Server):
    """Uvicorn's server, which tells the supervisor how it is and leaves without a client noticing."""

    def __init__(self, config: uvicorn.Config, listening: socket.socket, status: int, lifeline: int, notice: float):
        super().__init__(config)
        self._listening = listening
        self._status = status
        self._lifeline = lifeline
        self._notice = notice
        self._files = raise_file_limit()
        self._listener: Listener | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then accept."""
        await super().startup(sockets=[])
        loop = asyncio.get_running_loop()
        self._listener = Listener(self._listening, self._protocol, self._files)
        self.servers = [self._listener]  # type: ignore[list-item]
        loop.add_reader(self._lifeline, self._site_stops)
        self._tell(SERVING)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    def _connections(self) -> list[Any]:
        return list(self.server_state.connections)

    def _tell(self, what: bytes) -> None:
        try:
            os.write(self._status, what)
        except OSError:  # nobody listens any more: the lifeline says so too
            pass

    def _site_stops(self) -> None:
        """The supervisor has closed the lifeline, or has died: say so for a while, then stop."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._lifeline)
        connections.stopping = True
        connections.leaving = True
        loop.call_later(self._notice, signal.raise_signal, signal.SIGTERM)

    async def on_tick(self, counter: int) -> bool:
        """Every 0.1 s: a sign of life each second."""
        if counter % 10 == 0:
            self._tell(LIVING)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Leave the queue to the siblings, let connections end by themselves, then end as uvicorn does.

        Each answer that begins from now on says that it is the last on its connection. Where one had
        begun before, the client may send one more request; a connection without any ends by the usual
        timeout. When the whole site stops there is nobody to leave anything to, and no reason to wait.
        """
        self._tell(LEAVING)
        connections.leaving = True
        assert self._listener is not None
        self._listener.close()
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self._listener.opening:  # noqa: ASYNC110 (once, at the end of a process)
            await asyncio.sleep(0.01)
        for connection in self._connections():
            # The client of a WebSocket goes on with a sibling at once.
            if not _is_http(connection) and getattr(connection, "handshake_complete", True):
                connection.shutdown()
        while any(map(_is_http, self.server_state.connections)) and loop.time() < began + PATIENCE_SECONDS:
            if connections.stopping:
                break
            await asyncio.sleep(0.02)
        self.config.timeout_graceful_shutdown = int(began + GRACEFUL_SECONDS - loop.time())
        await super().shutdown()


def _is_http(connection: Any) -> bool:
    return hasattr(connection, "cycle")


def main() -> None:
    """Serve until TERM."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor's business
    listening, status, lifeline = (int(number) for number in sys.argv[1:4])
    for end in (status, lifeline):
        os.set_inheritable(end, False)
        os.set_blocking(end, False)
    # Where a handshake passes these, the library leaves the client without an answer: the site's own,
    # lower limits must come first.
    os.environ |= {"WEBSOCKETS_MAX_LINE_LENGTH": str(1024 * 1024), "WEBSOCKETS_MAX_NUM_HEADERS": "20000"}
    config = uvicorn.Config(
        "oneai.asgi:application",
        loop="uvloop",
        http="oneai.kit.listener:Protocol",
        lifespan="on",
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        ws="websockets-sansio",
        ws_max_size=SOCKET_FRAME_BYTES,
        ws_per_message_deflate=False,  # it costs more than tokens are worth, and leaks what it is mixed with
        # A peer that has gone without a word is noticed; a slow one has a minute to come to the ping.
        ws_ping_interval=20.0,
        ws_ping_timeout=60.0,
        # Client addresses come from TRUSTED_PROXIES, and the site writes its own access log.
        proxy_headers=False,
        server_header=False,
        access_log=False,
    )
    server = Server(config, socket.socket(fileno=listening), status, lifeline, float(sys.argv[4]))
    server.run()


if __name__ == "__main__":
    main()
