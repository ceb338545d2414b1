"""What is true in every environment."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext

from oneai import env
from oneai.settings import razorpay, storage

# Lets Django's generic classes take their type parameters at run time (``ModelAdmin[User]``).
django_stubs_ext.monkeypatch()

BASE_DIR = env.BASE_DIR
DATA_DIR = BASE_DIR / "data"
DEVELOPMENT = env.debug()
# Never Django's own debug mode: its error pages show source and break the content policy, and
# people see in development what they get in production. Tracebacks are in the log.
DEBUG = False
PORT = env.port()

SITE_NAME = env.text("SITE_NAME", "OneAI")
SITE_URL = env.url("SITE_URL", f"http://localhost:{PORT}" if DEVELOPMENT else "")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",
    "accounts",
    "quotas",
    "chat",
    "billing",
    "content",
    "adminpanel",
    "adminpanel.apps.StaffSite",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.google",
    "rest_framework",
    "drf_spectacular",
]

# Request ids, headers, body limits and error bodies are not here: they hold for every route,
# static files and the hot ones included, and so stand in front of Django (oneai.kit.gate).
MIDDLEWARE = [
    "oneai.pages.EmptyRefusals",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "accounts.middleware.AuthenticationMiddleware",
    "accounts.sign_ins.SignInMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "oneai.urls"
ASGI_APPLICATION = "oneai.asgi.application"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"

# Widgets come from our templates too: Django's of a date and a time have no labels.
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "oneai.kit.pages.page_context",
                "content.banner.on_page",
            ],
        },
    }
]

# Databases ---------------------------------------------------------------------------------------
DATABASE_SCHEMA = env.text("DATABASE_SCHEMA", "oneai")


def _database(name: str) -> dict[str, Any]:
    if not env.present(name):
        entry: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA_DIR / "oneai.sqlite3"}
    else:
        entry = env.database(name)
    engine = str(entry["ENGINE"])
    options: dict[str, Any] = dict(entry.get("OPTIONS") or {})
    if engine.endswith("sqlite3"):
        # One writer at a time: IMMEDIATE takes the lock at BEGIN, so no transaction finds
        # at its first write that what it read is stale.
        options |= {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000;"
            "PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=4000;",
        }
    else:
        port = str(entry.get("PORT") or "5432")
        # A second, direct address is only given where the first goes through a pooler.
        pooled = port == "6543" or (name == "DATABASE_URL" and env.present("DATABASE_DIRECT_URL"))
        entry["DISABLE_SERVER_SIDE_CURSORS"] = pooled
        entry["CONN_MAX_AGE"] = 0
        options.setdefault("prepare_threshold", None)
        options.setdefault("connect_timeout", 5)
        # A restarted server finds the pool full of dead connections, and one that was away for long
        # must not be waited for as long again: the pool doubles its pauses until reconnect_timeout.
        entry["CONN_HEALTH_CHECKS"] = True
        options["pool"] = {
            "min_size": 0,
            "max_size": 12,
            "timeout": 2.0,
            "reconnect_timeout": 1.0,
            "max_lifetime": 1800,
        }
        if not pooled:
            # A pooler drops or refuses this option: there the role carries the path (setup_database).
            options.setdefault("options", f"-c search_path={DATABASE_SCHEMA}")
    entry["OPTIONS"] = options
    return entry


# Migrations need a session of their own, which a transaction pooler does not give.
if env.migrating() and env.present("DATABASE_DIRECT_URL"):
    DATABASES = {"default": _database("DATABASE_DIRECT_URL")}
else:
    DATABASES = {"default": _database("DATABASE_URL")}

REDIS_URL = env.url("REDIS_URL", schemes=("redis", "rediss"))
CACHES: dict[str, dict[str, Any]] = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache_entries"}
    )
}

# Who you are -------------------------------------------------------------------------------------
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/c"
LOGOUT_REDIRECT_URL = "/"

TLS = urlsplit(SITE_URL).scheme == "https"
SESSION_COOKIE_NAME = "__Host-session" if TLS else "session"
SESSION_COOKIE_SECURE = TLS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = int(timedelta(days=14).total_seconds())
CSRF_COOKIE_NAME = "__Host-csrf" if TLS else "csrf"
CSRF_COOKIE_SECURE = TLS
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "oneai.pages.csrf_failure"
CSRF_TRUSTED_ORIGINS = [SITE_URL] if SITE_URL else []
CORS_ALLOWED_ORIGINS = env.listed("CORS_ALLOWED_ORIGINS")
TRUSTED_PROXIES = env.number("TRUSTED_PROXIES", 0)
USE_X_FORWARDED_HOST = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 21 * 1024 * 1024  # the gate counts bytes; this only must not be tighter
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000

ACCESS_TOKEN_SECONDS = 900
SECRET_KEY_FALLBACKS = env.listed("SECRET_KEY_FALLBACKS")
FIELD_ENCRYPTION_KEYS = env.listed("FIELD_ENCRYPTION_KEYS")
JWT_SIGNING_KEYS = env.listed("JWT_SIGNING_KEYS")

# The outside world -------------------------------------------------------------------------------
OPENROUTER_API_KEYS = env.listed("OPENROUTER_API_KEY")
OPENROUTER_BASE_URL = env.url("OPENROUTER_BASE_URL", "https://openrouter.ai/api/v1")
EXTRA_UPSTREAMS = env.listed("EXTRA_UPSTREAMS")
TITLE_MODEL = env.text("TITLE_MODEL")
PLATFORM_DAILY_USD = env.dollars("PLATFORM_DAILY_USD", "25")
GOOGLE_CLIENT_ID = env.text("GOOGLE_CLIENT_ID")
GOOGLE_CLIENT_SECRET = env.text("GOOGLE_CLIENT_SECRET")
GOOGLE_BASE_URL = env.url("GOOGLE_BASE_URL")
SUPABASE_URL = env.url("SUPABASE_URL")
SUPABASE_JWT_SECRET = env.text("SUPABASE_JWT_SECRET")
RAZORPAY_KEY_ID = env.text("RAZORPAY_KEY_ID")
RAZORPAY_KEY_SECRET = env.text("RAZORPAY_KEY_SECRET")
RAZORPAY_WEBHOOK_SECRETS = env.listed("RAZORPAY_WEBHOOK_SECRET")
RAZORPAY_BASE_URL = env.url("RAZORPAY_BASE_URL", razorpay.BASE_URL)
RAZORPAY_CHECKOUT_URL = env.url("RAZORPAY_CHECKOUT_URL", razorpay.CHECKOUT_URL)
EMAIL_URL = env.text("EMAIL_URL")
METRICS_TOKEN = env.text("METRICS_TOKEN")
METRICS_FOLDER = Path(env.text("METRICS_FOLDER") or DATA_DIR / "metrics" / str(PORT))
SENTRY_DSN = env.url("SENTRY_DSN")
OTEL_EXPORTER_OTLP_ENDPOINT = env.url("OTEL_EXPORTER_OTLP_ENDPOINT")
SANDBOX_URL = ""  # set by dev when the sandbox stands in for something

# Mail is written to the outbox in the transaction that causes it; the worker sends it by
# EMAIL_URL and tries again when that fails.
EMAIL_BACKEND = "accounts.outbox.OutboxBackend"
DEFAULT_FROM_EMAIL = f"{SITE_NAME} <no-reply@{urlsplit(SITE_URL).hostname or 'localhost'}>"
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# Files -------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
FRONTEND_DIST = BASE_DIR / "frontend" / "dist"
STATICFILES_DIRS = [FRONTEND_DIST] if FRONTEND_DIST.is_dir() else []
STORAGES = {
    "default": storage.private(env.text("STORAGE_URL"), DATA_DIR / "files"),
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.DRFAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["oneai.kit.drf.JSON"],
    "DEFAULT_PARSER_CLASSES": ["oneai.kit.drf.JSONBody"],
    "DEFAULT_PAGINATION_CLASS": "oneai.kit.drf.CursorList",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "oneai.kit.drf.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "PAGE_SIZE": 25,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "OneAI",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "oneai.api.add_hot_routes"],
    "SCHEMA_PATH_PREFIX": "/api",
    "ENUM_NAME_OVERRIDES": {
        "UsageSource": "quotas.models.UsageRecord.Source",
        "PriceSource": "chat.models.ModelPrice.Source",
        "LedgerEntryKind": "quotas.models.LedgerEntry.Kind",
        "MessageShapeStatusEnum": "chat.models.Message.Status",
        "InvoiceKind": "billing.models.InvoiceKind",
        "WhenEnum": "billing.api.subscription_shapes.WHEN",
        "RoleEnum": "accounts.models.Role",
        "ReasoningEffort": "chat.requests.EFFORTS",
        "TeamRole": "accounts.models.TeamRole",
        "GivenTeamRole": "quotas.api.team_shapes.GIVEN",
    },
}
LOGGING_CONFIG = None  # oneai.kit.logs sets up JSON logs when the apps are ready
SILENCED_SYSTEM_CHECKS = [
    # Headers, TLS redirect and HSTS are set by the gate, in front of Django (oneai.kit.gate).
    "security.W001",
    "security.W002",
    "security.W004",
    "security.W006",
    "security.W008",
    "security.W022",
    # Both carry __Host- names over TLS; over plain http only a loopback site is accepted.
    "security.W012",
    "security.W016",
    "admin.E404",
]

from oneai.settings.allauth import *  # noqa: E402, F403
