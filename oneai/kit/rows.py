"""Set-based SQL for the hot tables: a few statements for many rows, right on SQLite and PostgreSQL.

Values go through the converters of the model's own fields, so a row written here reads back
through the ORM and the other way round. Every function runs in the caller's transaction.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import orjson
from django.db import IntegrityError, connection, models

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
        for column in model._meta.concrete_fields:
            name = column.attname
            self.columns[name] = column.column or name
            self.types[name] = _column_type(column)
            self._to[name], self._from[name] = _converters(column, vendor)
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


@dataclass(slots=True)
class _Write:
    """An INSERT or UPDATE that waits. ``exactly``: how many rows it must change, None: any number."""

    this: Table
    sql: str
    params: list[Any]
    exactly: int | None


@dataclass(slots=True)
class _Waiting:
    """The writes of one transaction that wait for each other, and the rows that they touch."""

    writes: list[_Write] = field(default_factory=list)
    keys: dict[str, set[Any] | None] = field(default_factory=dict)  # by table; None: any row of it


class _Local(threading.local):
    waiting: _Waiting | None = None


_local = _Local()


@contextmanager
def together() -> Iterator[None]:
    """Inside, writes wait for each other and go to PostgreSQL as one statement: one round trip, one plan.

    Reads of this module see them (what waits is written first), and so does whatever calls ``flush``.
    Writes that touch the same row never share a statement, which would lose one of them. On SQLite,
    where a statement is a function call, nothing waits.
    """
    if connection.vendor != "postgresql" or _local.waiting is not None:
        yield
        return
    _local.waiting = _Waiting()
    try:
        yield
        flush()
    finally:
        _local.waiting = None


def flush() -> None:
    """Write what waits. IntegrityError when a write changed another number of rows than it must."""
    waiting = _local.waiting
    if waiting is None or not waiting.writes:
        return
    writes = waiting.writes
    _local.waiting = None
    try:
        if len(writes) == 1:
            _write(writes[0])
            return
        parts = ",".join(f"w{index} AS ({write.sql} RETURNING 1)" for index, write in enumerate(writes))
        counts = ",".join(f"(SELECT count(*) FROM w{index})" for index in range(len(writes)))  # noqa: S608
        params = [value for write in writes for value in write.params]
        found = _execute(writes[0].this, f"WITH {parts} SELECT {counts}", params).fetchone()
        for write, count in zip(writes, found, strict=True):
            _check(write, count)
    finally:
        _local.waiting = _Waiting()


def _write(write: _Write) -> None:
    _check(write, int(_execute(write.this, write.sql, write.params).rowcount))


def _check(write: _Write, count: int) -> None:
    if write.exactly is not None and count != write.exactly:
        raise IntegrityError(f"{write.this.name}: {write.exactly} rows to change, {count} changed")


def _submit(write: _Write, key: str, rows: Sequence[Row]) -> None:
    waiting = _local.waiting
    if waiting is None:
        _write(write)
        return
    table_name = write.this.name
    touched = {row[key] for row in rows} if key in rows[0] else None
    if table_name in waiting.keys:
        others = waiting.keys[table_name]
        if others is None or touched is None or not touched.isdisjoint(others):
            flush()
            waiting = _local.waiting
            assert waiting is not None
    waiting.writes.append(write)
    others = waiting.keys.get(table_name, set())
    waiting.keys[table_name] = None if others is None or touched is None else others | touched


def marks(count: int) -> str:
    """``%s`` for each of ``count`` parameters, with commas."""
    return ",".join(["%s"] * count)


def query(this: Table, sql: str, params: Sequence[Any]) -> list[Any]:
    """The records that ``sql``, a statement of ours, gives; what waits is written first."""
    flush()
    return list(_execute(this, sql, list(params)).fetchall())


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
    return this.decoded(names, query(this, sql, [*wanted, *params]))


def insert(model: type[models.Model], rows: Sequence[Row], *, ignore_conflicts: bool = False) -> None:
    """Insert ``rows`` (all with the same keys) in one statement."""
    if not rows:
        return
    this = table(model)
    names = list(rows[0])
    row_marks = f"({marks(len(names))})"
    params = this.encoded(names, rows)
    sql = f"INSERT INTO {this.name} ({','.join(this.columns[name] for name in names)}) VALUES "  # noqa: S608
    sql += ",".join([row_marks] * len(rows))
    if ignore_conflicts:
        sql += " ON CONFLICT DO NOTHING"
    _submit(_Write(this, sql, params, None), this.key, rows)


def update(
    model: type[models.Model], rows: Sequence[Row], *, key: str = "", where: str = "", exactly: bool = False
) -> None:
    """Set the columns of ``rows`` (all with the same keys, ``key`` among them) in one statement.

    ``where`` is SQL of ours over the table's columns, as ``t.state = 'held'``. With ``exactly`` each row
    must be there and meet it, else IntegrityError.
    """
    if not rows:
        return
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
    # Rows named by anything but their key may be any: nothing else of the table waits beside them.
    _submit(_Write(this, sql, params, len(rows) if exactly else None), this.key, rows)


def add(model: type[models.Model], rows: Sequence[Row], *, key: Sequence[str], sums: Sequence[str]) -> None:
    """Insert ``rows`` (all with the same keys), or add their ``sums`` to the row with the same ``key``.

    One statement; no two of ``rows`` may have the same ``key``, over which the table is unique.
    """
    if not rows:
        return
    this = table(model)
    names = list(rows[0])
    row_marks = f"({marks(len(names))})"
    sql = f"INSERT INTO {this.name} ({','.join(this.columns[name] for name in names)}) VALUES "  # noqa: S608
    sql += ",".join([row_marks] * len(rows))
    sql += f" ON CONFLICT ({','.join(this.columns[name] for name in key)}) DO UPDATE SET "
    sql += ",".join(f"{column}={this.name}.{column}+excluded.{column}" for column in (this.columns[n] for n in sums))
    _submit(_Write(this, sql, this.encoded(names, rows), len(rows)), this.key, rows)
