"""Adds up what was used before there were sums, by days of UTC; another zone is counted anew when it is looked at."""

from django.db import migrations

NONE = "00000000-0000-0000-0000-000000000000"
SUMS = (
    "COUNT(*), SUM(prompt_tokens), SUM(completion_tokens), SUM(reasoning_tokens), SUM(cached_tokens), SUM(tokens), "
    "SUM(nano_usd), SUM(CASE WHEN source IN ('local_estimate', 'hold_amount') THEN 1 ELSE 0 END), "
    "SUM(CASE WHEN source IN ('local_estimate', 'hold_amount') THEN nano_usd ELSE 0 END)"
)
COLUMNS = (
    "user_id, part, day, period_start, model_id, api_key_id, conversation_id, calls, prompt_tokens, completion_tokens, "
    "reasoning_tokens, cached_tokens, tokens, nano_usd, estimated_calls, estimated_nano_usd"
)


def count(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        day, none = "CAST(asked_at AT TIME ZONE 'UTC' AS date)", f"CAST('{NONE}' AS uuid)"
    else:
        day, none = "DATE(asked_at)", f"'{NONE.replace('-', '')}'"
    for part, group in (
        ("model", f"model_id, COALESCE(api_key_id, {none}), {none}"),
        ("conversation", f"'', {none}, COALESCE(conversation_id, {none})"),
    ):
        schema_editor.execute(
            f"INSERT INTO usage_daily ({COLUMNS}) "  # noqa: S608 (names of ours)
            f"SELECT user_id, '{part}', {day}, period_start, {group}, {SUMS} "
            "FROM usage_records GROUP BY 1, 2, 3, 4, 5, 6, 7"
        )


class Migration(migrations.Migration):
    dependencies = [("quotas", "0005_usage_daily")]

    operations = [migrations.RunPython(count, migrations.RunPython.noop)]
