"""`make check`: everything that can be said about the source without running the product.

Two checks run side by side; each prints only when it fails. Exit status 1 when any does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
OPENAPI = ROOT / "docs" / "openapi.json"
SHORTEST_SECRET = "only-for-the-check-of-the-settings-" * 2


def environment(**settings: str) -> dict[str, str]:
    """An environment with these settings and no others: the machine's own don't change a verdict."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "ONEAI_ENV_FILE": "none", "PYTHONPATH": str(ROOT)} | settings


DEVELOPMENT = environment(DEBUG="1")
PRODUCTION = environment(
    DEBUG="0",
    SECRET_KEY=SHORTEST_SECRET,
    ALLOWED_HOSTS="chat.example.com",
    SITE_URL="https://chat.example.com",
    OPENROUTER_API_KEY="sk-or-v1-check",
    DATABASE_URL="postgresql://oneai@127.0.0.1:1/oneai",
)


# The tests that read the project instead of running it.
QUICK_TESTS = ("tests/architecture", "tests/operations/test_containers.py", "tests/operations/test_documents.py")


@dataclass(frozen=True)
class Verdict:
    """What a check found; ``complaint`` is empty when nothing is wrong."""

    name: str
    complaint: str
    seconds: float


def run(*command: str, env: dict[str, str] | None = None, folder: Path = ROOT) -> str:
    """What a command has to complain about: its output if it fails, else nothing."""
    program = BIN / command[0]
    line = [str(program) if program.exists() else command[0], *command[1:]]
    try:
        done = subprocess.run(line, cwd=folder, env=env or DEVELOPMENT, capture_output=True, text=True, timeout=900)
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    return (done.stdout + done.stderr).strip() or "it failed and said nothing" if done.returncode else ""


def manage(*arguments: str, env: dict[str, str] | None = None) -> str:
    return run("python", "manage.py", *arguments, env=env)


def openapi() -> str:
    """The committed description of the API is valid, complete and the one that the code gives."""
    with tempfile.TemporaryDirectory(prefix="oneai-check-") as folder:
        made = Path(folder) / "openapi.json"
        options = ["--format", "openapi-json", "--validate", "--fail-on-warn", "--file", str(made)]
        complaint = manage("spectacular", *options)
        if complaint:
            return complaint
        if not OPENAPI.exists() or OPENAPI.read_text(encoding="utf-8") != made.read_text(encoding="utf-8"):
            wanted = " ".join(["manage.py spectacular", *options[:2], "--file docs/openapi.json"])
            return f"docs/openapi.json is not what the code gives; write it with: {wanted}"
    return ""


def compose() -> str:
    """The container files are right by their schema and by hadolint (tests/operations says more)."""
    found = [
        run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"),
        run("hadolint", "Dockerfile"),
    ]
    return "\n".join(filter(None, found))


CHECKS: dict[str, Callable[[], str]] = {
    "types": lambda: run("mypy"),
    "format": lambda: run("ruff", "format", "--check", "."),
    "lint": lambda: run("ruff", "check", "."),
    "imports": lambda: run("lint-imports"),
    "migrations in step": lambda: manage("makemigrations", "--check", "--dry-run"),  # those of others too
    "OpenAPI in step": openapi,
    "deploy": lambda: manage("check", "--deploy", "--fail-level", "WARNING", env=PRODUCTION),
    "front end types": lambda: run("npm", "run", "--silent", "check", folder=ROOT / "frontend"),
    "containers": compose,
    "templates": lambda: run("djlint", "templates", "--lint", "--quiet"),
    "commit hooks": lambda: run("pre-commit", "validate-config"),
    "house rules and docs": lambda: run(
        "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *QUICK_TESTS
    ),
}


def verdict(name: str) -> Verdict:
    began = time.monotonic()
    complaint = CHECKS[name]()
    return Verdict(name, complaint, time.monotonic() - began)


def main() -> int:
    wanted = [name for name in CHECKS if not sys.argv[1:] or name in sys.argv[1:]]
    wrong = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for found in pool.map(verdict, wanted):
            print(f"{'FAIL' if found.complaint else 'ok':<5} {found.name} ({found.seconds:.1f} s)", flush=True)
            if found.complaint:
                print(found.complaint, flush=True)
                wrong.append(found.name)
    print(
        f"\n{len(wanted) - len(wrong)} checks passed, {len(wrong)} failed" + (f": {', '.join(wrong)}" if wrong else "")
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
