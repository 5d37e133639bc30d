"""Edits of an org while it is being read: the life of a support desk, by the simulator's control API."""

import argparse
import base64
import itertools
import random
import threading
import time
import urllib.error
import uuid
from collections import Counter
from typing import Any

from truth import Org

SAMPLE = 3_000
# What is put into the bin and taken out of it.
BINNED = (
    "Case", "CaseComment", "Contact", "EmailMessage", "FeedComment", "LiveChatTranscript", "MessagingSession", "Task",
    "VoiceCall", "Escalation__c", "Account", "Attachment", "ContentDocument",
)  # fmt: skip
# Lengths of bodies of files: mostly small; some larger than a strict policy keeps, some sealed in more than one piece.
SMALL, LARGE, LARGEST = 3_000, 1_300_000, 4_500_000
ENDINGS = (("pdf", "application/pdf"), ("png", "image/png"), ("log", "text/plain"))
# Items that may go to another ticket, and the field that says to which.
MOVED = (("LiveChatTranscript", "CaseId"), ("MessagingSession", "CaseId"), ("EmailMessage", "ParentId"))
# Texts that people correct.
REWORDED = (("CaseComment", "CommentBody"), ("FeedComment", "CommentBody"), ("VoiceCall", "Description"))
MERGED = ("Case", "Contact", "Account")
PAUSE_S = 0.2


