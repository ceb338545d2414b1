"""Development: needs no setting; the sandbox stands in for what is not configured."""

from __future__ import annotations

from oneai import env
from oneai.settings.allauth import google_provider
from oneai.settings.base import *  # noqa: F403
from oneai.settings.base import DATA_DIR, PORT

SECRET_KEY = env.text("SECRET_KEY") or env.generated_secret(DATA_DIR / "secret-key")
ALLOWED_HOSTS = env.listed("ALLOWED_HOSTS", ("localhost", "127.0.0.1", "[::1]"))

_SANDBOX = f"http://127.0.0.1:{PORT + 10}"
IMITATED: dict[str, str] = {}

if not env.present("OPENROUTER_API_KEY"):
    OPENROUTER_API_KEYS = ["sk-or-v1-sandbox"]
    OPENROUTER_BASE_URL = env.url("OPENROUTER_BASE_URL", f"{_SANDBOX}/openrouter/api/v1")
    IMITATED["upstream"] = OPENROUTER_BASE_URL
if not env.present("GOOGLE_CLIENT_ID"):
    GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET = "sandbox-client", "sandbox-secret"
    GOOGLE_BASE_URL = env.url("GOOGLE_BASE_URL", f"{_SANDBOX}/google")
    IMITATED["google"] = GOOGLE_BASE_URL
else:
    GOOGLE_CLIENT_ID = env.text("GOOGLE_CLIENT_ID")
    GOOGLE_CLIENT_SECRET = env.text("GOOGLE_CLIENT_SECRET")
    GOOGLE_BASE_URL = env.url("GOOGLE_BASE_URL")
if not env.present("EMAIL_URL"):
    EMAIL_URL = f"smtp://127.0.0.1:{PORT + 11}"
    IMITATED["mail"] = f"{_SANDBOX}/mail"

SOCIALACCOUNT_PROVIDERS = google_provider(GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET, GOOGLE_BASE_URL)
