"""Shows that each kind of difference is found: made-up rows, sealed as the real ones are, with one thing wrong."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sealed
from conversations import judge_tickets
from judge import DELETED, MERGED, WRONG, Judge, Report
from stored import LIVE, STUB, TOMBSTONE, Field, Message, Row, Sync, Ticket
from truth import Parents
from values import moment, same

AT, STAMP, LATER = "2026-11-28T12:00:00.000Z", "2026-11-27T10:00:00.000Z", "2026-11-27T11:00:00.000Z"
REST = "2026-11-27T10:00:00.000+0000"
OURS, THEIRS, CONNECTION = uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=3)
KEYS = {tenant: sealed.TenantKeys(tenant, {1: bytes([tenant.int] * 32)}, bytes(32)) for tenant in (OURS, THEIRS)}
CASE = Sync(1, "Case", "ticket", "SystemModstamp")
COMMENT = Sync(2, "CaseComment", "message", "SystemModstamp")
SETS = {
    1: {5: [Field("Amount", "decimal"), Field("Owner.Name", "text"), Field("OwnerId", "text"), Field("Status", "text"),
            Field("SystemModstamp", "datetime")]},
    2: {6: [Field("CommentBody", "text"), Field("CreatedDate", "datetime"), Field("ParentId", "text"),
            Field("SystemModstamp", "datetime")]},
}  # fmt: skip
FIRST, SECOND, SAID = "500000000000001AAA", "500000000000002AAA", "00a000000000001AAA"


def row(sync: Sync, key: str, values: list[Any], tenant: uuid.UUID = OURS, at: str = "") -> Row:
    """A live row, sealed for a tenant and for the place of `at`."""
    canonical = json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()
    place = sealed.record_row(CONNECTION, sync.object_id, at or key)
    payload = sealed.seal(KEYS[tenant].data[1], 1, tenant, sealed.RECORD_COLUMN, place, canonical)
    (field_set,) = SETS[sync.object_id]
    return Row(key, moment(STAMP), LIVE, None, field_set, KEYS[OURS].content_hash(canonical), payload)


def there(key: str, fields: dict[str, Any]) -> dict[str, Any]:
    """A record of the org."""
    return {"Id": key, "stamp": STAMP, "deleted": False, "fields": {"SystemModstamp": REST, **fields}}


@dataclass
class World:
    """An org with two cases and a comment, and the same here. Tests break it."""

    org_cases: list[dict[str, Any]] = field(
        default_factory=lambda: [
            there(FIRST, {"Amount": Decimal("12.0"), "OwnerId": "005A", "Status": "New"}),
            there(SECOND, {"Amount": None, "OwnerId": "005A", "Status": "Closed", "MasterRecordId": None}),
        ]
    )
    cases: list[Row] = field(
        default_factory=lambda: [
            row(CASE, FIRST, [12, "Ada", "005A", "New", STAMP]),
            row(CASE, SECOND, [None, "Ada", "005A", "Closed", STAMP]),
        ]
    )
    tickets: list[Ticket] = field(
        default_factory=lambda: [
            Ticket(FIRST, LIVE, 1, moment(STAMP), (None, "New", None, None, "005A", None, None, None)),
            Ticket(SECOND, LIVE, 0, None, (None, "Closed", None, None, "005A", None, None, None)),
        ]
    )
    org_comments: list[dict[str, Any]] = field(
        default_factory=lambda: [there(SAID, {"CommentBody": "Hello", "CreatedDate": REST, "ParentId": FIRST})]
    )
    comments: list[Row] = field(default_factory=lambda: [row(COMMENT, SAID, ["Hello", STAMP, FIRST, STAMP])])
    messages: list[Message] = field(default_factory=lambda: [Message(SAID, LIVE, FIRST, "comment", moment(STAMP))])
    owner_stamp: str = STAMP

    def compared(self) -> Report:
        """All differences in one report."""
        parents = Parents({"Owner.Name"})
        owner = {"Id": "005A", "stamp": self.owner_stamp, "deleted": False, "fields": {"Name": "Ada"}}
        parents.add("User", owner)
        both = Report("both")
        judges = [Judge(sync, KEYS[OURS], CONNECTION, SETS[sync.object_id], parents, AT) for sync in (CASE, COMMENT)]
        judges[0].walk(self.org_cases, self.cases, (), self.tickets)
        judges[1].walk(self.org_comments, self.comments, self.messages)
        judges[0].said.merge(judges[1].said)
        for judge in judges:
            both.counts += judge.report.counts
            both.differences += judge.report.differences
        for verdict, ticket, what in judge_tickets(judges[0].said):
            both.note(verdict, ticket, what)
        return both


def in_bin(world: World, master: str | None = None) -> None:
    """The second case goes into the bin there."""
    world.org_cases[1] = {**world.org_cases[1], "deleted": True}
    world.org_cases[1]["fields"]["MasterRecordId"] = master


def gone(world: World, reason: int) -> None:
    """The second case is a tombstone here."""
    world.cases[1] = world.cases[1]._replace(state=TOMBSTONE, reason=reason, payload=None, hash=None)
    world.tickets[1] = world.tickets[1]._replace(state=TOMBSTONE)


def damaged(payload: bytes) -> bytes:
    """The same bytes but for the last."""
    return payload[:-1] + bytes([payload[-1] ^ 1])


def put(name: str, index: int, **changes: Any) -> Callable[[World], None]:
    """A damage: columns of one row are others."""

    def damage(world: World) -> None:
        rows = getattr(world, name)
        rows[index] = rows[index]._replace(**changes)

    return damage


def do(*steps: Callable[[World], Any]) -> Callable[[World], None]:
    """Several damages together."""

    def damage(world: World) -> None:
        for step in steps:
            step(world)

    return damage


def value(*values: Any) -> Callable[[World], None]:
    """A damage: the first case holds other values here, sealed in good order."""
    return lambda world: world.cases.__setitem__(0, row(CASE, FIRST, list(values)))


THIRD = "500000000000003AAA"
# What is wrong, the damage, and which verdicts must come out; none at all for what is right.
CASES: list[tuple[str, Callable[[World], Any], dict[str, int]]] = [
    ("nothing", lambda world: None, {}),
    ("a changed value", value(12, "Ada", "005A", "Old", STAMP), {"stale": 1}),
    ("another spelling of the same number", value(12.0, "Ada", "005A", "New", STAMP), {}),
    ("another number", value(12.01, "Ada", "005A", "New", STAMP), {"stale": 1}),
    ("a linked value of a parent that did not change", value(12, "Bo", "005A", "New", STAMP), {"stale": 1}),
    ("a linked value that is missing", value(12, None, "005A", "New", STAMP), {"stale": 1}),
    ("a linked value of a parent that changed later",
     do(value(12, "Bo", "005A", "New", STAMP), lambda world: setattr(world, "owner_stamp", LATER)), {}),
    ("a field that was not read", lambda world: world.org_cases[0]["fields"].update(New__c="x"), {"stale": 1}),
    ("a missing row", lambda world: world.cases.pop(0), {"lost": 1}),
    ("a missing row and its ticket", lambda world: (world.cases.pop(), world.tickets.pop()), {"lost": 2}),
    ("an extra row", lambda world: world.cases.append(row(CASE, THIRD, [1])), {"foreign": 1}),
    ("a row of another tenant",
     lambda world: world.cases.__setitem__(0, row(CASE, FIRST, [12], THEIRS)), {"foreign": 1}),
    ("a payload from another row",
     lambda world: world.cases.__setitem__(0, row(CASE, FIRST, [12], at=SECOND)), {"foreign": 1}),
    ("a damaged payload",
     lambda world: put("cases", 0, payload=damaged(world.cases[0].payload or b"?"))(world), {"foreign": 1}),
    ("a wrong content hash", put("cases", 0, hash=bytes(16)), {"stale": 1}),
    ("an older stamp", put("cases", 0, stamp=moment("2026-11-26T10:00:00Z")), {"stale": 1}),
    ("a stub for a live record", put("cases", 0, state=STUB, reason=4), {"lost": 1}),
    ("a tombstone for a live record", put("cases", 0, state=TOMBSTONE, reason=DELETED), {"lost": 1}),
    ("a deletion unnoticed", in_bin, {"undead": 2}),
    ("a deletion noticed", do(in_bin, lambda world: gone(world, DELETED)), {}),
    ("a merge that is called a deletion",
     do(lambda world: in_bin(world, FIRST), lambda world: gone(world, DELETED)), {"undead": 1}),
    ("a merge noticed", do(lambda world: in_bin(world, FIRST), lambda world: gone(world, MERGED)), {}),
    ("a tombstone that outlives the bin",
     do(lambda world: gone(world, DELETED), lambda world: world.org_cases.pop()), {}),
    ("a purge unnoticed", lambda world: world.org_cases.pop(), {"foreign": 2}),
    ("a moved message", put("messages", 0, ticket=SECOND), {"stale": 1}),
    ("a missing message", lambda world: world.messages.pop(), {"lost": 1}),
    ("a message of nobody", lambda world: (world.org_comments.pop(), world.comments.pop()), {"foreign": 1, "stale": 1}),
    ("a wrong count of messages", put("tickets", 0, messages=2), {"stale": 1}),
    ("a wrong time of the last message", put("tickets", 0, last_message=moment(LATER)), {"stale": 1}),
    ("a missing ticket", lambda world: world.tickets.pop(), {"lost": 1}),
    ("a ticket's column", put("tickets", 1, columns=(None, "New", None, None, "005A", None, None, None)), {"stale": 1}),
    ("a shell of nothing", lambda world: world.tickets.append(Ticket(THIRD, STUB, 0, None, ())), {"foreign": 1}),
]  # fmt: skip
VALUES = [
    ("datetime", REST, STAMP, True), ("datetime", REST, "2026-11-27T11:00:00.000+0100", True),
    ("datetime", REST, "2026-11-27T10:00:00.001Z", False), ("text", "", None, True), ("text", " ", None, False),
    ("text", "007", "7", False), ("boolean", False, None, False), ("boolean", True, 1, False),
    ("any_type", True, "true", True), ("any_type", 47, "47", True), ("time", "10:00:00.000Z", "10:00:00Z", True),
    ("date", "2026-11-27", "2026-11-28", False),
]  # fmt: skip


def run() -> int:
    """Every case; the number of the exit code."""
    failed = 0
    for name, damage, expected in CASES:
        world = World()
        damage(world)
        report = world.compared()
        found = {verdict: report.counts[verdict] for verdict in WRONG if report.counts[verdict]}
        if found != expected:
            failed += 1
            print(f"FAILED {name}: {found} instead of {expected}: {report.differences}")
    for kind, one, other, equal in VALUES:
        if same(kind, one, other) != equal:
            failed += 1
            print(f"FAILED {kind}: {one!r} and {other!r} should {'be' if equal else 'not be'} the same")
    print(f"self-test: {len(CASES) + len(VALUES) - failed} of {len(CASES) + len(VALUES)} hold")
    return 1 if failed else 0
