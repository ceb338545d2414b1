"""What this process knows about its connections that its answers must say.

The server process sets it (tools/web_worker.py), the gate and ``/readyz`` read it. Under another
server nothing sets it, and every connection is kept as long as that server likes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Connections:
    """``leaving``: no new connections here, siblings may take them. ``stopping``: the whole site is being
    stopped. ``crowded``: hardly a file descriptor is left.
    """

    leaving: bool = False
    stopping: bool = False
    crowded: bool = False

    @property
    def last_answer(self) -> bool:
        """Whether an answer is the last one on its connection, so that it must say ``Connection: close``."""
        return self.leaving or self.crowded


connections = Connections()
