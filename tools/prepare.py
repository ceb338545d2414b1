"""Make the database ready for `make run`: schema, models, demo sign-ins. Safe to repeat.

One process for all of it, since starting Django costs more than the work. The line `READY` says
that the site may start beside what is left.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

READY = "The database is ready."

# What a newcomer signs in with; made in development only.
SIGN_INS = (
    ("demo@example.com", "demo-demo-demo", ["--plan", "free", "--name", "Demo"]),
    ("owner@example.com", "owner-owner-owner", ["--plan", "pro", "--name", "Owner", "--role", "owner"]),
)


def main() -> int:
    """The upstreams must answer by now, or their models appear when the worker has read them."""
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oneai.settings")
    import django
    from django.core.management import CommandError, call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    print(READY, flush=True)

    from django.contrib.auth import get_user_model

    from oneai import env

    if env.debug():
        users = get_user_model()._default_manager
        for email, password, further in SIGN_INS:
            if not users.filter(email=email).exists():
                call_command("create_user", email, "--password", password, "--verified", *further, stdout=io.StringIO())
    try:
        call_command("load_content", stdout=io.StringIO())
    except CommandError as error:
        print(f"The documentation could not be loaded: {error}", flush=True)
    try:
        call_command("sync_models", stdout=io.StringIO())
    except CommandError as error:
        print(f"The models could not be read: {error}. The worker tries again.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
