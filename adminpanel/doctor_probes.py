"""What `manage.py doctor` looks at: settings, database, upstreams, cache and files. Changes nothing."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import Any

import redis
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.models import Max
from django.utils.timezone import now

from accounts import outbox
from accounts.models import OutgoingMail
from adminpanel.doctor import API_ROLES, Configuration, Database, Facts, Work
from adminpanel.doctor_key_probes import look_at_keys
from adminpanel.doctor_payment_probes import look_at_payments
from billing import gateway, sellers
from billing.models import Payment
from chat.models import AIModel
from chat.upstreams import OPENROUTER, Upstream, upstreams
from content.models import DocsPage
from oneai import env
from oneai.kit import diagnosis
from oneai.kit.http import HTTPFailure, fetch_json
from quotas.models import Hold, LedgerCheck

SECONDS = 6.0
GROUPS = {
    "Google": ("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"),
    "Razorpay": ("RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET", "RAZORPAY_WEBHOOK_SECRET"),
}


def read_configuration() -> Configuration:
    """The settings as they are in force."""
    return Configuration(
        debug=settings.DEVELOPMENT,
        site_url=settings.SITE_URL,
        allowed_hosts=tuple(settings.ALLOWED_HOSTS),
        secret_key_length=len(settings.SECRET_KEY),
        secret_key_generated=not env.present("SECRET_KEY"),
        trusted_proxies=settings.TRUSTED_PROXIES,
        imitated=settings.IMITATED,
        groups={title: {name: env.present(name) for name in names} for title, names in GROUPS.items()},
        webhook_secret_lengths=tuple(len(secret) for secret in env.listed("RAZORPAY_WEBHOOK_SECRET")),
        mail=bool(settings.EMAIL_URL),
        daily_usd=str(settings.PLATFORM_DAILY_USD),
        metrics=bool(settings.METRICS_TOKEN),
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def look_at_database() -> Database:
    """Whether it answers, what is not migrated, and on PostgreSQL who may read what."""
    entry: dict[str, Any] = connection.settings_dict
    options: dict[str, Any] = entry.get("OPTIONS") or {}
    known = {"vendor": connection.vendor, "host": str(entry.get("HOST") or ""), "sslmode": options.get("sslmode", "")}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        pending = diagnosis.pending_migrations()
        if connection.vendor != "postgresql":
            return Database(**known, pending=pending)
        return Database(**known, pending=pending, **_exposure())
    except DatabaseError as error:
        return Database(**known, error=diagnosis.why_away() or f"does not answer: {_first_line(error)}")


def _exposure() -> dict[str, Any]:
    """The schema in use, and what the roles of a hosted Data API could reach in ours."""
    schema = settings.DATABASE_SCHEMA
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        current = cursor.fetchone()[0] or ""
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) ORDER BY rolname", [list(API_ROLES)])
        roles = tuple(row[0] for row in cursor.fetchall())
        cursor.execute(
            "SELECT c.relname, c.relrowsecurity FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relkind IN ('r', 'p') ORDER BY c.relname",
            [schema],
        )
        tables = cursor.fetchall()
        readable = ()
        if roles:
            # service_role has a secret key and passes row-level security by design: the others are the danger.
            cursor.execute(
                "SELECT DISTINCT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "JOIN pg_roles r ON r.rolname IN ('anon', 'authenticated') "
                "WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm') "
                "AND has_schema_privilege(r.oid, n.oid, 'USAGE') "
                "AND has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE') ORDER BY c.relname",
                [schema],
            )
            readable = tuple(row[0] for row in cursor.fetchall())
    return {
        "schema": schema,
        "current_schema": current,
        "api_roles": roles,
        "tables_without_rls": tuple(name for name, protected in tables if not protected),
        "readable_by_api_roles": readable,
    }


def look_at_work() -> Work | None:
    """What waits for a worker; None when the tables are not there."""
    try:
        at = now()
        mail = OutgoingMail.objects.filter(state=OutgoingMail.State.WAITING).order_by("due_at").first()
        hold = Hold.objects.filter(state=Hold.State.ORPHANED, check_at__isnull=False).order_by("check_at").first()
        checks = LedgerCheck.objects.filter(at__gt=at - timedelta(days=1))
        checked = checks.aggregate(at=Max("at"), differences=Max("differences"))
        return Work(
            oldest_mail_seconds=(at - mail.due_at).total_seconds() if mail else None,
            oldest_hold_seconds=(at - hold.check_at).total_seconds() if hold and hold.check_at else None,
            dead_mails=OutgoingMail.objects.filter(state=OutgoingMail.State.DEAD).count(),
            models=AIModel.objects.filter(is_enabled=True, is_listed=True, price__isnull=False).count(),
            pages=DocsPage.objects.count(),
            ledger_differences=checked["differences"] or 0,
            ledger_checked_seconds=(at - checked["at"]).total_seconds() if checked["at"] else None,
            sells_unnamed=not sellers.current().legal_name and (gateway.configured() or Payment.objects.exists()),
        )
    except DatabaseError:
        return None


def _ask(upstream: Upstream) -> str:
    """What is wrong with an upstream; empty when it answers and takes every key."""
    path = "key" if upstream.name == OPENROUTER else "models"
    refused = 0
    for key in upstream.keys or ("",):
        try:
            fetch_json(f"{upstream.base_url}/{path}", headers=upstream.headers(key), timeout=SECONDS)
        except HTTPFailure as failure:
            if failure.status not in {401, 403}:
                return f"does not answer as it should at {upstream.base_url} ({failure})."
            refused += 1
    if len(upstream.keys) > 1 and refused:
        return f"refuses {refused} of {len(upstream.keys)} keys."
    return "refuses the key." if refused else ""


def look_at_upstreams() -> dict[str, str]:
    """Each configured upstream with what is wrong with it."""
    try:
        return {name: _ask(upstream) for name, upstream in upstreams().items()}
    except ImproperlyConfigured as error:
        return {"settings": str(error)}


def look_at_redis() -> str | None:
    """None when it is not configured, empty when it answers, else why not."""
    if not settings.REDIS_URL:
        return None
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=SECONDS, socket_connect_timeout=SECONDS) as client:
            client.ping()
    except (redis.RedisError, ValueError, OSError) as error:
        return _first_line(error)
    return ""


def look_at_mail() -> str:
    """What is wrong with the mail server of EMAIL_URL; empty when it takes connections, or none is set."""
    if not settings.EMAIL_URL:
        return ""
    try:
        server = outbox.mail_server()
    except ImproperlyConfigured as error:
        return f"can't be sent: {error}."
    port = int(server.port or 25)
    try:
        socket.create_connection((server.host, port), timeout=SECONDS).close()
    except socket.gaierror:
        return f"can't be sent: no host {server.host} is known, which EMAIL_URL names."
    except OSError as error:
        return f"can't be sent: {server.host}:{port} of EMAIL_URL does not answer ({error.strerror or error})."
    return ""


def count_static_files() -> int:
    root = settings.STATIC_ROOT
    return (
        sum(1 for path in root.rglob("*") if path.is_file() and not path.name.startswith(".")) if root.is_dir() else 0
    )


def examine() -> Facts:
    """Everything that `doctor` judges."""
    database = look_at_database()
    return Facts(
        configuration=read_configuration(),
        database=database,
        work=None if database.error else look_at_work(),
        redis_error=look_at_redis(),
        upstreams=look_at_upstreams(),
        static_files=count_static_files(),
        keys=None if database.error else look_at_keys(),
        mail_trouble=look_at_mail(),
        payments=look_at_payments(database_answers=not (database.error or database.pending)),
    )
