"""Set-based SQL for the hot tables: a few statements for many rows, right on SQLite and PostgreSQL.

Values go through the converters of the model's own fields, so a row written here reads back
through the ORM and the other way round. Every function runs in the caller's transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import orjson
from django.db import connection, models

Row = dict[str, Any]
_IDENTITY: Callable[[Any], Any] = lambda value: value  # noqa: E731 (a name for "as it is")


def _sqlite_datetime(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")


def _read_sqlite_datetime(value: Any) -> datetime:
    # Django's converters have made it a datetime where the column's declared type is known.
    return (value if isinstance(value, datetime) else datetime.fromisoformat(value)).replace(tzinfo=UTC)


def _read_sqlite_date(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


def _as_uuid(value: Any) -> uuid.UUID:
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


def _dump(value: Any) -> str:
    return orjson.dumps(value, default=str).decode()


def _converters(field: models.Field[Any, Any], vendor: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """(to the database, from the database) for values that are not None."""
    target: Any = field
    while getattr(target, "target_field", None) is not None and target.is_relation:
        target = target.target_field
    sqlite = vendor == "sqlite"
    if isinstance(target, models.UUIDField):
        return ((lambda value: _as_uuid(value).hex), _as_uuid) if sqlite else (_as_uuid, _as_uuid)
    if isinstance(target, models.JSONField):
        return _dump, (lambda value: orjson.loads(value) if isinstance(value, str | bytes) else value)
    if isinstance(target, models.DateTimeField):
        return (_sqlite_datetime, _read_sqlite_datetime) if sqlite else (_IDENTITY, _IDENTITY)
    if isinstance(target, models.DateField):
        if sqlite:
            return (lambda value: value.isoformat()), _read_sqlite_date
        return _IDENTITY, _IDENTITY
    if isinstance(target, models.BooleanField):
        return (int, bool) if sqlite else (_IDENTITY, _IDENTITY)
    return _IDENTITY, _IDENTITY


def _column_type(field: models.Field[Any, Any]) -> str:
    kind = field.rel_db_type(connection) if field.is_relation else field.db_type(connection)
    return kind or ""


class Table:
    """One model's table: its columns by field name (``user_id`` for a foreign key) and their converters."""

    def __init__(self, model: type[models.Model], vendor: str) -> None:
        self.vendor = vendor
        self.name = model._meta.db_table
        self.columns: dict[str, str] = {}
        self.types: dict[str, str] = {}
        self._to: dict[str, Callable[[Any], Any]] = {}
        self._from: dict[str, Callable[[Any], Any]] = {}
        for field in model._meta.concrete_fields:
            name = field.attname
            self.columns[name] = field.column or name
            self.types[name] = _column_type(field)
            self._to[name], self._from[name] = _converters(field, vendor)
        self.key = model._meta.pk.attname

    def to_db(self, name: str, value: Any) -> Any:
        """``value`` as the driver takes it for the column ``name``."""
        return None if value is None else self._to[name](value)

    def from_db(self, name: str, value: Any) -> Any:
        """What the driver gave for the column ``name``, as Python holds it."""
        return None if value is None else self._from[name](value)

    def encoded(self, names: Sequence[str], rows: Iterable[Row]) -> list[Any]:
        """The values of ``names`` in ``rows``, one after the other, as the driver takes them."""
        writers = [(name, self._to[name]) for name in names]
        return [None if (value := row[name]) is None else write(value) for row in rows for name, write in writers]

    def decoded(self, names: Sequence[str], records: Iterable[Sequence[Any]]) -> list[Row]:
        """Records of a query over ``names`` as dictionaries."""
        readers = [self._from[name] for name in names]
        return [
            {
                name: None if value is None else read(value)
                for name, read, value in zip(names, readers, record, strict=True)
            }
            for record in records
        ]


@cache
def _table(model: type[models.Model], vendor: str) -> Table:
    return Table(model, vendor)


def table(model: type[models.Model]) -> Table:
    """The table of ``model`` on the database in use."""
    return _table(model, connection.vendor)


