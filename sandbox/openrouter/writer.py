"""Puts events on the wire, with the faults that belong to lines and packets."""

from __future__ import annotations

import asyncio
import socket
import struct
import time

from aiohttp import web

from sandbox.world import Dispatch

from .scenarios import Scenario

PACKET_GAP = 0.02
"""Seconds between two halves of an event, so that they arrive as two packets."""


def end_connection(request: web.Request, *, reset: bool = False) -> None:
    """Ends the connection at once, in the middle of whatever was being sent; `reset` sends a TCP RST."""
    transport = request.transport
    if transport is None:
        return
    if reset:
        wire = transport.get_extra_info("socket")
        if wire is not None:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Writer:
    """The event stream of one answer. A reader that left is noted in the dispatch and gets no more."""

    def __init__(self, request: web.Request, dispatch: Dispatch, scenario: Scenario | None) -> None:
        self._request = request
        self._dispatch = dispatch
        self._end = (scenario.line_end if scenario else "\n").encode()
        self._split = bool(scenario and scenario.split)
        self._pack = scenario.pack if scenario else 1
        self._named = bool(scenario and scenario.strange_fields)
        self._held: list[bytes] = []
        self._count = 0
        self.response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-cache",
                "X-Generation-Id": dispatch.generation_id,
            }
        )

    async def open(self) -> None:
        """Sends status and headers."""
        if not self.gone():
            await self.response.prepare(self._request)

    def gone(self) -> bool:
        """Whether the reader left; the first time is written down with its moment."""
        if self._dispatch.disconnected_at is not None:
            return True
        transport = self._request.transport
        if transport is None or transport.is_closing():
            self._dispatch.disconnected_at = time.time()
            return True
        return False

    async def comment(self) -> None:
        """A keep-alive line."""
        await self.raw(b": OPENROUTER PROCESSING" + self._end * 2)

    async def event(self, data: bytes) -> None:
        """One event, packed with others or split when the scenario says so."""
        self._count += 1
        block = b"data: " + data + self._end * 2
        if self._named:
            number = str(self._count).encode()
            block = b"event: chunk\nid: " + number + b"\nretry: 10000\nfuture: yes\n" + block
        if self._pack > 1:
            self._held.append(block)
            if len(self._held) >= self._pack:
                await self.flush()
            return
        if self._split:
            cut = next((at for at, byte in enumerate(block) if byte >= 0xC0), len(block) // 2 - 1) + 1
            await self.raw(block[:cut])
            await asyncio.sleep(PACKET_GAP)
            await self.raw(block[cut:])
            return
        await self.raw(block)

    async def flush(self) -> None:
        """Sends what was held back to go out in one packet."""
        held, self._held = b"".join(self._held), []
        if held:
            await self.raw(held)

    async def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        if self.gone():
            return
        try:
            await self.response.write(data)
        except ConnectionError:
            self._dispatch.disconnected_at = self._dispatch.disconnected_at or time.time()

    async def close(self) -> None:
        """Ends the stream tidily."""
        await self.flush()
        if self.gone():
            return
        try:
            await self.response.write_eof()
        except ConnectionError:
            self.gone()

    def cut(self, *, reset: bool = False) -> None:
        """Ends the connection in the middle of the stream. This is not the reader leaving."""
        end_connection(self._request, reset=reset)
