"""One object: the org's records and ours side by side in order of id, and what is said of each pair.

lost: live there, not live here. stale: live on both sides, but not the same. foreign: here, and not of this org or not
of this tenant. undead: deleted there, without a tombstone here that says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from conversations import Counted, Said, Spoken
from files import left_out
from people import facets_of, person_of
from report import Report
from retention import active_at
from rules import RULES, TICKET_FIELDS, Item, Rule, kinds_of_tickets
from sealed import DoesNotOpen, TenantKeys, record_row
from stored import LIVE, STUB, TOMBSTONE, Facets, Field, Message, Person, Row, Side, Sync, Ticket
from truth import MIRRORS, Parents
from values import JSON, digest, is_nothing, moment, same

# Moments of somebody looking, a convenience that can only be written, counters of logins: no change of the record.
UNREAD = {"LastViewedDate", "LastReferencedDate", "Comments", "LastLoginDate", "NumberOfFailedLogins"}
# Reasons of tombstones, and of a stub, as stored.
DELETED, MERGED, PURGED = 11, 12, 13
EXPIRED = 2


@dataclass
class Here:
    """What is stored of one object: each stream in order of id."""

    rows: Iterable[Row] = ()
    messages: Iterable[Message] = ()
    tickets: Iterable[Ticket] = ()
    people: Iterable[Person] = ()
    facets: Iterable[Facets] = ()


class Sides:
    """Its streams, taken as the org's ids come by."""

    def __init__(self, here: Here) -> None:
        self.rows, self.messages, self.tickets = Side(here.rows), Side(here.messages), Side(here.tickets)
        self.people, self.facets = Side(here.people), Side(here.facets)


