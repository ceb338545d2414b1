"""The production server: what `make serve` and the container run.

PORT (8000), HOST (every interface), WEB_CONCURRENCY (1) and DRAIN_NOTICE (0) come from the
environment or `.env`, like all settings. This process becomes the supervisor of the web processes
(tools/web_supervisor.py), so signals reach it directly.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def command(host: str, port: int, processes: int, notice: int) -> list[str]:
    """The supervisor's command line. Raises FileNotFoundError when the packages are not installed."""
    if find_spec("uvicorn") is None:
        raise FileNotFoundError("uvicorn is not installed beside this Python: run `make build` first")
    given = ("--host", host, "--port", str(port), "--workers", str(processes), "--notice", str(notice))
    return [sys.executable, "-m", "tools.web_supervisor", *given]


def main() -> int:
    """Become the supervisor; returns, with 1, only when that can't be."""
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    # Without what is read from .env below: a process that is renewed reads that file itself, anew.
    environment = dict(os.environ)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oneai.settings")
    try:
        from oneai import env

        if not env.present("DEBUG"):
            os.environ["DEBUG"] = environment["DEBUG"] = "0"
        # Read here, what is missing is a list of sentences; in a web process it would end a traceback.
        import_module("oneai.settings")
        line = command(
            env.text("HOST", "0.0.0.0"),  # noqa: S104 (as a rule it runs in a container, behind a proxy)
            env.port(),
            env.number("WEB_CONCURRENCY", 1, least=1, most=1024),
            env.number("DRAIN_NOTICE", 0, most=3600),
        )
    except Exception as error:  # a wrong setting or a missing package: its own words are enough
        print(error, file=sys.stderr)
        return 1
    from oneai.kit import diagnosis

    if why := diagnosis.why_away():  # it may come back: until then every page says 503
        print(f"The database {why} The site starts all the same, and waits for it.", file=sys.stderr)
    sys.stdout.flush()
    os.execve(line[0], line, environment)
    raise AssertionError("execve does not return")


if __name__ == "__main__":
    sys.exit(main())
