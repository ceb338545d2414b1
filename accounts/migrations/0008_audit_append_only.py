"""The audit can only grow: the database refuses to change an entry, and to delete one within two years.

The one change that passes is a pseudonym for somebody who was erased.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

_KEPT_DAYS = 730
_SAME = ("id", "at", "actor_id", "action", "subject_id", "reason", "details", "request_id")

SQLITE = (
    f"""CREATE TRIGGER audit_entries_unchanged BEFORE UPDATE ON audit_entries WHEN NOT (
      {" AND ".join(f'NEW."{name}" IS OLD."{name}"' for name in _SAME)}
      AND (NEW.actor_label = OLD.actor_label OR NEW.actor_label LIKE 'erased-%')
      AND (NEW.target = OLD.target OR NEW.target LIKE 'erased-%'))
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
    f"""CREATE TRIGGER audit_entries_kept BEFORE DELETE ON audit_entries
    WHEN OLD.at > datetime('now', '-{_KEPT_DAYS} days')
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
)
SQLITE_BACK = ("DROP TRIGGER audit_entries_unchanged", "DROP TRIGGER audit_entries_kept")

POSTGRESQL = (
    f"""CREATE FUNCTION audit_entries_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'DELETE' THEN
        IF OLD.at > now() - interval '{_KEPT_DAYS} days' THEN
          RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN OLD;
      END IF;
      IF NOT (
        {" AND ".join(f"NEW.{name} IS NOT DISTINCT FROM OLD.{name}" for name in _SAME)}
        AND (NEW.actor_label = OLD.actor_label OR NEW.actor_label LIKE 'erased-%')
        AND (NEW.target = OLD.target OR NEW.target LIKE 'erased-%')
      ) THEN
        RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'insufficient_privilege';
      END IF;
      RETURN NEW;
    END $$""",
    """CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION audit_entries_append_only()""",
)
POSTGRESQL_BACK = (
    "DROP TRIGGER audit_entries_append_only ON audit_entries",
    "DROP FUNCTION audit_entries_append_only()",
)


def _run(sqlite: tuple[str, ...], postgresql: tuple[str, ...]) -> Any:
    def run(apps: Any, editor: Any) -> None:
        for statement in postgresql if editor.connection.vendor == "postgresql" else sqlite:
            editor.execute(statement, params=None)

    return run


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_teams")]
    operations = [migrations.RunPython(_run(SQLITE, POSTGRESQL), _run(SQLITE_BACK, POSTGRESQL_BACK))]
