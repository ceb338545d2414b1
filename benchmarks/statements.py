"""How many statements a turn takes on PostgreSQL, from the server's own log."""

import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psycopg

_STATEMENT = re.compile(r"LOG:  (?:statement|execute [^:]*): *(\w+)", re.MULTILINE)
_CONTROL = {"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET"}


@dataclass(frozen=True)
class Statements:
    """What a load of `turns` turns took. Transaction control is not among `work`."""

    turns: int
    work: int
    commits: int

    @property
    def per_turn(self) -> float:
        """Statements that read or write, for each turn."""
        return self.work / self.turns

    @property
    def commits_per_turn(self) -> float:
        """Commits for each turn."""
        return self.commits / self.turns


class Log:
    """Lets a server log its statements for a while. `url` is a superuser's."""

    def __init__(self, url: str, path: Path) -> None:
        self._url = url
        self._path = path
        self._start = 0

    def _configure(self, statement: str, value: str) -> None:
        """Changes the setting and waits until new connections have it. Raises TimeoutError."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement)
            connection.execute("SELECT pg_reload_conf()")
        for _ in range(100):
            with psycopg.connect(self._url, autocommit=True) as connection:
                if connection.execute("SHOW log_statement").fetchone() == (value,):
                    return
            time.sleep(0.05)
        raise TimeoutError("PostgreSQL did not take the new log_statement")

    def begin(self) -> None:
        """From now on, every statement counts."""
        self._configure("ALTER SYSTEM SET log_statement = 'all'", "all")
        self._start = self._path.stat().st_size

    def end(self, turns: int) -> Statements:
        """Stops logging and counts."""
        text = self._path.read_bytes()[self._start :].decode(errors="replace")
        self._configure("ALTER SYSTEM RESET log_statement", "none")
        return count(text, turns)


def count(log: str, turns: int) -> Statements:
    """Counts the statements in a part of the log."""
    words = Counter(word.upper() for word in _STATEMENT.findall(log))
    work = sum(number for word, number in words.items() if word not in _CONTROL)
    return Statements(turns, work, words["COMMIT"])
