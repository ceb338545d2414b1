"""Compile requirements/*.in into hash-locked files: `make lock`, with `--upgrade` for newer versions.

A lock holds exact versions and hashes for every platform and names no package index. The order
matters: what the site runs on decides the versions that the others take.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
LOWEST_PYTHON = "3.11"

# name -> further arguments; the files are compiled in this order
LOCKS: dict[str, list[str]] = {
    "uv": [],
    "run": [],
    "sandbox": [],
    "dev": ["-c", "run.lock", "-c", "sandbox.lock"],
    "sdk2": [],
    "node": [],
    "demo": ["--no-deps"],
}


def compile_lock(name: str, extra: list[str]) -> None:
    """Write one lock; raises CalledProcessError when no set of versions fits."""
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "compile", "--quiet", "--python", sys.executable, "--no-header", "--universal"]
    command += ["--python-version", LOWEST_PYTHON, "--generate-hashes", "--no-emit-index-url"]
    subprocess.run([*command, *extra, f"{name}.in", "-o", f"{name}.lock"], cwd=REQUIREMENTS, check=True)
    print(f"requirements/{name}.lock")


def main() -> int:
    upgrade = ["--upgrade"] if "--upgrade" in sys.argv[1:] else []
    for name, extra in LOCKS.items():
        compile_lock(name, [*extra, *upgrade])
    return 0


if __name__ == "__main__":
    sys.exit(main())