def _execute(this: Table, sql: str, params: list[Any]) -> Any:
    """The driver's cursor after ``sql``, in the transaction that Django has begun on this connection.

    Past Django's cursor, whose wrappers cost as much as the statement; its exceptions are Django's.
    """
    if connection.force_debug_cursor or connection.execute_wrappers:  # a test counts the statements
        counted = connection.cursor()
        counted.execute(sql, params)
        return counted
    connection.ensure_connection()
    with connection.wrap_database_errors:
        if this.vendor == "sqlite":
            return connection.connection.execute(sql.replace("%s", "?"), params)
        cursor = connection.connection.cursor()
        cursor.execute(sql, params)
        return cursor


def marks(count: int) -> str:
    """``%s`` for each of ``count`` parameters, with commas."""
    return ",".join(["%s"] * count)


def select(
    model: type[models.Model],
    names: Sequence[str],
    *,
    by: str,
    values: Iterable[Any],
    where: str = "",
    params: Sequence[Any] = (),
    order: str = "",
    lock: bool = False,
) -> list[Row]:
    """Rows whose column ``by`` is one of ``values``; ``where`` and ``order`` are SQL of ours.

    ``lock`` takes row locks in the order of ``order`` on PostgreSQL; on SQLite the transaction
    itself (BEGIN IMMEDIATE) is the lock.
    """
    this = table(model)
    wanted = [this.to_db(by, value) for value in dict.fromkeys(values)]
    if not wanted:
        return []
    sql = f"SELECT {','.join(this.columns[name] for name in names)} FROM {this.name} "  # noqa: S608 (names of ours)
    sql += f"WHERE {this.columns[by]} IN ({marks(len(wanted))})"
    if where:
        sql += f" AND {where}"
    if order:
        sql += f" ORDER BY {order}"
    if lock and this.vendor == "postgresql":
        sql += " FOR UPDATE"
    return this.decoded(names, _execute(this, sql, [*wanted, *params]).fetchall())


def insert(model: type[models.Model], rows: Sequence[Row], *, ignore_conflicts: bool = False) -> int:
    """Insert ``rows`` (all with the same keys) in one statement; returns how many went in."""
    if not rows:
        return 0
    this = table(model)
    names = list(rows[0])
    row_marks = f"({marks(len(names))})"
    params = this.encoded(names, rows)
    sql = f"INSERT INTO {this.name} ({','.join(this.columns[name] for name in names)}) VALUES "  # noqa: S608
    sql += ",".join([row_marks] * len(rows))
    if ignore_conflicts:
        sql += " ON CONFLICT DO NOTHING"
    return int(_execute(this, sql, params).rowcount)


def update(model: type[models.Model], rows: Sequence[Row], *, key: str = "", where: str = "") -> int:
    """Set the columns of ``rows`` (all with the same keys, ``key`` among them) in one statement.

    ``where`` is SQL of ours over the table's columns, as ``t.state = 'held'``. Returns the number
    of rows changed, which the caller compares when a condition guards the change.
    """
    if not rows:
        return 0
    this = table(model)
    key = key or this.key
    names = [key, *(name for name in rows[0] if name != key)]
    params = this.encoded(names, rows)
    if this.vendor == "postgresql":
        first = ",".join(f"CAST(%s AS {this.types[name]})" for name in names)
        values = ",".join([f"({first})", *[f"({marks(len(names))})"] * (len(rows) - 1)])
        source = f"(VALUES {values}) AS v({','.join('c' + str(i) for i in range(len(names)))})"
        value_of = [f"v.c{i}" for i in range(len(names))]
    else:
        values = ",".join([f"({marks(len(names))})"] * len(rows))
        source = f"(SELECT * FROM (VALUES {values})) AS v"  # noqa: S608
        value_of = [f"v.column{i + 1}" for i in range(len(names))]
    sets = ",".join(f"{this.columns[name]}={value}" for name, value in zip(names[1:], value_of[1:], strict=True))
    sql = f"UPDATE {this.name} AS t SET {sets} FROM {source} WHERE t.{this.columns[key]}={value_of[0]}"  # noqa: S608
    if where:
        sql += f" AND {where}"
    return int(_execute(this, sql, params).rowcount)
