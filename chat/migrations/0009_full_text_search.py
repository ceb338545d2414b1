"""The index of full-text search: an entry for each message that can be found, and the databases' own part of it.

What there is already is noted as waiting, and indexed by the worker. The triggers are made after migrating.
"""

from django.db import migrations, models

# Marks belong to words: without their vowel signs Hindi words fall apart into letters.
TOKENS = "unicode61 remove_diacritics 2 categories ''L* N* Co Mn Mc''"

NOTE_ALL = """INSERT INTO search_entries (message_id, conversation_id, user_id, waiting)
SELECT id, conversation_id, user_id, {true} FROM chat_messages WHERE status <> 'streaming' AND content <> ''
ORDER BY created_at, id"""


def make(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE search_entries ADD COLUMN words tsvector")
        schema_editor.execute("CREATE INDEX search_entries_words ON search_entries USING gin (words)")
        schema_editor.execute(NOTE_ALL.format(true="true"))
    else:
        schema_editor.execute(f"CREATE VIRTUAL TABLE message_words USING fts5(owner, words, tokenize='{TOKENS}')")
        schema_editor.execute(NOTE_ALL.format(true="1"))


def unmake(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION IF EXISTS note_for_search, forget_for_search CASCADE")
        return
    for name in ("chat_messages_said", "chat_messages_ended", "chat_messages_gone", "search_entries_gone"):
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}")
    schema_editor.execute("DROP TABLE IF EXISTS message_words")


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0008_folders_and_links"),
    ]

    operations = [
        migrations.CreateModel(
            name="SearchEntry",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("message_id", models.UUIDField(unique=True)),
                ("conversation_id", models.UUIDField()),
                ("user_id", models.UUIDField()),
                ("waiting", models.BooleanField(default=True)),
            ],
            options={
                "db_table": "search_entries",
                "indexes": [
                    models.Index(
                        condition=models.Q(("waiting", True)), fields=["user_id"], name="search_entries_waiting"
                    )
                ],
            },
        ),
        migrations.RunPython(make, unmake),
    ]