class Judge:
    """Walks over one object."""

    def __init__(
        self,
        sync: Sync,
        keys: TenantKeys,
        connection: Any,
        sets: dict[int, list[Field]],
        parents: Parents,
        at: str,
        over: dict[str, bool | None] | None = None,
    ) -> None:
        self.sync, self.keys, self.connection = sync, keys, connection
        self.sets, self.parents = sets, parents
        self.names = {key: {one.path for one in fields} for key, fields in sets.items()}
        self.at = moment(at)
        self.report = Report(sync.name)
        self.said = Said()
        self.rule: Rule | None = RULES.get(sync.name)
        self.kinds = kinds_of_tickets()
        self.over = over or {}

    def walk(self, truths: Iterable[dict[str, Any]], here: Here) -> None:
        """Compares everything; the org's records are in order of id too."""
        sides = Sides(here)
        for truth in truths:
            key = truth["Id"]
            self.not_there(sides, key)
            row, item, head = sides.rows.take(key), sides.messages.take(key), sides.tickets.take(key)
            person, facets = sides.people.take(key), sides.facets.take(key)
            if row is None and item is None and truth.get("optional"):
                continue
            if row is not None and row.stamp > self.at:
                self.report.counts["ahead"] += 1
                continue
            if (is_over := self.is_over(truth)) is not False:
                if is_over:
                    self.expired(truth, row, item, head, facets)
                continue
            self.record(truth, row)
            self.item(truth, row, item)
            self.ticket(truth, head)
            self.facets(truth, facets)
            self.person(truth, row, person)
        self.not_there(sides, None)

    def is_over(self, truth: dict[str, Any]) -> bool | None:
        """Whether the time of the ticket is over that a record is, or belongs to."""
        if self.sync.role == "ticket":
            return self.over.get(truth["Id"], False)
        target = self.rule and self.rule.target(truth["fields"], self.kinds)
        return self.over.get(target, False) if target else False

    def expired(
        self, truth: dict[str, Any], row: Row | None, item: Message | None, head: Ticket | None, facets: Facets | None
    ) -> None:
        """Of a ticket whose time is over nothing is here that says anything."""
        self.report.counts["expired"] += 1
        kept = [
            what
            for what, here in (("record", row), ("item", item), ("ticket", head))
            if here is not None and here.state == LIVE
        ]
        if facets is not None:
            kept.append("facets")
        if kept:
            self.report.note("undead", truth["Id"], f"its ticket's time is over, and here: {', '.join(kept)}")

    def not_there(self, sides: Sides, key: str | None) -> None:
        """Rows before an id of which the org knows nothing. A tombstone outlives the recycle bin."""
        for row in sides.rows.before(key):
            if row.stamp > self.at:
                self.report.counts["ahead"] += 1
            elif row.state == TOMBSTONE:
                self.report.counts["purged"] += 1
            else:
                self.report.note("foreign", row.id, "here, and nothing of this id in the org")
        for item in sides.messages.before(key):
            if item.state == LIVE:
                self.report.note("foreign", item.id, "an item of a conversation, and nothing of this id in the org")
        for head in sides.tickets.before(key):
            if head.state == LIVE:
                self.report.note("foreign", head.id, "a ticket, and nothing of this id in the org")
            elif head.state == STUB:
                self.said.shells.append(head.id)
        for person in sides.people.before(key):
            if person.state == LIVE:
                self.report.note("foreign", person.id, "a person, and nothing of this id in the org")
        for facets in sides.facets.before(key):
            self.report.note("foreign", facets.id, "a ticket can be found by values, and is not in the org")

    def record(self, truth: dict[str, Any], row: Row | None) -> None:
        """One record of the org and its row."""
        counts, key = self.report.counts, truth["Id"]
        counts["there_deleted" if truth["deleted"] else "there"] += 1
        if row is None:
            what = "in the recycle bin, unknown here" if truth["deleted"] else "no row here"
            self.report.note("undead" if truth["deleted"] else "lost", key, what)
        elif truth["deleted"]:
            self.deleted(truth, row)
        elif row.state == LIVE:
            counts["here"] += 1
            self.live(truth, row)
        else:
            self.report.note(
                "lost", key, f"{'a tombstone' if row.state == TOMBSTONE else 'a stub'}, reason {row.reason}"
            )

    def deleted(self, truth: dict[str, Any], row: Row) -> None:
        """A record in the recycle bin should be a tombstone that says why."""
        merged = not is_nothing(truth["fields"].get("MasterRecordId"))
        if row.state == TOMBSTONE:
            self.report.counts["tombstones"] += 1
            if row.reason != (MERGED if merged else DELETED):
                self.report.note("undead", row.id, f"reason {row.reason}, {'merged' if merged else 'deleted'} there")
            elif row.stamp != self.stamp(truth):
                self.report.note("undead", row.id, "the tombstone has another stamp")
        elif row.state == STUB and row.reason == EXPIRED:
            self.report.counts["expired"] += 1
        elif self.went_along(truth):
            self.report.counts["hidden"] += 1
        else:
            self.report.note("undead", row.id, "in the recycle bin, live here")

    def stamp(self, truth: dict[str, Any]) -> Any:
        """The value that orders a record's versions."""
        return moment(truth["fields"].get(self.sync.cursor))

    def went_along(self, truth: dict[str, Any]) -> bool:
        """Whether a deletion moved no stamp that can be asked for, and what the record belongs to is gone as well."""
        if self.sync.cursor in ("SystemModstamp", "LastModifiedDate") or self.rule is None:
            return False
        above = self.parents.found.get(self.rule.target(truth["fields"], self.kinds) or "")
        return above is None or above.deleted

    def live(self, truth: dict[str, Any], row: Row) -> None:
        """A record that is live on both sides: its payload opens here, and says what the org says."""
        fields = self.sets.get(row.field_set)
        try:
            canonical = self.keys.record(record_row(self.connection, self.sync.object_id, row.id), row.payload or b"")
        except DoesNotOpen as error:
            self.report.note("foreign", row.id, f"does not open for this tenant: {error}")
            return
        values = JSON.decode(canonical.decode())
        if fields is None or len(values) != len(fields):
            self.report.note("stale", row.id, f"does not fit its field set {row.field_set}")
            return
        wrong = [*self.plain(truth, row, fields, values)]
        if row.stamp != self.stamp(truth):
            wrong.append(f"({self.sync.cursor}, by which it is ordered)")
        if self.keys.content_hash(canonical) != row.hash:
            wrong.append("(content hash)")
        if wrong:
            self.report.note("stale", row.id, ", ".join(wrong))

    def plain(self, truth: dict[str, Any], row: Row, fields: list[Field], values: list[Any]) -> Iterable[str]:
        """The paths whose values differ, with digests of both."""
        there = truth["fields"]
        self.report.counts["values"] += len(fields)
        # Most values are spelt alike; only the others are looked at one by one.
        unlike = [
            (path, kind, value, here)
            for (path, kind), here in zip(fields, values, strict=True)
            if (value := there.get(path)) != here or value.__class__ is not here.__class__ or "." in path
        ]
        for path, kind, own, here in unlike:
            if self.is_lost(path, there):
                self.report.counts["masked"] += 1
                continue
            is_linked = "." in path
            value = self.parents.follow(truth, path).value if is_linked else own
            if not same(kind, value, here) and not self.drifted(truth, path, is_linked):
                yield f"{path} ({digest(value)} there, {digest(here)} here)"
        for name in there.keys() - self.names[row.field_set] - UNREAD:
            value = there[name]
            # Compounds are read by their parts, and the bodies of files by a call of their own.
            is_body = isinstance(value, str) and value.startswith("/services/data/") and value.endswith(name)
            if not (isinstance(value, dict) or is_body or is_nothing(value)):
                yield f"{name} (not read)"

    def is_lost(self, path: str, there: dict[str, Any]) -> bool:
        """Whether a field is out of sight there, and read no more: what is kept of it is shown to nobody."""
        now = self.names.get(self.sync.field_set or 0)
        return now is not None and path not in now and path not in there and "." not in path

    def drifted(self, truth: dict[str, Any], path: str, is_linked: bool) -> bool:
        """Whether a value over a lookup may be older: its end changed later, which stamps no child. Links to a document
        are read again with it."""
        if path.startswith("ContentDocument.") and path.count(".") == 1:
            return False
        over = path if is_linked else MIRRORS.get((self.sync.name, path))
        if over is None:
            return False
        if self.parents.are_fresh:
            return False
        changed = self.parents.follow(truth, over).changed
        is_later = changed is None or moment(changed) > self.stamp(truth)
        self.report.counts["drifted"] += is_later
        return is_later

    def value(self, truth: dict[str, Any], path: str) -> Any:
        """The org's value at a path."""
        if path == "Id":
            return truth["Id"]
        return self.parents.follow(truth, path).value if "." in path else truth["fields"].get(path)

    def item(self, truth: dict[str, Any], row: Row | None, here: Message | None) -> None:
        """A record that is part of a conversation: whose, and what is said of it."""
        if self.rule is None:
            return
        target = None if truth["deleted"] else self.rule.target(truth["fields"], self.kinds)
        if truth["deleted"] and row is not None and row.state == LIVE:
            return
        if target is None:
            if here is not None and here.state == LIVE:
                self.report.note("foreign", here.id, "a live item of a conversation, of no live record with a parent")
            return
        value = lambda path: self.value(truth, path)  # noqa: E731
        item = self.rule.item(target, value, truth["stamp"])
        self.said.add(truth["Id"], self.sync.name, item)
        self.report.counts["items"] += 1
        if self.rule.body and item.file:
            reason = left_out(self.sync.settings.get("files", {}), self.rule.body, value)
            self.said.files[item.file] = (self.rule.body, reason)
        if here is None or here.state != LIVE:
            self.report.note("lost", truth["Id"], "no live item of a conversation")
            return
        unlike = [name for name, there, ours in zip(Item._fields, item, here.item, strict=True) if there != ours]
        if unlike == ["ticket"]:
            self.report.note("stale", here.id, f"an item of {here.item[0]}, of {target} there")
        elif unlike:
            self.report.note("stale", here.id, f"an item with another {', '.join(unlike)}")

    def ticket(self, truth: dict[str, Any], head: Ticket | None) -> None:
        """A record that is a ticket: it is shown, with the org's own values in its columns."""
        if self.sync.role != "ticket":
            return
        key, fields = truth["Id"], truth["fields"]
        if truth["deleted"]:
            master = fields.get("MasterRecordId") or None
            if head is not None and head.state != TOMBSTONE:
                self.report.note("undead", key, "a ticket, in the recycle bin there")
            elif head is not None and head.reason == EXPIRED:
                return
            elif head is not None and (head.reason, head.merged_into) != (MERGED if master else DELETED, master):
                self.report.note("undead", key, "a ticket that is gone for another reason, or went elsewhere")
            return
        columns, active = TICKET_FIELDS.get(self.sync.name, ()), active_at(self.sync.name, truth)
        self.said.tickets[key] = None if head is None else Counted(Spoken(*head.spoken), head.last_activity, active)
        if head is None or head.state != LIVE:
            self.report.note("lost", key, "no live ticket")
            return
        if head.merged_into is not None:
            self.report.note("stale", key, "a live ticket that went elsewhere")
        for (name, kind), here in zip(columns, head.columns, strict=False):
            there = fields.get(name)
            if (moment(there) != here) if kind == "datetime" else not same("text", there, here):
                self.report.note("stale", key, f"the ticket's {name}")

    def facets(self, truth: dict[str, Any], here: Facets | None) -> None:
        """What a ticket is filtered by; nothing once it is gone."""
        if self.sync.role != "ticket":
            return
        wanted = self.sync.settings.get("facets", [])
        there = {} if truth["deleted"] else facets_of(wanted, lambda path: self.value(truth, path))
        ours = {} if here is None else here.values
        self.report.counts["facets"] += len(there)
        paths = {one["name"]: one["path"] for one in wanted}
        for name in sorted(there.keys() | ours.keys()):
            path = paths.get(name, "")
            if self.is_lost(path, truth["fields"]):
                self.report.counts["masked"] += 1
                if name in ours:
                    self.report.note("stale", truth["Id"], f"found by {name}, which is out of sight")
                continue
            if there.get(name) != ours.get(name) and not (ours and self.drifted(truth, path, "." in path)):
                self.report.note("undead" if truth["deleted"] else "stale", truth["Id"], f"found by another {name}")

    def person(self, truth: dict[str, Any], row: Row | None, here: Person | None) -> None:
        """A record that is an agent or a customer."""
        there = person_of(self.sync.name, truth["fields"], self.keys)
        if there is None:
            return
        if truth["deleted"]:
            if here is not None and here.state == LIVE and not (row is not None and row.state == LIVE):
                self.report.note("undead", here.id, "a person, in the recycle bin there")
            return
        self.report.counts["people"] += 1
        if here is None or here.state != LIVE:
            self.report.note("lost", truth["Id"], "no live person")
        elif here.own != there.own:
            self.report.note("stale", here.id, "a person who works, or of another account")
        elif here.email_token != there.email_token:
            self.report.note("stale", here.id, "a person with another address")
