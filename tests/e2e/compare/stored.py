"""What is stored, read in one snapshot as the role that sees one tenant's rows."""

import itertools
import json
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

import psycopg
from psycopg import sql

LIVE, STUB, TOMBSTONE = 0, 1, 2
T = TypeVar("T", "Row", "Message", "Ticket", "Person", "Facets")
BATCH = 1_000


class Sync(NamedTuple):
    """An object that is kept fresh, and the field by which changes are found."""

    object_id: int
    name: str
    role: str
    cursor: str
    settings: dict[str, Any] = {}
    # What its records are read with now.
    field_set: int | None = None


class Field(NamedTuple):
    """A path that records were read with, and how its values are kept."""

    path: str
    kind: str


class Row(NamedTuple):
    """A row of `records`."""

    id: str
    stamp: Any
    state: int
    reason: int | None
    field_set: int
    hash: bytes | None
    payload: bytes | None


class Message(NamedTuple):
    """A row of `messages`; the item in the order of `conversations.Item`."""

    id: str
    state: int
    item: tuple


class Ticket(NamedTuple):
    """A row of `tickets`. State: 0 live, 1 its own record has not come, 2 gone."""

    id: str
    state: int
    reason: int | None
    merged_into: str | None
    # Messages, those of the customer, when the last one was.
    spoken: tuple
    last_activity: Any
    columns: tuple


class Person(NamedTuple):
    """A row of `agents` or `customers`: whether an agent is active, or a customer's account."""

    id: str
    state: int
    own: bool | str | None
    email_token: bytes | None


class Facets(NamedTuple):
    """The rows of `ticket_facets` of one ticket: text, time and scaled number by name, of which one is given."""

    id: str
    values: dict[str, tuple[str | None, Any, int | None]]


class File(NamedTuple):
    """A row of `files`. State: 0 wanted, 1 stored, 2 left out, 3 not to be had."""

    id: str
    object: str
    field: str
    state: int
    reason: str | None
    load: uuid.UUID | None
    place: str | None
    bytes: int | None
    chunks: int | None
    digest: bytes | None


class Chunk(NamedTuple):
    """A row of `file_chunks`."""

    file: str
    load: uuid.UUID
    n: int
    body: bytes


# In the order of the plain columns of a ticket below.
TICKET_COLUMNS = "number, status, priority, channel, owner_id, contact_id, opened_at, closed_at"
_WHERE = "tenant_id = %s AND connection_id = %s AND object_id = %s ORDER BY record_id"


