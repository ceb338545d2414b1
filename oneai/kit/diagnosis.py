"""Why the database can't be worked with, in words that say what to do: for commands, the start and the doctor."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

SECONDS: Final = 3
MIGRATE: Final = "run `python manage.py migrate`"
_MISSING: Final = frozenset({"42P01", "42703", "3F000"})  # PostgreSQL: no such table, column, schema


def pending_migrations() -> int:
    """How many migrations are not applied. DatabaseError when the database does not answer."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def why_away() -> str:
    """Why no connection can be made, as the rest of a sentence about the database; empty when one can.

    Asks the server itself, past the pool, whose only answer is that it waited in vain.
    """
    try:
        if connection.vendor == "postgresql":
            parameters: dict[str, Any] = connection.get_connection_params()
            parameters["connect_timeout"] = SECONDS
            psycopg.connect(**parameters).close()
        else:
            connection.ensure_connection()
    except (psycopg.Error, DatabaseError) as error:
        return in_words(str(error), connection.settings_dict)
    return ""


def in_words(said: str, entry: dict[str, Any]) -> str:
    """What a driver said about a connection to ``entry`` of DATABASES, in ours where we know what it means."""
    where = f"{entry.get('HOST') or 'this machine'}:{entry.get('PORT') or 5432}"
    known = {
        "password authentication failed": f"refuses the password of {entry.get('USER')} in DATABASE_URL.",
        "no password supplied": f"wants a password for {entry.get('USER')}, and DATABASE_URL has none.",
        f'role "{entry.get("USER")}" does not exist': f"has no role {entry.get('USER')}: make it, or correct the URL.",
        f'database "{entry.get("NAME")}" does not exist': f"{entry.get('NAME')} is not there: make it by createdb.",
        "Connection refused": f"does not answer at {where}: nothing listens there. Is the server running?",
        "No such file or directory": f"does not answer at {where}: it has no socket there. Is the server running?",
        "timeout expired": f"does not answer at {where} within {SECONDS} seconds.",
        "failed to resolve host": f"is at {entry.get('HOST')} by DATABASE_URL, and no such host is known.",
        "starting up": "is starting up: try again in a moment.",
        "shutting down": "is shutting down.",
        "too many clients": "has no connection left: raise max_connections, or run fewer processes.",
        "remaining connection slots": "has no connection left: raise max_connections, or run fewer processes.",
        "unable to open database file": f"can't be opened: {entry.get('NAME')} needs a folder that we can write to.",
    }
    found = next((words for mark, words in known.items() if mark in said), "")
    return found or f"does not answer: {(said.strip() or 'no reason given').splitlines()[0]}"


def told(error: DatabaseError) -> str:
    """What an operator must do about ``error``, in one line; empty when that is not known, and so ours to find."""
    state = getattr(error.__cause__, "sqlstate", None)
    if state in _MISSING or "no such table" in str(error) or "no such column" in str(error):
        return f"The database is not migrated: {MIGRATE}."
    why = why_away()
    return f"The database {why}" if why else ""
