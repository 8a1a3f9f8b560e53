"""Launches in, launches out. SQLAlchemy Core; SQLite in WAL mode by default.

One table: columns to select on, and the whole record as a JSON document with its schema version. A launch is written
once and never changed; a launch that is there already is left alone, so that recovery and import may be repeated.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from harness.errors import StoreError
from harness.records import SCHEMA, Launch

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

    def __init__(self, url: str) -> None:
        """Open it, and make it where it is not there. Raises `StoreError`."""
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
        """Keep a launch; it is on disk when this returns. Raises `StoreError`."""
        row = {
            "id": launch.id,
            "campaign": launch.plan.campaign,
            "label": launch.plan.label,
            "cell": launch.plan.cell,
            "status": launch.verdict.status,
            "schema": launch.schema,
            "record": msgspec.json.encode(launch).decode(),
        }
        with _explained(self._url), self._engine.begin() as connection:
            known = connection.execute(sa.select(_LAUNCHES.c.id).where(_LAUNCHES.c.id == launch.id)).first()
            if known is None:
                connection.execute(_LAUNCHES.insert(), row)

    def launches(self, *, cell_like: str | None = None) -> tuple[Launch, ...]:
        """All launches in the order of their ids, which is that of time. ``cell_like`` is a SQL LIKE pattern.

        Raises `StoreError`, also for a record of a later schema than this version knows.
        """
        query = sa.select(_LAUNCHES.c.id, _LAUNCHES.c.schema, _LAUNCHES.c.record).order_by(_LAUNCHES.c.id)
        if cell_like is not None:
            query = query.where(_LAUNCHES.c.cell.like(cell_like))
        with _explained(self._url), self._engine.connect() as connection:
            return tuple(_decode(*row) for row in connection.execute(query))

    def find(self, prefix: str) -> tuple[Launch, ...]:
        """Launches whose id begins so."""
        query = sa.select(_LAUNCHES.c.id, _LAUNCHES.c.schema, _LAUNCHES.c.record).where(
            _LAUNCHES.c.id.startswith(prefix, autoescape=True)
        )
        with _explained(self._url), self._engine.connect() as connection:
            return tuple(_decode(*row) for row in connection.execute(query.order_by(_LAUNCHES.c.id)))


def store_exists(url: str) -> bool:
    """Whether there is a store to read; one that is not a file is taken to be there."""
    with _explained(url):
        parsed = make_url(url)
    return parsed.get_backend_name() != "sqlite" or not parsed.database or Path(parsed.database).exists()


def _decode(id: str, schema: int, record: str) -> Launch:  # noqa: A002 - the column's name
    if schema > SCHEMA:
        raise StoreError(f"launch {id} has schema {schema}; this strixbench knows up to {SCHEMA}: upgrade it")
    try:
        return msgspec.json.decode(record, type=Launch)
    except msgspec.DecodeError as error:
        raise StoreError(f"launch {id} in the store is damaged: {error}") from error


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
