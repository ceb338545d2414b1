"""The production server: what `make serve` and the container run.

PORT (8000), HOST (every interface) and WEB_CONCURRENCY (1) come from the environment or `.env`,
like all settings. This process becomes uvicorn, so signals reach it directly.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def command(host: str, port: int, processes: int) -> list[str]:
    """The uvicorn command line. Raises FileNotFoundError when the packages are not installed."""
    program = Path(sys.executable).with_name("uvicorn")
    if not program.exists():
        raise FileNotFoundError("uvicorn is not installed beside this Python: run `make build` first")
    return [
        str(program),
        "oneai.asgi:application",
        *("--host", host, "--port", str(port), "--workers", str(processes)),
        *("--loop", "uvloop", "--http", "httptools", "--lifespan", "on", "--log-level", "warning"),
        # Open streams get this long at a stop: the site settles them within 30 s. Without it
        # uvicorn waits for them for ever.
        *("--timeout-graceful-shutdown", "35"),
        # Client addresses come from TRUSTED_PROXIES, and the site writes its own access log.
        *("--no-proxy-headers", "--no-server-header", "--no-access-log"),
    ]


def main() -> int:
    """Become uvicorn; returns, with 1, only when that can't be."""
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    try:
        from oneai import env

        if not env.present("DEBUG"):
            os.environ["DEBUG"] = "0"
        # Read here, what is missing is a list of sentences; in uvicorn it would end a traceback.
        import_module("oneai.settings")
        host = env.text("HOST", "0.0.0.0")  # noqa: S104 (as a rule it runs in a container, behind a proxy)
        line = command(host, env.number("PORT", 8000), env.number("WEB_CONCURRENCY", 1, least=1))
    except Exception as error:  # a wrong setting or a missing package: its own words are enough
        print(error, file=sys.stderr)
        return 1
    sys.stdout.flush()
    os.execv(line[0], line)
    raise AssertionError("execv does not return")


if __name__ == "__main__":
    sys.exit(main())
