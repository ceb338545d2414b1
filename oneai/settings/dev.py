"""Development: needs no setting; the sandbox stands in for what is not configured."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from oneai import env
from oneai.settings import razorpay
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
if not razorpay.given():
    RAZORPAY_KEY_ID, RAZORPAY_KEY_SECRET = razorpay.SANDBOX_KEY_ID, razorpay.SANDBOX_KEY_SECRET
    RAZORPAY_WEBHOOK_SECRETS = [razorpay.SANDBOX_WEBHOOK_SECRET]
    RAZORPAY_BASE_URL = env.url("RAZORPAY_BASE_URL", f"{_SANDBOX}/razorpay")
    # By the name that the pages of the site have, as a browser takes localhost and 127.0.0.1 for two sites.
    RAZORPAY_CHECKOUT_URL = env.url("RAZORPAY_CHECKOUT_URL", f"http://localhost:{PORT + 10}/razorpay/checkout.js")
    IMITATED["razorpay"] = RAZORPAY_BASE_URL
elif _wrong := razorpay.problems(only_this_machine=True):
    raise ImproperlyConfigured("The settings are not complete:\n  - " + "\n  - ".join(_wrong))
if not env.present("EMAIL_URL"):
    EMAIL_URL = f"smtp://127.0.0.1:{PORT + 11}"
    IMITATED["mail"] = f"{_SANDBOX}/mail"

STAFF_NEEDS_SECOND_STEP = False
SOCIALACCOUNT_PROVIDERS = google_provider(GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET, GOOGLE_BASE_URL)
