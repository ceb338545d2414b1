"""What of the search index is the database's own work: triggers that note which messages it lacks.

A trigger writes one small row in the transaction that ends a message; the words are made later
(``chat.search``). Triggers see every writer, and a deletion takes the words along whoever deletes. They are made
after every migration, if they are missing: on SQLite a migration that builds a table anew drops the table's.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import connections

_SQLITE = (
    """CREATE TRIGGER IF NOT EXISTS chat_messages_said AFTER INSERT ON chat_messages
    WHEN NEW.status <> 'streaming' AND NEW.content <> '' BEGIN
      INSERT INTO search_entries (message_id, conversation_id, user_id, waiting)
      VALUES (NEW.id, NEW.conversation_id, NEW.user_id, 1) ON CONFLICT (message_id) DO UPDATE SET waiting = 1;
    END""",
    """CREATE TRIGGER IF NOT EXISTS chat_messages_ended AFTER UPDATE OF status ON chat_messages
    WHEN OLD.status <> NEW.status AND NEW.status <> 'streaming' BEGIN
      INSERT INTO search_entries (message_id, conversation_id, user_id, waiting)
      VALUES (NEW.id, NEW.conversation_id, NEW.user_id, 1) ON CONFLICT (message_id) DO UPDATE SET waiting = 1;
    END""",
    """CREATE TRIGGER IF NOT EXISTS chat_messages_gone AFTER DELETE ON chat_messages BEGIN
      DELETE FROM search_entries WHERE message_id = OLD.id;
    END""",
    """CREATE TRIGGER IF NOT EXISTS search_entries_gone AFTER DELETE ON search_entries BEGIN
      DELETE FROM message_words WHERE rowid = OLD.id;
    END""",
)

_NOTE = """CREATE OR REPLACE FUNCTION {schema}.note_for_search() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO {schema}.search_entries (message_id, conversation_id, user_id, waiting)
  VALUES (NEW.id, NEW.conversation_id, NEW.user_id, true) ON CONFLICT (message_id) DO UPDATE SET waiting = true;
  RETURN NULL;
END $$"""
_FORGET = """CREATE OR REPLACE FUNCTION {schema}.forget_for_search() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  DELETE FROM {schema}.search_entries WHERE message_id = OLD.id;
  RETURN NULL;
END $$"""
_POSTGRESQL = {
    "chat_messages_said": """CREATE TRIGGER chat_messages_said AFTER INSERT ON {schema}.chat_messages FOR EACH ROW
    WHEN (NEW.status <> 'streaming' AND NEW.content <> '') EXECUTE FUNCTION {schema}.note_for_search()""",
    "chat_messages_ended": """CREATE TRIGGER chat_messages_ended AFTER UPDATE OF status ON {schema}.chat_messages
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status AND NEW.status <> 'streaming')
    EXECUTE FUNCTION {schema}.note_for_search()""",
    "chat_messages_gone": """CREATE TRIGGER chat_messages_gone AFTER DELETE ON {schema}.chat_messages FOR EACH ROW
    EXECUTE FUNCTION {schema}.forget_for_search()""",
}


def install(using: str, **_: Any) -> None:
    """Make the triggers that are missing; nothing while the tables are not there."""
    connection = connections[using]
    with connection.cursor() as cursor:
        if "search_entries" not in connection.introspection.table_names(cursor):
            return
        if connection.vendor == "sqlite":
            for statement in _SQLITE:
                cursor.execute(statement)
            return
        cursor.execute(
            "SELECT tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = 'chat_messages'",
            [settings.DATABASE_SCHEMA],
        )
        there = {name for (name,) in cursor.fetchall()}
        missing = [sql for name, sql in _POSTGRESQL.items() if name not in there]
        schema = connection.ops.quote_name(settings.DATABASE_SCHEMA)
        for statement in [_NOTE, _FORGET, *missing] if missing else []:
            cursor.execute(statement.format(schema=schema))
