"""Shows that each kind of difference is found: made-up rows, sealed as the real ones are, with one thing wrong."""

from collections.abc import Callable
from typing import Any

from files import LEFT_OUT, NOT_THERE, STORED, WANTED, left_out
from judge import DELETED, MERGED, PURGED
from report import WRONG
from rules import RULES
from stored import LIVE, STUB, TOMBSTONE, Facets, File, Message, Ticket
from values import moment, same
from world import (
    AT,
    BODY,
    CASE,
    DOCUMENT,
    FIRST,
    KEYS,
    LATER,
    LINK,
    LOAD,
    OTHER,
    OURS,
    REST,
    SECOND,
    SHARED,
    SPOKE,
    STAMP,
    THEIRS,
    World,
    chunk,
    columns,
    digest,
    gone,
    hide,
    in_bin,
    item,
    let_go,
    over,
    row,
)  # fmt: skip


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


def told(name: str, **changes: Any) -> Callable[[World], None]:
    """A damage: the first item of an object is another."""
    return lambda world: put(name, 0, item=getattr(world, name)[0].item._replace(**changes))(world)


def facet(**changes: Any) -> Callable[[World], None]:
    """A damage: the first case is found by other values."""
    return lambda world: world.facets[0].values.update(changes)


THIRD = "500000000000003AAA"
# What is wrong, the damage, and which verdicts must come out; none at all for what is right.
CASES: list[tuple[str, Callable[[World], Any], dict[str, int]]] = [
    ("nothing", lambda world: None, {}),
    ("a changed value", value(12, "Web", "Ada", "005A", "Old", STAMP), {"stale": 1}),
    ("another spelling of the same number", value(12.0, "Web", "Ada", "005A", "New", STAMP), {}),
    ("another number", value(12.01, "Web", "Ada", "005A", "New", STAMP), {"stale": 1}),
    ("a linked value of a parent that did not change", value(12, "Web", "Bo", "005A", "New", STAMP), {"stale": 1}),
    ("a linked value that is missing", value(12, "Web", None, "005A", "New", STAMP), {"stale": 1}),
    ("a linked value of a parent that changed later",
     do(value(12, "Web", "Bo", "005A", "New", STAMP), lambda world: setattr(world, "owner_stamp", LATER)), {}),
    ("a linked value of a parent that changed later, which should show by now",
     do(value(12, "Web", "Bo", "005A", "New", STAMP), lambda world: setattr(world, "owner_stamp", LATER),
        lambda world: setattr(world, "are_fresh", True)), {"stale": 1}),
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
    ("a deletion unnoticed", in_bin, {"undead": 3}),
    ("a deletion noticed", do(in_bin, lambda world: gone(world, DELETED)), {}),
    ("a merge that is called a deletion",
     do(lambda world: in_bin(world, FIRST), lambda world: gone(world, DELETED)), {"undead": 2}),
    ("a merge noticed", do(lambda world: in_bin(world, FIRST), lambda world: gone(world, MERGED)), {}),
    ("a tombstone that outlives the bin",
     do(lambda world: gone(world, DELETED), lambda world: world.org_cases.pop()), {}),
    ("a purge unnoticed", lambda world: world.org_cases.pop(), {"foreign": 3}),
    ("a moved message", told("messages", ticket=SECOND), {"stale": 1}),
    ("a message from somebody else", told("messages", author="005000000000001AAA"), {"stale": 1}),
    ("a message to nobody", told("messages", direction="internal"), {"stale": 1}),
    ("a message for other eyes", told("messages", public=False), {"stale": 1}),
    ("a message of another length", told("messages", characters=4), {"stale": 1}),
    ("a message that is called an event", told("messages", kind="event"), {"stale": 1}),
    ("a message at another time", told("messages", sent_at=moment(LATER)), {"stale": 1}),
    ("a missing message", lambda world: world.messages.pop(), {"lost": 1}),
    ("a message of nobody", lambda world: (world.org_comments.pop(), world.comments.pop()), {"foreign": 1, "stale": 1}),
    ("a wrong count of messages", put("tickets", 0, spoken=(3, 1, moment(SPOKE))), {"stale": 1}),
    ("a wrong count of the customer's messages", put("tickets", 0, spoken=(2, 2, moment(SPOKE))), {"stale": 1}),
    ("a wrong time of the last message", put("tickets", 0, spoken=(2, 1, moment(LATER))), {"stale": 1}),
    ("a wrong time of the last activity", put("tickets", 0, last_activity=moment(AT)), {"stale": 1}),
    ("a missing ticket", lambda world: world.tickets.pop(), {"lost": 1}),
    ("a ticket's column", put("tickets", 1, columns=columns("New")), {"stale": 1}),
    ("a live ticket that went elsewhere", put("tickets", 1, merged_into=FIRST), {"stale": 1}),
    ("a merged ticket that went nowhere",
     do(lambda world: in_bin(world, FIRST), lambda world: gone(world, MERGED), put("tickets", 1, merged_into=None)),
     {"undead": 1}),
    ("a ticket that is gone for another reason",
     do(in_bin, lambda world: gone(world, DELETED), put("tickets", 1, reason=PURGED)), {"undead": 1}),
    ("a shell of nothing",
     lambda world: world.tickets.append(Ticket(THIRD, STUB, None, None, (0, 0, None), None, ())), {"foreign": 1}),
    ("a facet's value", facet(channel=("Mail", None, None)), {"stale": 1}),
    ("a facet's number", facet(worth=(None, None, 12)), {"stale": 1}),
    ("a facet too many", facet(other=("x", None, None)), {"stale": 1}),
    ("a facet of a field that is out of sight", lambda world: hide(world, "Amount"), {"stale": 1}),
    ("no facet of a field that is out of sight",
     lambda world: (hide(world, "Amount"), world.facets[0].values.pop("worth")), {}),
    ("no facets", lambda world: world.facets.pop(0), {"stale": 3}),
    ("a facet over a lookup whose end changed later",
     do(facet(owner=("Bo", None, None)), lambda world: setattr(world, "owner_stamp", LATER)), {}),
    ("a facet over a lookup whose end did not change", facet(owner=("Bo", None, None)), {"stale": 1}),
    ("a ticket that is gone and can be found",
     do(in_bin, lambda world: gone(world, DELETED),
        lambda world: world.facets.append(Facets(SECOND, {"owner": ("Ada", None, None)}))), {"undead": 1}),
    ("a person's account", put("people", 0, own="001000000000001AAA"), {"stale": 1}),
    ("a person's address", put("people", 0, email_token=KEYS[THEIRS].email_token("bo@example.com")), {"stale": 1}),
    ("a missing person", lambda world: world.people.pop(), {"lost": 1}),
    ("a person of nobody", lambda world: (world.org_contacts.pop(), world.contacts.pop()), {"foreign": 1}),
    ("a person in the bin",
     do(lambda world: world.org_contacts[0].update(deleted=True),
        put("contacts", 0, state=TOMBSTONE, reason=DELETED, payload=None, hash=None)), {"undead": 1}),
    ("words that nobody said", lambda world: world.org_entries.pop(), {"foreign": 2, "stale": 1}),
    ("words that were not heard", lambda world: (world.entries.pop(), world.spoken.pop()), {"lost": 2}),
    ("words that another object tells, and that were not asked for",
     lambda world: (world.org_entries[0].update(optional=True), world.entries.pop(), world.spoken.pop(),
                    put("tickets", 0, spoken=(1, 0, moment(STAMP)), last_activity=moment(STAMP))(world)), {}),
    ("words in another mouth", told("spoken", direction="outbound"), {"stale": 1}),
    ("a linked value of a document that changed later",
     do(lambda world: world.links.__setitem__(0, row(LINK, SHARED, ["Old", DOCUMENT, SECOND, STAMP])),
        lambda world: setattr(world, "document_stamp", LATER)), {"stale": 1}),
    ("another body", lambda world: setattr(world, "body", b"Other byte"), {"stale": 1}),
    ("a damaged chunk", put("chunks", 0, body=damaged(chunk(0, BODY[:4]).body)), {"stale": 1}),
    ("a chunk of another file", put("chunks", 0, body=chunk(0, BODY[:4], key=OTHER).body), {"stale": 1}),
    ("a chunk of another tenant", put("chunks", 0, body=chunk(0, BODY[:4], tenant=THEIRS).body), {"stale": 1}),
    ("chunks in another order",
     do(put("chunks", 0, body=chunk(1, BODY[4:]).body), put("chunks", 1, body=chunk(0, BODY[:4]).body)), {"stale": 1}),
    ("a missing chunk", lambda world: world.chunks.pop(), {"stale": 1}),
    ("no chunk at all", lambda world: world.chunks.clear(), {"stale": 1}),
    ("a chunk too many", lambda world: world.chunks.append(chunk(2, b"!")), {"stale": 1}),
    ("chunks of another load", lambda world: world.chunks.append(chunk(0, BODY, load=OURS)), {"undead": 1}),
    ("chunks of no file", lambda world: world.chunks.append(chunk(0, BODY, key=OTHER)), {"undead": 1}),
    ("a wrong digest", put("files", 0, digest=digest(b"Other byte")), {"stale": 1}),
    ("a wrong length", put("files", 0, bytes=3), {"stale": 1}),
    ("a file that is not known", lambda world: world.files.pop(1), {"lost": 1}),
    ("a body still to come",
     do(put("files", 0, state=WANTED, load=None, place=None, chunks=None), lambda world: world.chunks.clear()), {"lost": 1}),
    ("a body given up", do(put("files", 0, state=NOT_THERE, reason="failed", load=None), lambda world: world.chunks.clear()),
     {"lost": 1}),
    ("a body that the org does not give",
     do(put("files", 0, state=NOT_THERE, reason="not_found", load=None), lambda world: world.chunks.clear(),
        lambda world: setattr(world, "body", None)), {}),
    ("a body left out for another reason", put("files", 1, reason="too_large"), {"stale": 1}),
    ("a body kept against the policy", put("files", 1, state=STORED, reason=None, load=LOAD, place="objects"), {"stale": 1}),
    ("a file that nobody names",
     lambda world: world.files.append(File("00P000000000009AAA", "Attachment", "Body", LEFT_OUT, "too_large", *[None] * 5)),
     {"undead": 1}),
    ("a deleted file that is kept",
     do(lambda world: world.org_attachments[0].update(deleted=True), put("named", 0, state=TOMBSTONE),
        put("attachments", 0, state=TOMBSTONE, reason=DELETED, payload=None, hash=None)), {"undead": 1}),
    ("a ticket whose time is over, and which is here", over, {"undead": 2}),
    ("a ticket whose time is over, and which is not here", do(over, let_go), {}),
    ("facets of a ticket whose time is over",
     do(over, let_go, lambda world: world.facets.append(Facets(SECOND, {"owner": ("Ada", None, None)}))), {"undead": 1}),
    ("an item of a ticket whose time is over",
     do(over, let_go, lambda world: world.shown.append(Message(SHARED, LIVE, item(SECOND, "file", "internal", 4)))),
     {"undead": 1}),
    ("a ticket that was let go too early", let_go, {"lost": 4, "stale": 1}),
    ("a ticket whose last hour it is", lambda world: over(world, None), {}),
    ("a ticket that is let go in its last hour", do(lambda world: over(world, None), let_go), {}),
    ("a ticket that was let go, and is in the bin since",
     do(let_go, in_bin, lambda world: world.org_links[0].update(deleted=True)), {}),
    ("an item that names another file", told("named", file=OTHER), {"stale": 1}),
]  # fmt: skip
VALUES = [
    ("datetime", REST, STAMP, True), ("datetime", REST, "2026-11-27T11:00:00.000+0100", True),
    ("datetime", REST, "2026-11-27T10:00:00.001Z", False), ("text", "", None, True), ("text", " ", None, False),
    ("text", "007", "7", False), ("boolean", False, None, False), ("boolean", True, 1, False),
    ("any_type", True, "true", True), ("any_type", 47, "47", True), ("time", "10:00:00.000Z", "10:00:00Z", True),
    ("date", "2026-11-27", "2026-11-28", False),
]  # fmt: skip
PNG = {"Name": "a.png", "BodyLength": 2 << 20, "ContentType": "IMAGE/PNG; q=1"}
# A policy, what a record says of its file, and why the body is left out.
POLICIES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, PNG, ""), ({"bodies": False}, PNG, "no_bodies"), ({"most_mb": 1}, PNG, "too_large"), ({"most_mb": 2}, PNG, ""),
    ({"never": ["image/*"]}, PNG, "type_not_kept"), ({"only": [".PNG"]}, PNG, ""), ({"only": [".pdf"]}, PNG, "type_not_kept"),
    ({"never": ["image/jpeg"]}, PNG, ""), ({}, {}, ""), ({"only": ["image/*"]}, {"Name": "a.png"}, "type_not_kept"),
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
    for policy, facts, expected in POLICIES:
        if left_out(policy, RULES["Attachment"].body, facts.get) != expected:  # type: ignore[arg-type]
            failed += 1
            print(f"FAILED {policy} and {facts}: should be {expected or 'kept'}")
    for kind, one, other, equal in VALUES:
        if same(kind, one, other) != equal:
            failed += 1
            print(f"FAILED {kind}: {one!r} and {other!r} should {'be' if equal else 'not be'} the same")
    number = len(CASES) + len(POLICIES) + len(VALUES)
    print(f"self-test: {number - failed} of {number} hold")
    return 1 if failed else 0
