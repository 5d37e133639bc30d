"""A made-up org and made-up rows that agree, sealed as the real ones are, for tests to break."""

import json
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from typing import Any

import sealed
from conversations import judge_tickets
from files import LEFT_OUT, STORED, judge_files
from judge import EXPIRED, MERGED, Here, Judge
from report import Report
from rules import TRANSCRIPTS, Item
from stored import LIVE, STUB, TOMBSTONE, Chunk, Facets, Field, File, Message, Person, Row, Sync, Ticket
from transcripts import id_of, record
from truth import Parents
from values import moment

AT, STAMP, LATER = "2026-11-28T12:00:00.000Z", "2026-11-27T10:00:00.000Z", "2026-11-27T11:00:00.000Z"
REST = "2026-11-27T10:00:00.000+0000"
OURS, THEIRS, CONNECTION = uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=3)
KEYS = {tenant: sealed.TenantKeys(tenant, {1: bytes([tenant.int] * 32)}, bytes(32)) for tenant in (OURS, THEIRS)}
FACETS = [
    {"name": "channel", "path": "Origin", "as": "text"},
    {"name": "worth", "path": "Amount", "as": {"number": {"scale": 1}}},
    {"name": "owner", "path": "Owner.Name", "as": "text"},
]
CASE = Sync(1, "Case", "ticket", "SystemModstamp", {"facets": FACETS})
COMMENT = Sync(2, "CaseComment", "message", "SystemModstamp")
ATTACHMENT = Sync(3, "Attachment", "file", "SystemModstamp", {"files": {"never": [".exe"]}})
CONTACT = Sync(4, "Contact", "reference", "SystemModstamp")
SPOKEN = Sync(5, TRANSCRIPTS, "message", "SystemModstamp")
LINK = Sync(6, "ContentDocumentLink", "file", "SystemModstamp")
SAID_FIELDS = (
    "ActorId", "ActorType", "ConversationId", "Id", "IsDeleted", "Message", "MessageIdentifier", "SystemModstamp",
)  # fmt: skip
SETS = {
    1: {5: [Field("Amount", "decimal"), Field("Origin", "text"), Field("Owner.Name", "text"), Field("OwnerId", "text"),
            Field("Status", "text"), Field("SystemModstamp", "datetime")]},
    2: {6: [Field("CommentBody", "text"), Field("CreatedDate", "datetime"), Field("IsPublished", "boolean"),
            Field("ParentId", "text"), Field("SystemModstamp", "datetime")]},
    3: {7: [Field("BodyLength", "integer"), Field("CreatedDate", "datetime"), Field("IsPrivate", "boolean"),
            Field("Name", "text"), Field("ParentId", "text"), Field("SystemModstamp", "datetime")]},
    4: {8: [Field("AccountId", "text"), Field("Email", "text"), Field("SystemModstamp", "datetime")]},
    5: {9: [Field(name, "boolean" if name == "IsDeleted" else "text") for name in SAID_FIELDS]},
    6: {10: [Field("ContentDocument.Title", "text"), Field("ContentDocumentId", "text"),
             Field("LinkedEntityId", "text"), Field("SystemModstamp", "datetime")]},
}  # fmt: skip
# What cases are read with now; the rows here were read before.
NOW = 11
FIRST, SECOND, SAID = "500000000000001AAA", "500000000000002AAA", "00a000000000001AAA"
FILE, OTHER, PERSON, SESSION = "00P000000000001AAA", "00P000000000002AAA", "003000000000001AAA", "0Mw000000000001AAA"
DOCUMENT, SHARED = "069000000000001AAA", "06A000000000001AAA"
ENTRY = {"identifier": "d5a5b5c0-0000-4000-8000-000000000001", "messageText": "Hi", "sender": {"role": "EndUser"},
         "serverReceivedTimestamp": 1_795_773_600_000}  # fmt: skip
SPOKE, HEARD = record(SESSION, ENTRY)["stamp"], id_of(ENTRY["identifier"])
BODY, LOAD = b"Some bytes", uuid.UUID(int=9)


def columns(status: str, channel: str | None = None) -> tuple:
    """The plain columns of a ticket."""
    return (None, status, None, channel, "005A", None, None, None)


def row(sync: Sync, key: str, values: list[Any], tenant: uuid.UUID = OURS, at: str = "", at_stamp: str = STAMP) -> Row:
    """A live row, sealed for a tenant and for the place of `at`."""
    canonical = json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()
    place = sealed.record_row(CONNECTION, sync.object_id, at or key)
    payload = sealed.seal(KEYS[tenant].data[1], 1, tenant, sealed.RECORD_COLUMN, place, canonical)
    (field_set,) = SETS[sync.object_id]
    return Row(key, moment(at_stamp), LIVE, None, field_set, KEYS[OURS].content_hash(canonical), payload)


