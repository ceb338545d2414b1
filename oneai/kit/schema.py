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
    check(using)


def check(using: str = "default", *, before_migrations: bool = False) -> None:
    """ImproperlyConfigured unless the session works in our schema: else tables would be looked for in public.

    ``before_migrations`` lets a schema pass that does not exist yet: such a site lives, and is not ready.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        current = cursor.fetchone()[0]
    if current is None and before_migrations:
        return
    if current != settings.DATABASE_SCHEMA:
        raise ImproperlyConfigured(
            f"The session's schema is {current}, not {settings.DATABASE_SCHEMA}: a pooler has dropped the search "
            "path. Run `manage.py setup_database` once, with DATABASE_DIRECT_URL set, so that the role carries it."
        )


def give_role_the_path(using: str = "default") -> tuple[str, str]:
    """Make the schema and let the role carry the search path, as sessions through a pooler need it.

    Returns the role and the database. Only a session that is not pooled may call it.
    """
    connection = connections[using]
    quote = connection.ops.quote_name
    schema = quote(settings.DATABASE_SCHEMA)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_database()")
        role, database = cursor.fetchone()
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        cursor.execute(f"ALTER ROLE {quote(role)} IN DATABASE {quote(database)} SET search_path = {schema}")
    return role, database


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
