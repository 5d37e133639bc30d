"""Which record belongs to which ticket, when it was said, and what each ticket should therefore count.

Parents and times are the platform's own fields; what is a mere event is what the platform's documentation describes as
a notice of something that happened rather than something that somebody said.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from values import is_nothing, moment

NOTICES = {
    "TrackedChange", "CreateRecordEvent", "ChangeStatusPost", "ActivityEvent", "AttachArticleEvent", "ApprovalPost",
    "CaseCommentPost", "EmailMessageEvent", "CallLogPost", "ContentPost",
}  # fmt: skip


class Rule(NamedTuple):
    """Of an object whose records are items of conversations: the fields that may name whose, and when."""

    parents: tuple[str, ...]
    times: tuple[str, ...] = ("CreatedDate",)
    # The field and the values of those that are mere events; without a field, all or none are.
    event: tuple[str, frozenset[str]] | bool = False
    # Items of other objects belong to these, and through them to the ticket.
    holds: bool = False

    def target(self, fields: dict[str, Any], kinds: Iterable[str]) -> str | None:
        """The record it belongs to: the first that it names of a ticket's kind, or else the first it names."""
        named = [fields[name] for name in self.parents if not is_nothing(fields.get(name))]
        return next((one for one in named if one[:3] in kinds), named[0] if named else None)

    def is_event(self, fields: dict[str, Any]) -> bool:
        """Whether it is an event and no message."""
        if isinstance(self.event, bool):
            return self.event
        name, values = self.event
        return fields.get(name) in values

    def sent_at(self, fields: dict[str, Any]) -> datetime | None:
        """When it was said."""
        return next((moment(fields[name]) for name in self.times if not is_nothing(fields.get(name))), None)


RULES = {
    "CaseComment": Rule(("ParentId",)),
    "EmailMessage": Rule(("ParentId", "RelatedToId", "ActivityId"), ("MessageDate", "CreatedDate")),
    "CaseFeed": Rule(("ParentId",), event=("Type", frozenset(NOTICES))),
    "FeedComment": Rule(("ParentId", "FeedItemId")),
    "LiveChatTranscript": Rule(("CaseId",), ("StartTime", "RequestTime", "CreatedDate"), holds=True),
    "LiveChatTranscriptEvent": Rule(("LiveChatTranscriptId",), ("Time", "CreatedDate"), event=True),
    "MessagingSession": Rule(("CaseId",), ("StartTime", "CreatedDate"), event=True, holds=True),
    "ConversationEntry": Rule(
        ("ConversationId",),
        ("ServerReceivedTimestamp", "EntryTime", "CreatedDate"),
        event=("EntryType", frozenset({"TransferRequest", "ParticipantChanged", "RoutingResult"})),
    ),
    "VoiceCall": Rule(("RelatedRecordId", "ActivityId"), ("CallStartDateTime", "CreatedDate"), holds=True),
    "VoiceCallRecording": Rule(("VoiceCallId",), ("UploadDateTime", "CreatedDate"), event=True),
    "CaseHistory": Rule(("CaseId",), event=True),
}
# What the plain columns of a ticket are there, in their order.
TICKET_FIELDS = {
    "Case": (
        ("CaseNumber", "text"), ("Status", "text"), ("Priority", "text"), ("Origin", "text"), ("OwnerId", "text"),
        ("ContactId", "text"), ("CreatedDate", "datetime"), ("ClosedDate", "datetime"),
    ),
    "Task": (
        ("(none)", "text"), ("Status", "text"), ("Priority", "text"), ("TaskSubtype", "text"), ("OwnerId", "text"),
        ("WhoId", "text"), ("CreatedDate", "datetime"), ("CompletedDateTime", "datetime"),
    ),
}  # fmt: skip


def kinds_of_tickets() -> frozenset[str]:
    """First characters of the ids of what is a ticket: cases and tasks."""
    return frozenset({"500", "00T"})


Spoken = tuple[int, datetime | None]


@dataclass
class Said:
    """What the org's live records say of conversations; one object's, or several together."""

    # By the record that it was said to: how many messages, and when the last one was.
    spoken: dict[str, Spoken] = field(default_factory=dict)
    # What a session, call or chat belongs to.
    holders: dict[str, str] = field(default_factory=dict)
    # What each live ticket here says of its conversation; None when there is none.
    tickets: dict[str, Spoken | None] = field(default_factory=dict)
    # Tickets here of which the org knows nothing, waiting for their own record.
    shells: list[str] = field(default_factory=list)

    def add(self, key: str, target: str, sent_at: datetime | None, is_event: bool, holds: bool) -> None:
        """Takes in one live item."""
        if holds:
            self.holders[key] = target
        if not is_event:
            self.spoken[target] = together(self.spoken.get(target, (0, None)), (1, sent_at))

    def merge(self, other: "Said") -> None:
        """Takes in those of another object."""
        for target, spoken in other.spoken.items():
            self.spoken[target] = together(self.spoken.get(target, (0, None)), spoken)
        self.holders |= other.holders
        self.tickets |= other.tickets
        self.shells += other.shells

    def expected(self) -> dict[str, Spoken]:
        """What each record should count: what was said to it, and to what belongs to it."""
        found = dict(self.spoken)
        for holder, target in self.holders.items():
            if holder in self.spoken:
                found[target] = together(found.get(target, (0, None)), self.spoken[holder])
        return found


def together(one: Spoken, other: Spoken) -> Spoken:
    """Both counts, and the later time."""
    times = [at for at in (one[1], other[1]) if at is not None]
    return one[0] + other[0], max(times, default=None)


def judge_tickets(said: Said) -> Iterable[tuple[str, str, str]]:
    """Verdict, ticket and reason of each ticket that counts wrong."""
    expected = said.expected()
    for ticket, here in said.tickets.items():
        if here is None:
            continue
        there = expected.get(ticket, (0, None))
        if here[0] != there[0]:
            yield "stale", ticket, f"counts {here[0]} messages, {there[0]} there"
        elif here[1] != there[1]:
            yield "stale", ticket, "another time of the last message"
    for shell in said.shells:
        if shell not in expected:
            yield "foreign", shell, "a ticket of which the org knows nothing, waiting without a message"
