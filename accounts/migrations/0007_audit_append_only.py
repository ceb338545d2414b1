"""The audit can only grow: the database refuses to change an entry, and to delete one within two years.

The one change that passes puts the pseudonym of somebody who was erased (…@erased.invalid) into its words.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

_KEPT_DAYS = 730
_SAME = ("id", "at", "actor_id", "action", "subject_id", "request_id")
_WORDS = ("actor_label", "target", "reason", "details")
_ERASED = "%@erased.invalid%"

SQLITE = (
    f"""CREATE TRIGGER audit_entries_unchanged BEFORE UPDATE ON audit_entries WHEN NOT (
      {" AND ".join(f'NEW."{name}" IS OLD."{name}"' for name in _SAME)}
      AND {" AND ".join(f"(NEW.{name} IS OLD.{name} OR NEW.{name} LIKE '{_ERASED}')" for name in _WORDS)})
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
        AND {
        " AND ".join(
            f"(NEW.{name} IS NOT DISTINCT FROM OLD.{name} OR NEW.{name}::text LIKE '{_ERASED}')" for name in _WORDS
        )
    }
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
    dependencies = [("accounts", "0006_closings")]
    operations = [migrations.RunPython(_run(SQLITE, POSTGRESQL), _run(SQLITE_BACK, POSTGRESQL_BACK))]
