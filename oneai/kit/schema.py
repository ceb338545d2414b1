"""PostgreSQL: our own schema, closed to the roles that a hosted Data API serves."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

API_ROLES = ("anon", "authenticated")


def prepare(using: str, **_: Any) -> None:
    """Before migrations: make the schema, and refuse when the session does not use it."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    schema = settings.DATABASE_SCHEMA
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema])
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE SCHEMA {connection.ops.quote_name(schema)}")
        cursor.execute("SELECT current_schema()")
        current = cursor.fetchone()[0]
    if current != schema:
        raise ImproperlyConfigured(
            f"The session's schema is {current}, not {schema}: a pooler has dropped the search path. "
            "Set it for the role with `manage.py setup_database`, or migrate through DATABASE_DIRECT_URL."
        )


def protect(using: str, **_: Any) -> None:
    """After migrations: row-level security on every table, nothing granted to the API's roles.

    The owner of the tables, as which we connect, is not affected; whoever comes by the Data API
    with its public key sees nothing.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    schema = connection.ops.quote_name(settings.DATABASE_SCHEMA)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity",
            [settings.DATABASE_SCHEMA],
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {schema}.{connection.ops.quote_name(table)} ENABLE ROW LEVEL SECURITY")
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [list(API_ROLES)])
        for (role,) in cursor.fetchall():
            name = connection.ops.quote_name(role)
            cursor.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {name}")
            cursor.execute(f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM {name}")
            cursor.execute(f"REVOKE USAGE ON SCHEMA {schema} FROM {name}")
            cursor.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} REVOKE ALL ON TABLES FROM {name}")
