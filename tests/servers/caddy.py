"""Caddy with the Caddyfile that we ship: TLS on loopback, in front of any number of sites of a test."""

from __future__ import annotations

import os
import shutil
import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.servers.process import ROOT, ServerProcess, free_port, listening

SHIPPED = ROOT / "deploy" / "Caddyfile"
# What only a machine with a name on the internet has: a port for administration, certificates from outside.
ELSEWHERE = "admin 127.0.0.1:2019"
HERE = "admin off\n\tauto_https disable_redirects\n\tskip_install_trust\n\tlocal_certs"


class NoCaddy(RuntimeError):
    """Caddy is not on this machine."""


def binary() -> str:
    """The path of caddy. Raises NoCaddy."""
    found = shutil.which("caddy")
    if not found:
        raise NoCaddy("caddy is not on this machine (Debian: apt install caddy)")
    return found


class Caddy:
    """A reverse proxy on a free port with a certificate of its own making for localhost."""

    def __init__(self) -> None:
        self._program = binary()
        self.folder = Path(tempfile.mkdtemp(prefix="oneai-caddy-"))
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self._server: ServerProcess | None = None

    def start(self, backends: Sequence[int]) -> None:
        """Start in front of sites on these loopback ports, and wait until it listens. Raises ServerDied."""
        text = SHIPPED.read_text(encoding="utf-8")
        assert text.count(ELSEWHERE) == 1, "the Caddyfile has changed its shape"
        (self.folder / "Caddyfile").write_text(text.replace(ELSEWHERE, HERE), encoding="utf-8")
        named = {"SITE_URL": self.url, "UPSTREAM": " ".join(f"127.0.0.1:{port}" for port in backends)}
        self._server = ServerProcess(
            [self._program, "run", "--config", str(self.folder / "Caddyfile"), "--adapter", "caddyfile"],
            env=os.environ | named | {"XDG_DATA_HOME": str(self.folder), "HOME": str(self.folder)},
            log_path=self.folder / "log",
            folder=self.folder,
            remove=[self.folder],
        )
        self._server.start()
        self._server.wait_until(lambda: listening(self.port) and self.authority.exists(), seconds=60)

    @property
    def authority(self) -> Path:
        """The certificate that signs this proxy's own."""
        return self.folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    def trust(self) -> ssl.SSLContext:
        """For clients: trusts the certificates that this proxy makes, and no others."""
        return ssl.create_default_context(cafile=str(self.authority))

    def stop(self) -> None:
        """End it and remove its folder."""
        if self._server:
            self._server.stop(seconds=10)
            self._server = None
        shutil.rmtree(self.folder, ignore_errors=True)