def there(key: str, fields: dict[str, Any]) -> dict[str, Any]:
    """A record of the org."""
    return {"Id": key, "stamp": STAMP, "deleted": False, "fields": {"SystemModstamp": REST, **fields}}


def item(ticket: str, kind: str, direction: str, characters: int, **others: Any) -> Item:
    """An item that was said at the stamp."""
    made = Item(ticket, kind, moment(STAMP), direction, direction != "internal", None, characters, None, False, None)
    return made._replace(**others)


def chunk(number: int, body: bytes, key: str = FILE, load: uuid.UUID = LOAD, tenant: uuid.UUID = OURS) -> Chunk:
    """A chunk of a body, sealed for its place."""
    place = sealed.chunk_row(CONNECTION, key, load, number)
    return Chunk(key, load, number, sealed.seal(KEYS[tenant].data[1], 1, tenant, sealed.CHUNK_COLUMN, place, body))


def digest(body: bytes) -> bytes:
    """The sealed digest of a body."""
    place = sealed.chunk_row(CONNECTION, FILE, LOAD, -1)
    return sealed.seal(KEYS[OURS].data[1], 1, OURS, sealed.DIGEST_COLUMN, place, sha256(body).digest())


def attached(key: str, name: str) -> dict[str, Any]:
    """An attachment of the first case."""
    return there(
        key, {"BodyLength": len(BODY), "CreatedDate": REST, "Name": name, "ParentId": FIRST, "IsPrivate": False}
    )


@dataclass
class World:
    """An org with two cases, a comment, a chat, two attachments, a shared document and a contact, and the same here.
    Tests break it."""

    org_cases: list[dict[str, Any]] = field(
        default_factory=lambda: [
            there(FIRST, {"Amount": Decimal("12.0"), "Origin": "Web", "OwnerId": "005A", "Status": "New"}),
            there(
                SECOND, {"Amount": None, "Origin": None, "OwnerId": "005A", "Status": "Closed", "MasterRecordId": None}
            ),
        ]
    )
    cases: list[Row] = field(
        default_factory=lambda: [
            row(CASE, FIRST, [12, "Web", "Ada", "005A", "New", STAMP]),
            row(CASE, SECOND, [None, None, "Ada", "005A", "Closed", STAMP]),
        ]
    )
    tickets: list[Ticket] = field(
        default_factory=lambda: [
            Ticket(FIRST, LIVE, None, None, (2, 1, moment(SPOKE)), moment(SPOKE), columns(status="New", channel="Web")),
            Ticket(SECOND, LIVE, None, None, (0, 0, None), moment(STAMP), columns(status="Closed")),
        ]
    )
    facets: list[Facets] = field(
        default_factory=lambda: [
            Facets(FIRST, {"channel": ("Web", None, None), "worth": (None, None, 120), "owner": ("Ada", None, None)}),
            Facets(SECOND, {"owner": ("Ada", None, None)}),
        ]
    )
    org_comments: list[dict[str, Any]] = field(
        default_factory=lambda: [
            there(SAID, {"CommentBody": "Hello", "CreatedDate": REST, "ParentId": FIRST, "IsPublished": True})
        ]
    )
    comments: list[Row] = field(default_factory=lambda: [row(COMMENT, SAID, ["Hello", STAMP, True, FIRST, STAMP])])
    messages: list[Message] = field(
        default_factory=lambda: [Message(SAID, LIVE, item(FIRST, "comment", "outbound", 5))]
    )
    org_entries: list[dict[str, Any]] = field(default_factory=lambda: [record(SESSION, ENTRY)])
    entries: list[Row] = field(
        default_factory=lambda: [
            row(
                SPOKEN,
                HEARD,
                [None, "EndUser", SESSION, HEARD, False, "Hi", ENTRY["identifier"], SPOKE],
                at_stamp=SPOKE,
            )
        ]
    )
    spoken: list[Message] = field(
        default_factory=lambda: [Message(HEARD, LIVE, item(SESSION, "entry", "inbound", 2, sent_at=moment(SPOKE)))]
    )
    org_attachments: list[dict[str, Any]] = field(
        default_factory=lambda: [attached(FILE, "a.pdf"), attached(OTHER, "b.EXE")]
    )
    attachments: list[Row] = field(
        default_factory=lambda: [
            row(ATTACHMENT, FILE, [len(BODY), STAMP, False, "a.pdf", FIRST, STAMP]),
            row(ATTACHMENT, OTHER, [len(BODY), STAMP, False, "b.EXE", FIRST, STAMP]),
        ]
    )
    named: list[Message] = field(
        default_factory=lambda: [
            Message(key, LIVE, item(FIRST, "file", "internal", 5, public=True, file=key)) for key in (FILE, OTHER)
        ]
    )
    files: list[File] = field(
        default_factory=lambda: [
            File(FILE, "Attachment", "Body", STORED, None, LOAD, "database", len(BODY), 2, digest(BODY)),
            File(OTHER, "Attachment", "Body", LEFT_OUT, "type_not_kept", None, None, len(BODY), None, None),
        ]
    )
    chunks: list[Chunk] = field(default_factory=lambda: [chunk(0, BODY[:4]), chunk(1, BODY[4:])])
    body: bytes | None = BODY
    org_links: list[dict[str, Any]] = field(
        default_factory=lambda: [there(SHARED, {"ContentDocumentId": DOCUMENT, "LinkedEntityId": SECOND})]
    )
    links: list[Row] = field(default_factory=lambda: [row(LINK, SHARED, ["Plan", DOCUMENT, SECOND, STAMP])])
    shown: list[Message] = field(default_factory=lambda: [Message(SHARED, LIVE, item(SECOND, "file", "internal", 4))])
    org_contacts: list[dict[str, Any]] = field(
        default_factory=lambda: [there(PERSON, {"AccountId": None, "Email": "Ann@Example.com"})]
    )
    contacts: list[Row] = field(default_factory=lambda: [row(CONTACT, PERSON, [None, "Ann@Example.com", STAMP])])
    people: list[Person] = field(
        default_factory=lambda: [Person(PERSON, LIVE, None, KEYS[OURS].email_token("ann@example.com"))]
    )
    owner_stamp: str = STAMP
    are_fresh: bool = False
    document_stamp: str = STAMP
    over: dict[str, bool | None] = field(default_factory=dict)
    # Fields of cases that the integration user may see no more.
    hidden: tuple[str, ...] = ()

    def compared(self) -> Report:
        """All differences in one report."""
        parents = Parents({"Owner.Name", "ContentDocument.Title"})
        parents.are_fresh = self.are_fresh
        parents.add("User", {"Id": "005A", "stamp": self.owner_stamp, "deleted": False, "fields": {"Name": "Ada"}})
        fields = {"Title": "Plan"}
        parents.add(
            "ContentDocument", {"Id": DOCUMENT, "stamp": self.document_stamp, "deleted": False, "fields": fields}
        )
        now = [one for one in SETS[CASE.object_id][5] if one.path not in self.hidden]
        sets = {**SETS, CASE.object_id: {**SETS[CASE.object_id], NOW: now}}
        sides = [
            (CASE._replace(field_set=NOW), self.org_cases, Here(self.cases, (), self.tickets, (), self.facets)),
            (COMMENT, self.org_comments, Here(self.comments, self.messages)),
            (SPOKEN, self.org_entries, Here(self.entries, self.spoken)),
            (ATTACHMENT, self.org_attachments, Here(self.attachments, self.named)),
            (LINK, self.org_links, Here(self.links, self.shown)),
            (CONTACT, self.org_contacts, Here(self.contacts, (), (), self.people)),
        ]
        both = Report("both")
        judges = [
            Judge(sync, KEYS[OURS], CONNECTION, sets[sync.object_id], parents, AT, self.over) for sync, _, _ in sides
        ]
        said = judges[0].said
        # The session is not kept here; what it belongs to is known all the same.
        said.holders[SESSION] = FIRST
        for judge, (_, there_, here) in zip(judges, sides, strict=True):
            judge.walk(there_, here)
            both.counts += judge.report.counts
            both.differences += judge.report.differences
            if judge.said is not said:
                said.merge(judge.said)
        found = judge_files(said.files, self.files, self.chunks, (KEYS[OURS], CONNECTION), lambda *_: self.body)
        for verdict, one, what in (*judge_tickets(said), *found):
            both.note(verdict, one, what)
        return both


