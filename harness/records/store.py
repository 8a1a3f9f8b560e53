"""Launches in, launches out. SQLAlchemy Core; SQLite in WAL mode by default.

One table: columns to select on, and the whole record as a JSON document with its schema version. A launch is written
once and never changed; a launch that is there already is left alone, so that recovery and import may be repeated.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from harness.errors import RecordError, StoreError
from harness.records.launch import SCHEMA, Launch
from harness.records.upgrade import UNREADABLE, read_launch

_METADATA = sa.MetaData()
_LAUNCHES = sa.Table(
    "launches",
    _METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("campaign", sa.String(64), index=True, nullable=False),
    sa.Column("label", sa.String(200), index=True),
    sa.Column("cell", sa.String(400), index=True, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("schema", sa.Integer, nullable=False),
    sa.Column("record", sa.Text, nullable=False),
)

BUSY_TIMEOUT_SECONDS = 30

SQLITE_NEEDS_BYTES = 1 << 20
"""Less than this free, and a launch and its write-ahead log may not fit."""


class Store:
    """Where launches are kept."""

    def __init__(self, url: str, *, warn: Callable[[str], None] | None = None) -> None:
        """Open it, and make it where it is not there. ``warn`` hears once of each record that cannot be read; without it
        such a record is an error. Raises `StoreError`.
        """
        self._warn = warn
        self._warned: set[str] = set()
        with _explained(url):
            parsed = make_url(url)
            sqlite = parsed.get_backend_name() == "sqlite"
            if sqlite and parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self._url = url
            arguments = {"timeout": BUSY_TIMEOUT_SECONDS} if sqlite else {}
            self._engine = sa.create_engine(parsed, poolclass=NullPool, connect_args=arguments)
            if sqlite:
                sa.event.listen(self._engine, "connect", _write_ahead)
            _METADATA.create_all(self._engine)

    def add(self, launch: Launch) -> None:
        """Keep a launch; it is on disk when this returns. Raises `StoreError`, and `RecordError` for one that could not be
        read again, such as with a number that JSON has no word for.
        """
        try:
            record = msgspec.json.encode(launch).decode()
            read_launch(record)
        except UNREADABLE as error:
            raise RecordError(f"launch {launch.id} is not stored, because it could not be read again: {error}") from error
        row = {
            "id": launch.id,
            "campaign": launch.plan.campaign,
            "label": launch.plan.label,
            "cell": launch.plan.cell,
            "status": launch.verdict.status,
            "schema": launch.schema,
            "record": record,
        }
        with _explained(self._url), self._engine.begin() as connection:
            known = connection.execute(sa.select(_LAUNCHES.c.id).where(_LAUNCHES.c.id == launch.id)).first()
            if known is None:
                connection.execute(_LAUNCHES.insert(), row)

    def launches(self, *, cell_like: str | None = None) -> tuple[Launch, ...]:
        """All launches in the order of their ids, which is that of time. ``cell_like`` is a SQL LIKE pattern.

        A damaged record is left out and told of. Raises `StoreError`, also for a record of a later schema than this
        version knows.
        """
        return self._readable(self._rows(*(() if cell_like is None else (_LAUNCHES.c.cell.like(cell_like),))))

    def find(self, prefix: str) -> tuple[Launch, ...]:
        """Launches whose id begins so. A damaged one is left out beside others; alone it is a `RecordError`."""
        rows = list(self._rows(_LAUNCHES.c.id.startswith(prefix, autoescape=True)))
        return (self._decode(*rows[0]),) if len(rows) == 1 else self._readable(rows)

    def _rows(self, *conditions: sa.ColumnElement[bool]) -> Iterator[tuple[str, int, str]]:
        """Id, schema and record of the launches for which the conditions hold, by id."""
        query = sa.select(_LAUNCHES.c.id, _LAUNCHES.c.schema, _LAUNCHES.c.record).where(*conditions).order_by(_LAUNCHES.c.id)
        with _explained(self._url), self._engine.connect() as connection:
            yield from (tuple(row) for row in connection.execute(query))

    def _readable(self, rows: Iterable[tuple[str, int, str]]) -> tuple[Launch, ...]:
        """The launches of rows, without those that are damaged. Raises `RecordError` where nobody hears of these."""
        found = []
        for row in rows:
            try:
                found.append(self._decode(*row))
            except RecordError as error:
                if self._warn is None:
                    raise
                if row[0] not in self._warned:
                    self._warned.add(row[0])
                    self._warn(f"left out: {error}")
        return tuple(found)

    def _decode(self, id: str, schema: int, record: str) -> Launch:  # noqa: A002 - the column's name
        if isinstance(schema, int) and schema > SCHEMA:
            raise StoreError(f"launch {id} has schema {schema}; this strixbench knows up to {SCHEMA}: upgrade it")
        try:
            return read_launch(record)
        except UNREADABLE as error:
            raise RecordError(f"launch {id} in the store is damaged: {error}; look at it with {self._look_at(id)}") from error

    def _look_at(self, id: str) -> str:  # noqa: A002 - likewise
        """A command that shows a record as it lies there, or a statement where the store is no file."""
        query = sa.select(_LAUNCHES.c.record).where(_LAUNCHES.c.id == id)
        statement = " ".join(str(query.compile(compile_kwargs={"literal_binds": True})).split())
        url = make_url(self._url)
        if url.get_backend_name() != "sqlite" or not url.database:
            return statement
        quoted = f'"{statement}"' if id.replace("-", "").isalnum() else shlex.quote(statement)  # all of ours are the former
        return f"`sqlite3 {shlex.quote(url.database)} {quoted}`"


def store_exists(url: str) -> bool:
    """Whether there is a store to read; one that is not a file is taken to be there."""
    with _explained(url):
        parsed = make_url(url)
    return parsed.get_backend_name() != "sqlite" or not parsed.database or Path(parsed.database).exists()


def _write_ahead(connection: sa.engine.interfaces.DBAPIConnection, _: object) -> None:
    """Readers while writing; and a commit that survives the loss of power (sqlite.org/pragma.html#pragma_synchronous)."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Database errors as one sentence; a password in the URL is not shown."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, OSError, ImportError) as error:
        try:
            shown = make_url(url).render_as_string(hide_password=True)
        except sa.exc.ArgumentError:
            shown = "(not a database URL)"
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"the store {shown} cannot be used: {cause}{_hint(url)}") from error


def _hint(url: str) -> str:
    """What SQLite's "disk I/O error" most often means, where it does."""
    try:
        folder = Path(make_url(url).database or "").parent
        full = url.startswith("sqlite") and shutil.disk_usage(folder).free < SQLITE_NEEDS_BYTES
    except (OSError, sa.exc.ArgumentError):
        return ""
    return f" (the disk of {folder} is full: free some space and start again; nothing that finished is lost)" if full else ""
