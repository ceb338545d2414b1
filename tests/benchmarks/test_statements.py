"""Statements are counted as PostgreSQL logs them."""

import psycopg
import pytest

from benchmarks.statements import Log, count
from tests.servers.postgres import Postgres

LOGGED = """\
2030-01-01 10:00:00.000 UTC [7] LOG:  statement: BEGIN
2030-01-01 10:00:00.001 UTC [7] LOG:  execute <unnamed>: SELECT id FROM quota_accounts
\tWHERE id = ANY($1) FOR UPDATE
2030-01-01 10:00:00.001 UTC [7] DETAIL:  parameters: $1 = 'LOG:  nothing'
2030-01-01 10:00:00.002 UTC [7] LOG:  execute _pg3_1: insert into quota_holds VALUES ($1)
2030-01-01 10:00:00.003 UTC [7] LOG:  statement: COMMIT
2030-01-01 10:00:00.004 UTC [8] LOG:  checkpoint starting: time
"""


def test_transaction_control_is_not_work() -> None:
    found = count(LOGGED, turns=2)
    assert (found.work, found.commits) == (2, 1)
    assert found.per_turn == 1
    assert found.commits_per_turn == 0.5


@pytest.mark.postgresql
def test_a_real_log_has_what_was_run_meanwhile_and_nothing_else() -> None:
    server = Postgres()
    try:
        server.start()
        log = Log(server.superuser_url, server.folder / "log")
        with psycopg.connect(server.superuser_url) as before:
            before.execute("SELECT 1")
        log.begin()
        with psycopg.connect(server.superuser_url) as connection:
            for number in range(5):
                connection.execute("SELECT %s::int", [number])
        found = log.end(turns=5)
        with psycopg.connect(server.superuser_url) as after:
            assert after.execute("SHOW log_statement").fetchone() == ("none",)
    finally:
        server.stop()
    assert (found.work, found.commits) == (5, 1)
