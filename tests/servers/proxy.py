"""A TCP proxy in front of a server, whose connections can be reset, refused or left without an answer."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")
RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on a loopback port and passes bytes on, for as long as nothing else is asked of it."""

    def __init__(self, port: int) -> None:
        """``port`` is where the server listens."""
        self._target = port
        self._lines: set[asyncio.StreamWriter] = set()
        self._refusing = False
        self._silent: asyncio.StreamWriter | None = None
        self._streams: asyncio.StreamWriter | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(self._listen())
        self.url = f"http://localhost:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Reset every connection there is; new ones pass."""
        self._do(self._reset())

    def refuse(self, on: bool) -> None:
        """With ``on``, reset everything now and whatever comes."""
        self._refusing = on
        if on:
            self.cut()

    def silence(self) -> None:
        """The connection that an event stream began on last stays open and carries nothing more; others pass."""
        self._silent = self._streams

    def close(self) -> None:
        """End everything."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _reset(self) -> None:
        for writer in list(self._lines):
            _reset(writer)

    async def _end(self) -> None:
        self._server.close()
        await self._reset()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            _reset(writer)
            return
        with suppress(OSError):
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._lines.add(writer)
            try:
                await asyncio.gather(self._pass(reader, there_writer, writer), self._pass(there_reader, writer, writer))
            finally:
                self._lines.discard(writer)
                there_writer.close()
        writer.close()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, line: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if line is self._silent:
                    continue
                if sink is line and b"text/event-stream" in data:
                    self._streams = line
                sink.write(data)
                await sink.drain()
        if line is not self._silent:
            sink.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    plug = writer.get_extra_info("socket")
    with suppress(OSError, AttributeError):
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
