"""Write the files that docker-compose.yml takes secrets from, for what is not there yet.

Nothing that exists is changed, so it is safe to repeat. Files for keys of others (OpenRouter,
Google, Razorpay, mail) and for former keys are made empty: an empty secret counts as unset. Run it with any Python 3.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "secrets"
GENERATED = ("secret_key", "metrics_token", "postgres_password")
KEYS = ("field_encryption_keys", "jwt_signing_keys")  # 32 bytes in URL-safe base64 each
EMPTY = (
    "secret_key_fallbacks",
    "openrouter_api_key",
    "google_client_secret",
    "razorpay_key_secret",
    "razorpay_webhook_secret",
    "email_url",
)


def write(folder: Path, name: str, value: str) -> bool:
    """Write a secret unless it exists; whether it was written."""
    try:
        # Readable in the container, whose user is not this one; the folder is its owner's alone.
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(value)
    return True


def make(folder: Path) -> list[str]:
    """Make the folder and what is missing in it; the names of the files written."""
    folder.mkdir(mode=0o700, exist_ok=True)
    made = [name for name in GENERATED if write(folder, name, secrets.token_urlsafe(48))]
    made += [name for name in KEYS if write(folder, name, base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())]
    password = (folder / "postgres_password").read_text(encoding="utf-8").strip()
    if write(folder, "database_url", f"postgresql://oneai:{password}@postgres:5432/oneai"):
        made.append("database_url")
    return made + [name for name in EMPTY if write(folder, name, "")]


if __name__ == "__main__":
    for written in make(FOLDER):
        print(f"secrets/{written}")
    sys.exit(0)