class Life(threading.Thread):
    """Edits an org until it is told to stop. What is done is chosen by the seed. A commit shows up to `late` seconds
    after it is stamped, which must be less than the overlap of windows."""

    def __init__(self, org: Org, phase: str, given: argparse.Namespace, ids: dict[str, list[str]]) -> None:
        super().__init__(daemon=True)
        self.org, self.phase, self.each, self.late, self.ids = org, phase, given.edits, given.late, ids
        self.random = random.Random(f"{given.seed}-{org.base}-{phase}")
        self.done: Counter = Counter()
        self.binned: list[tuple[str, str]] = []
        self.failed: Exception | None = None
        self._stopping, self._latest = threading.Event(), 0.0

    def stop(self) -> None:
        """Lets the last edit begin."""
        self._stopping.set()

    def end(self) -> None:
        """Waits for the last edit. What commits late has committed by then."""
        self.join()
        if self.failed:
            raise self.failed
        time.sleep(max(0.0, self._latest - time.monotonic()))

    def run(self) -> None:
        """Edits until the end."""
        try:
            while not self._stopping.wait(PAUSE_S):
                self.ordinary()
                getattr(self, self.phase)()
        except Exception as error:  # noqa: BLE001 - told by `stop`, in the main thread
            self.failed = error

    def post(self, what: str, path: str, body: dict[str, Any]) -> Any:
        """One call. What is gone already cannot be changed again, which is no mistake."""
        try:
            answer = self.org.post(path, body)
        except urllib.error.HTTPError as error:
            if error.code not in (400, 404):
                raise
            self.done[f"{what} refused"] += 1
            return None
        self.done[what] += 1
        return answer

    def one(self, name: str) -> str | None:
        """The id of some record."""
        return self.random.choice(self.ids[name]) if self.ids.get(name) else None

    def ordinary(self) -> None:
        """Cases, replies, status changes, deletions; and a comment that commits later than it is stamped."""
        edited = self.post("edits", "edits", {"count": self.each, "seed": self.random.randrange(2**32)})
        for counts in (edited or {}).values():
            self.done["records"] += sum(counts.values())
        case = self.one("Case")
        if case and self.random.random() < 0.3:
            fields = {"ParentId": case, "CommentBody": "Committed late."}
            delay = self.random.randrange(int(self.late * 1000))
            self._latest = max(self._latest, time.monotonic() + delay / 1000 + PAUSE_S)
            self.post("late", "records", {"object": "CaseComment", "fields": fields, "commit_delay_ms": delay})

    def load(self) -> None:
        """Nothing beside the ordinary."""

    def body(self) -> str:
        """The body of a file, as the control API takes it."""
        chance = self.random.random()
        size = LARGEST if chance < 0.02 else LARGE if chance < 0.06 else self.random.randrange(SMALL)
        return base64.b64encode(self.random.randbytes(size)).decode()

    def files(self) -> None:
        """Files come, change, and get new versions."""
        case, ending = self.one("Case"), self.random.choice(ENDINGS)
        name, body = f"{self.random.randrange(10**6)}.{ending[0]}", self.body()
        kind = self.random.randrange(4)
        if kind == 0 and case:
            fields = {"ParentId": case, "Name": name, "ContentType": ending[1], "Body": body}
            self.post("attached", "records", {"object": "Attachment", "fields": fields})
        elif kind == 1 and (attachment := self.one("Attachment")):
            self.post("attached anew", f"records/Attachment/{attachment}", {"fields": {"Body": body}})
        elif kind > 1 and case:
            document = self.one("ContentDocument") if kind == 2 else None
            place = {"ContentDocumentId": document} if document else {"FirstPublishLocationId": case}
            fields = {
                "Title": name[:-4],
                "PathOnClient": name,
                "FileExtension": ending[0],
                "VersionData": body,
                **place,
            }
            self.post("versions", "records", {"object": "ContentVersion", "fields": fields})

    def talk(self) -> None:
        """Somebody chats in an enhanced channel until the session ends."""
        case, identifier = self.one("Case"), str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        new = {"object": "Conversation", "fields": {"ConversationIdentifier": identifier}}
        conversation = case and self.post("talks", "records", new)
        if not conversation:
            return
        fields = {"CaseId": case, "ConversationId": conversation["id"], "Status": "Active"}
        session = self.org.post("records", {"object": "MessagingSession", "fields": fields})["id"]
        for place in range(self.random.randrange(1, 4)):
            said = {"text": f"Word {place}", "by_agent": place % 2 == 1, "related": session}
            self.org.post(f"conversations/{identifier}/entries", said)
            # The simulator names what is said by its millisecond.
            time.sleep(0.002)
        ended = {"Status": "Ended", "EndTime": self.org.now()}
        self.org.post(f"records/MessagingSession/{session}", {"fields": ended})

    def edits(self) -> None:
        """Items go to another ticket, texts are corrected, files and sessions come, and many rows get one stamp."""
        self.files()
        if self.random.random() < 0.2:
            self.talk()
        name, field = self.random.choice(MOVED)
        item, case = self.one(name), self.one("Case")
        if item and case:
            self.post("moved", f"records/{name}/{item}", {"fields": {field: case}})
        name, field = self.random.choice(REWORDED)
        if item := self.one(name):
            text = f"Corrected, {self.random.randrange(10**6)}."
            self.post("reworded", f"records/{name}/{item}", {"fields": {field: text}})
        if self.random.random() < 0.02:
            body = {"object": "Case", "count": 50, "fields": {"Priority": self.random.choice(["High", "Low"])}}
            self.post("mass updates", "mass-update", body)

    def deletes(self) -> None:
        """Into the bin and out of it."""
        name = self.random.choice(BINNED)
        record = self.one(name)
        if record and self.post("deleted", f"records/{name}/{record}/delete", {}) is not None:
            self.binned.append((name, record))
        if self.binned and self.random.random() < 0.5:
            name, record = self.binned.pop(self.random.randrange(len(self.binned)))
            self.post("undeleted", f"records/{name}/{record}/undelete", {})

    def merges(self) -> None:
        """Two records become one."""
        name = self.random.choice(MERGED)
        winner, loser = self.one(name), self.one(name)
        if winner and winner != loser:
            self.post("merged", "merge", {"object": name, "winner": winner, "losers": [loser]})

    def departures(self) -> None:
        """Deletions and merges together."""
        self.deletes()
        self.merges()

    def purges(self) -> None:
        """Gone for good: from the bin, and without having been there. Links go without a trace."""
        if link := self.one("ContentDocumentLink"):
            self.post("unlinked", f"records/ContentDocumentLink/{link}/delete", {})
        name = self.random.choice(BINNED)
        record = self.one(name)
        if record:
            if self.random.random() < 0.5:
                self.post("deleted", f"records/{name}/{record}/delete", {})
            self.post("purged", f"records/{name}/{record}/purge", {})


def some_ids(org: Org, seed: int, spared: set[str]) -> dict[str, list[str]]:
    """Ids of live records to be edited: of the first of each object, and of cases and contacts from everywhere."""
    chance, at = random.Random(seed), org.now()
    found: dict[str, list[str]] = {}
    touched = {"ContentDocumentLink", *BINNED, *MERGED, *(name for name, _ in MOVED + REWORDED)} - spared
    for name in touched & org.get("truth")["objects"].keys():
        live = (record["Id"] for record in org.records(name, at) if not record["deleted"])
        kept = found[name] = []
        for number, key in enumerate(live if name in ("Case", "Contact") else itertools.islice(live, SAMPLE)):
            if number < SAMPLE:
                kept.append(key)
            elif (place := chance.randrange(number)) < SAMPLE:
                kept[place] = key
    return {name: found[name] for name in sorted(found)}
