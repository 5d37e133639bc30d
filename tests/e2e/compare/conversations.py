"""What the org's live records say of conversations, and what each ticket should therefore count."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from rules import TRANSCRIPTS, Body, Item


class Spoken(NamedTuple):
    """Messages, those of them from the customer, and when the last one was."""

    messages: int = 0
    inbound: int = 0
    last: datetime | None = None

    def __add__(self, other: "Spoken") -> "Spoken":  # type: ignore[override]
        times = [at for at in (self.last, other.last) if at is not None]
        return Spoken(self.messages + other.messages, self.inbound + other.inbound, max(times, default=None))


class Counted(NamedTuple):
    """What a live ticket here says of its conversation, and when its own record was active last, there."""

    spoken: Spoken
    last_activity: datetime | None
    record_at: datetime | None


@dataclass
class Said:
    """What the org's live records say of conversations; one object's, or several together."""

    # By the record that it was said to.
    spoken: dict[str, Spoken] = field(default_factory=dict)
    # Entries of sessions with and without words, by session and object: several objects may tell of one session.
    entries: dict[tuple[str, str, bool], Spoken] = field(default_factory=dict)
    # What a session, call or chat belongs to.
    holders: dict[str, str] = field(default_factory=dict)
    # What each live ticket here says of its conversation; None when there is none.
    tickets: dict[str, Counted | None] = field(default_factory=dict)
    # Tickets here of which the org knows nothing, waiting for their own record.
    shells: list[str] = field(default_factory=list)
    # Whatever a live item belongs to.
    named: set[str] = field(default_factory=set)
    # Files that live items name, and why their bodies are not kept; an empty word where they are.
    files: dict[str, tuple[Body, str]] = field(default_factory=dict)

    def add(self, key: str, name: str, item: Item) -> None:
        """Takes in one live item."""
        self.named.add(item.ticket)
        if item.holds and item.kind != "email":
            self.holders[key] = item.ticket
        if item.kind in ("event", "file"):
            return
        one = Spoken(1, int(item.direction == "inbound"), item.sent_at)
        if item.kind == "entry":
            told = (item.ticket, name, item.characters > 0)
            self.entries[told] = self.entries.get(told, Spoken()) + one
            return
        self.spoken[item.ticket] = self.spoken.get(item.ticket, Spoken()) + one

    def merge(self, other: "Said") -> None:
        """Takes in those of another object."""
        for target, spoken in other.spoken.items():
            self.spoken[target] = self.spoken.get(target, Spoken()) + spoken
        self.entries |= other.entries
        self.holders |= other.holders
        self.tickets |= other.tickets
        self.shells += other.shells
        self.named |= other.named
        self.files |= other.files

    def expected(self) -> dict[str, Spoken]:
        """What each record should count: what was said to it, and to what belongs to it. Of what two objects tell, that
        without words gives way, and a transcript to what else tells."""
        tellers: dict[str, set[str]] = {}
        for target, name, has_words in self.entries:
            if has_words:
                tellers.setdefault(target, set()).add(name)
        found = dict(self.spoken)
        for (target, name, has_words), spoken in self.entries.items():
            others = tellers.get(target, set()) - {name}
            if not others or (has_words and name != TRANSCRIPTS):
                found[target] = found.get(target, Spoken()) + spoken
        own = dict(found)
        for holder, target in self.holders.items():
            if holder in own:
                found[target] = found.get(target, Spoken()) + own[holder]
        return found


def judge_tickets(said: Said) -> Iterable[tuple[str, str, str]]:
    """Verdict, ticket and reason of each ticket that counts wrong."""
    expected = said.expected()
    for ticket, counted in said.tickets.items():
        if counted is None:
            continue
        here, there = counted.spoken, expected.get(ticket, Spoken())
        times = [at for at in (counted.record_at, there.last) if at is not None]
        if here.messages != there.messages:
            yield "stale", ticket, f"counts {here.messages} messages, {there.messages} there"
        elif here.inbound != there.inbound:
            yield "stale", ticket, f"counts {here.inbound} messages of the customer, {there.inbound} there"
        elif here.last != there.last:
            yield "stale", ticket, "another time of the last message"
        elif counted.last_activity != max(times, default=None):
            yield "stale", ticket, "another time of the last activity"
    for shell in said.shells:
        if shell not in said.named:
            yield "foreign", shell, "a ticket of which the org knows nothing, waiting without an item"