class Store:
    """One tenant's connection to an org, in a snapshot that several processes may share."""

    def __init__(self, url: str, tenant: uuid.UUID, connection: uuid.UUID, snapshot: str = "") -> None:
        self.tenant, self.connection = tenant, connection
        self.db = psycopg.connect(url)
        self.db.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        if snapshot:
            self.db.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
        self.db.execute("SET LOCAL ROLE refrain_tenant")
        self.db.execute("SELECT set_config('app.tenant', %s, true)", [str(tenant)])
        # Rows are taken as slowly as they are compared.
        self.db.execute("SET LOCAL statement_timeout = 0")
        self.db.execute("SET LOCAL idle_in_transaction_session_timeout = 0")

    def close(self) -> None:
        """Leaves everything as it was."""
        self.db.rollback()
        self.db.close()

    def snapshot(self) -> str:
        """The name of this snapshot, as long as this is open."""
        return self.all("SELECT pg_export_snapshot()")[0][0]

    def all(self, statement: str, *parameters: Any) -> list[tuple]:
        """The rows of a small answer."""
        return self.db.execute(statement, parameters).fetchall()

    def key_rows(self) -> list[tuple]:
        """The tenant's wrapped keys."""
        return self.all("SELECT key_id, purpose, kek_id, wrapped FROM tenant_keys WHERE wrapped IS NOT NULL")

    def ticket_days(self) -> int:
        """How many days the tenant keeps tickets."""
        return self.all("SELECT ticket_days FROM tenant_gates WHERE tenant_id = %s", self.tenant)[0][0]

    def syncs(self) -> list[Sync]:
        """The enabled objects of the connection."""
        text = """SELECT object_id, api_name, role, coalesce(c.cursor_field, 'SystemModstamp'), settings, c.field_set_id
            FROM object_syncs o LEFT JOIN checkpoints c USING (object_id)
            WHERE o.connection_id = %s AND o.enabled ORDER BY object_id"""
        return [Sync(*row) for row in self.all(text, self.connection)]

    def field_sets(self, object_id: int) -> dict[int, list[Field]]:
        """What the values in a payload are, by field set."""
        rows = self.all("SELECT field_set_id, fields::text FROM field_sets WHERE object_id = %s", object_id)
        return {key: [Field(one["path"], one["type"]) for one in json.loads(text)] for key, text in rows}

    def strays(self) -> list[tuple[str, int, int]]:
        """Rows of this tenant that belong to no object of any connection: table, object, how many."""
        found: list[tuple[str, int, int]] = []
        for table in ("records", "messages", "tickets", "agents", "customers", "ticket_facets"):
            text = f"""SELECT r.object_id, count(*) FROM {table} r
                LEFT JOIN object_syncs o USING (tenant_id, connection_id, object_id)
                WHERE o.object_id IS NULL GROUP BY r.object_id"""
            found.extend((table, *row) for row in self.all(text))
        return found

    def _stream(self, name: str, columns: str, object_id: int) -> Iterator[tuple]:
        with self.db.cursor(name=f"{name}_{object_id}", binary=True) as cursor:
            cursor.itersize = BATCH
            statement = f"SELECT {columns} FROM {name} WHERE {_WHERE}"
            yield from cursor.execute(statement, (self.tenant, self.connection, object_id))

    def records(self, object_id: int) -> Iterator[Row]:
        """All rows of an object, in order of id."""
        columns = "record_id, modstamp, state, reason, field_set_id, content_hash, payload"
        return (Row(*row) for row in self._stream("records", columns, object_id))

    def messages(self, object_id: int) -> Iterator[Message]:
        """All items of conversations that came from an object, in order of id."""
        item = "ticket_record_id, kind, sent_at, direction, public, author_id, characters, same_as, holds, file_id"
        rows = self._stream("messages", f"record_id, state, {item}", object_id)
        return (Message(row[0], row[1], row[2:]) for row in rows)

    def tickets(self, object_id: int) -> Iterator[Ticket]:
        """All tickets that came from an object, in order of id."""
        said = "messages, customer_messages, last_message_at, last_activity_at"
        columns = f"record_id, state, reason, merged_into, {said}, {TICKET_COLUMNS}"
        return (Ticket(*row[:4], row[4:7], row[7], row[8:]) for row in self._stream("tickets", columns, object_id))

    def people(self, table: str, own: str, object_id: int) -> Iterator[Person]:
        """All agents or customers that came from an object, in order of id."""
        return (Person(*row) for row in self._stream(table, f"record_id, state, {own}, email_token", object_id))

    def facets(self, object_id: int) -> Iterator[Facets]:
        """What tickets of an object are filtered by, in order of id."""
        rows = self._stream("ticket_facets", "record_id, facet, text_value, time_value, number_value", object_id)
        for key, some in itertools.groupby(rows, key=lambda row: row[0]):
            yield Facets(key, {row[1]: row[2:] for row in some})

    def files(self) -> list[File]:
        """All files of the connection."""
        text = """SELECT file_id, object, body, state, reason, load, place, bytes, chunks, digest FROM files
            WHERE tenant_id = %s AND connection_id = %s ORDER BY file_id"""
        return [File(*row) for row in self.all(text, self.tenant, self.connection)]

    def chunks(self) -> Iterator[Chunk]:
        """All chunks of bodies of the connection, in order of file, load and number."""
        with self.db.cursor(name="file_chunks", binary=True) as cursor:
            cursor.itersize = 8
            text = """SELECT file_id, load, n, body FROM file_chunks
                WHERE tenant_id = %s AND connection_id = %s ORDER BY file_id, load, n"""
            yield from (Chunk(*row) for row in cursor.execute(text, (self.tenant, self.connection)))

    def set_aside(self) -> int:
        """How many records are not here because something is wrong with them."""
        text = "SELECT count(*) FROM quarantine WHERE tenant_id = %s AND connection_id = %s"
        return self.all(text, self.tenant, self.connection)[0][0]


class Side(Generic[T]):
    """Rows in order of id, taken as the other side's ids come by."""

    def __init__(self, rows: Iterable[T]) -> None:
        self._rows: Iterator[T] = iter(rows)
        self._head: T | None = next(self._rows, None)
        self._last = ""

    def _step(self) -> T:
        row = self._head
        assert row is not None
        if row.id <= self._last:
            raise ValueError(f"{row.id} is stored twice or out of order")
        self._last = row.id
        self._head = next(self._rows, None)
        return row

    def before(self, key: str | None) -> Iterator[T]:
        """The rows that the other side does not have: those before this id, or all that are left."""
        while self._head is not None and (key is None or self._head.id < key):
            yield self._step()

    def take(self, key: str) -> T | None:
        """The row of this id."""
        return self._step() if self._head is not None and self._head.id == key else None
