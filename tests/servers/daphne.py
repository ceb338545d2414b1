"""A site's application under Daphne, beside the site itself: the same settings, the same database."""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path

from tests.servers.process import ServerProcess, free_port
from tests.servers.site import Site


class Daphne:
    """`daphne oneai.asgi:application` on a port of its own."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.log_path = site.folder / f"daphne-{self.port}.log"
        program = Path(sys.executable).with_name("daphne")
        address = ("-b", "127.0.0.1", "-p", str(self.port))
        self._server = ServerProcess(
            [str(program), *address, "-v", "0", "oneai.asgi:application"],
            env=site.env | {"PORT": str(self.port)},
            log_path=self.log_path,
        )

    def start(self) -> None:
        """Start and wait until it answers. Raises ServerDied."""
        self._server.start()
        self._server.wait_until(self._ready, seconds=60)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def terminate(self) -> None:
        """TERM, without waiting."""
        self._server.send(self._server.stop_signal)

    def stop(self) -> int:
        """TERM, and wait; the exit status."""
        return self._server.stop(seconds=45)