def hide(world: World, path: str) -> None:
    """A field of cases goes out of sight there, and is read no more."""
    world.hidden += (path,)
    for case in world.org_cases:
        del case["fields"][path]


def in_bin(world: World, master: str | None = None) -> None:
    """The second case goes into the bin there."""
    world.org_cases[1] = {**world.org_cases[1], "deleted": True}
    world.org_cases[1]["fields"]["MasterRecordId"] = master


def gone(world: World, reason: int) -> None:
    """The second case is a tombstone here."""
    world.cases[1] = world.cases[1]._replace(state=TOMBSTONE, reason=reason, payload=None, hash=None)
    world.tickets[1] = world.tickets[1]._replace(
        state=TOMBSTONE, reason=reason, merged_into=FIRST if reason == MERGED else None
    )
    world.facets.pop()


def over(world: World, is_over: bool | None = True) -> None:
    """The time of the second case, and of all that belongs to it, is over."""
    world.over = {SECOND: is_over}


def let_go(world: World) -> None:
    """Nothing of the second case is here but that it is there."""
    world.cases[1] = world.cases[1]._replace(state=STUB, reason=EXPIRED, payload=None, hash=None)
    world.tickets[1] = world.tickets[1]._replace(state=TOMBSTONE, reason=EXPIRED)
    world.links[0] = world.links[0]._replace(state=STUB, reason=EXPIRED, payload=None, hash=None)
    world.shown.clear()
    world.facets.pop()
