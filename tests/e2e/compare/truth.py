"""The simulator's ground truth: an org's records at a moment, and what a lookup leads to."""

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

from rest import Rest
from values import JSON

# Where lookups lead that any object is read through; a name that is not here may lead anywhere.
LEADS_TO = {
    "Account": ("Account",),
    "Actor": ("ConversationParticipant", "MessagingEndUser", "User"),
    "Contact": ("Contact",),
    "ContentDocument": ("ContentDocument",),
    "Conversation": ("Conversation",),
    "CreatedBy": ("User",),
    "LastModifiedBy": ("User",),
    "Manager": ("User",),
    "Owner": ("User", "Group"),
    "Profile": ("Profile",),
    "RecordType": ("RecordType",),
    "User": ("User",),
    "Who": ("Contact",),
    "What": ("Account", "Case", "Escalation__c"),
}
# What a record goes by where it has no field Name.
NAMES = ("Name", "CaseNumber", "Subject")
# Copies of a parent's value: they follow it without a stamp of the record's own.
MIRRORS = {
    ("Case", "ContactPhone"): "Contact.Phone",
    ("Case", "ContactMobile"): "Contact.MobilePhone",
    ("Case", "ContactEmail"): "Contact.Email",
    ("Case", "ContactFax"): "Contact.Fax",
    ("Case", "Account_Name__c"): "Account.Name",
    ("Case", "CreatorName"): "CreatedBy.Name",
    ("CaseComment", "CreatorName"): "CreatedBy.Name",
}


class Org:
    """An org of a simulator, by its control API."""

    def __init__(self, control: str, org_id: str, ca: str = "") -> None:
        self.control, self.id, self.ca = control.rstrip("/"), org_id, ca
        self.base = f"{self.control}/orgs/{org_id}"
        self._rest: Rest | None = None

    def rest(self) -> Rest:
        """The org's own APIs."""
        if self._rest is None:
            with urllib.request.urlopen(f"{self.control}/orgs", timeout=60) as answer:
                entries = json.load(answer)
            self._rest = Rest(next(one for one in entries if one["org_id"] == self.id), self.ca)
        return self._rest

    def sizes(self) -> dict[str, int]:
        """How many records each of its objects has, deleted ones included."""
        return {name: count["live"] + count["deleted"] for name, count in self.get("truth")["objects"].items()}

    def get(self, path: str) -> Any:
        """An answer of the control API."""
        with urllib.request.urlopen(f"{self.base}/{path}", timeout=120) as answer:
            return json.load(answer)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Does something to the org."""
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}/{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def now(self) -> str:
        """The org's own time."""
        return self.get("truth")["now"]

    def records(self, name: str, at: str, user: str = "default") -> Iterator[dict[str, Any]]:
        """Each record of an object as that user saw it at that moment, in order of id."""
        query = urllib.parse.urlencode({"at": at, "user": user})
        with urllib.request.urlopen(f"{self.base}/truth/{name}?{query}", timeout=600) as answer:
            for line in answer:
                # A cut-off answer ends in half a line, which is no JSON.
                yield JSON.decode(line.decode())


class Parent(NamedTuple):
    """What is kept of a record that others look up to."""

    kind: str
    deleted: bool
    stamp: str
    values: dict[str, Any]


class Linked(NamedTuple):
    """What the value at the end of a path should be, and when a record on the way changed last."""

    value: Any
    changed: str | None


class Parents:
    """The upper ends of lookups."""

    def __init__(self, paths: set[str]) -> None:
        self.found: dict[str, Parent] = {}
        # Whether every change of a parent should show in its children by now.
        self.are_fresh = False
        self._wanted = set(NAMES)
        self.objects: set[str] = set()
        for path in paths | set(MIRRORS.values()):
            first, *rest = path.split(".")
            self.objects.update(LEADS_TO.get(first, ()))
            for step, last in zip(rest, [False] * (len(rest) - 1) + [True], strict=True):
                self.objects.update(() if last else LEADS_TO.get(step, ()))
                self._wanted.add(step if last else _field(step))

    def add(self, kind: str, record: dict[str, Any]) -> None:
        """Takes a record in."""
        values = {name: record["fields"].get(name) for name in self._wanted if name in record["fields"]}
        self.found[record["Id"]] = Parent(kind, record["deleted"], record["stamp"], values)

    def follow(self, child: dict[str, Any], path: str) -> Linked:
        """What this record should show at `path`. Somebody deleted is not shown, somebody purged is not known."""
        *steps, leaf = path.split(".")
        values, changed, at = child["fields"], child["stamp"], None
        for step in steps:
            target = values.get(_field(step))
            if target is None:
                return Linked(None, changed)
            at = self.found.get(target)
            if at is None:
                return Linked(None, None)
            changed = max(changed, at.stamp)
            if at.deleted:
                return Linked(None, changed)
            values = at.values
        if at is None:
            return Linked(values.get(leaf), changed)
        if leaf == "Type" and steps[-1] in ("Owner", "Who", "What", "Actor"):
            # A queue is a row of Group and says so only by its type.
            return Linked("Queue" if at.kind == "Group" else at.kind, changed)
        if leaf == "Name":
            return Linked(next((values[name] for name in NAMES if values.get(name)), None), changed)
        return Linked(values.get(leaf), changed)


def _field(step: str) -> str:
    """The field that holds the id behind a step of a path."""
    return f"{step[:-3]}__c" if step.endswith("__r") else f"{step}Id"
