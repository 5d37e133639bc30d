"""What the records of each object say as items of conversations and as tickets.

Parents, times, authors and directions are the platform's own fields; what is a mere event is what the platform's
documentation describes as a notice of something that happened rather than something that somebody said.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from values import as_text, is_nothing, moment

NOTICES = {
    "TrackedChange", "CreateRecordEvent", "ChangeStatusPost", "ActivityEvent", "AttachArticleEvent", "ApprovalPost",
    "CaseCommentPost", "EmailMessageEvent", "CallLogPost", "ContentPost",
}  # fmt: skip
TRANSCRIPTS = "ConversationTranscript"
# What a record id looks like, short or long.
RECORD_ID = re.compile(r"[0-9A-Za-z]{15}(?:[A-Z0-5]{3})?")
# The value of a record at a path.
Value = Callable[[str], Any]
# A field, and the texts of its value for which something holds.
When = tuple[str, frozenset[str]]


class Body(NamedTuple):
    """Where the body of the file is that an item stands for, and what the item says of it."""

    object: str
    field: str
    id: str
    name: str
    bytes: str
    media_type: str = ""
    extension: str = ""


class Item(NamedTuple):
    """What an item of a conversation should be."""

    ticket: str
    kind: str
    sent_at: datetime | None
    direction: str
    public: bool
    author: str | None
    characters: int
    same_as: str | None
    holds: bool
    file: str | None


class Rule(NamedTuple):
    """Of an object whose records are items of conversations: what they say of whose they are, and what was said."""

    kind: str
    parents: tuple[str, ...]
    times: tuple[str, ...] = ("CreatedDate",)
    text: tuple[str, ...] = ()
    author: str = "CreatedById"
    # When an item is a mere event although others of its object are not.
    event: When | None = None
    # When it may be read by the customer; always unless said.
    public: When | None = None
    # When it came from the customer.
    incoming: When | None = None
    same_as: str = ""
    # Items of other objects belong to these, and through them to the ticket.
    holds: bool = False
    body: Body | None = None

    def target(self, fields: dict[str, Any], kinds: Iterable[str]) -> str | None:
        """The record it belongs to: the first that it names of a ticket's kind, or else the first it names."""
        named = [fields[name] for name in self.parents if not is_nothing(fields.get(name))]
        return next((one for one in named if one[:3] in kinds), named[0] if named else None)

    def item(self, ticket: str, value: Value, stamp: str) -> Item:
        """What a live record of this object should be shown as."""
        kind = "event" if self.event and _holds(self.event, value) else self.kind
        public = self.public is None or bool(_holds(self.public, value))
        text = next((found for path in self.text if not is_nothing(found := value(path))), "")
        return Item(
            ticket,
            kind,
            next((moment(value(path)) for path in self.times if not is_nothing(value(path))), moment(stamp)),
            _direction(kind, self.incoming and _holds(self.incoming, value), public),
            public and kind != "event",
            _record(value(self.author)),
            len(as_text(text)),
            _record(value(self.same_as)) if self.same_as else None,
            self.holds,
            _record(value(self.body.id)) if self.body else None,
        )


def _holds(when: When, value: Value) -> bool | None:
    """Whether something holds; None where the record does not say."""
    found = value(when[0])
    return None if is_nothing(found) else as_text(found) in when[1]


def _record(value: Any) -> str | None:
    return value if isinstance(value, str) and RECORD_ID.fullmatch(value) else None


def _direction(kind: str, incoming: bool | None, public: bool) -> str:
    """Whose words they are. A chat is begun by the customer; what does not say is ours."""
    if kind in ("event", "file"):
        return "internal"
    if incoming or (incoming is None and kind == "chat"):
        return "inbound"
    return "outbound" if public or incoming is False else "internal"


def _when(name: str, *values: str) -> When:
    return name, frozenset(values)


ALL_USERS = _when("Visibility", "AllUsers")
RULES = {
    "CaseComment": Rule("comment", ("ParentId",), text=("CommentBody",), public=_when("IsPublished", "true")),
    "EmailMessage": Rule(
        "email", ("ParentId", "RelatedToId", "ActivityId"), ("MessageDate", "CreatedDate"), ("TextBody", "Subject"),
        author="FromAddress", public=_when("IsExternallyVisible", "true"), incoming=_when("Incoming", "true"), holds=True,
    ),
    "CaseFeed": Rule(
        "post", ("ParentId",), text=("Body", "Title"), event=_when("Type", *NOTICES), public=ALL_USERS,
        same_as="RelatedRecordId",
    ),
    "FeedComment": Rule("post", ("ParentId", "FeedItemId"), text=("CommentBody",), public=ALL_USERS),
    "LiveChatTranscript": Rule(
        "chat", ("CaseId",), ("StartTime", "RequestTime", "CreatedDate"), ("Body",), author="ContactId", holds=True,
    ),
    "LiveChatTranscriptEvent": Rule(
        "event", ("LiveChatTranscriptId",), ("Time", "CreatedDate"), ("Detail", "Type"), author="AgentId",
    ),
    "MessagingSession": Rule(
        "event", ("CaseId",), ("StartTime", "CreatedDate"), ("ChannelName", "ChannelType"), author="OwnerId", holds=True,
    ),
    "ConversationEntry": Rule(
        "entry", ("ConversationId",), ("ServerReceivedTimestamp", "EntryTime", "CreatedDate"), ("Message",),
        author="ActorId", event=_when("EntryType", "TransferRequest", "ParticipantChanged", "RoutingResult"),
        incoming=_when("ActorType", "EndUser"),
    ),
    TRANSCRIPTS: Rule(
        "entry", ("ConversationId",), ("SystemModstamp",), ("Message",), author="ActorId",
        incoming=_when("ActorType", "EndUser"),
    ),
    "VoiceCall": Rule(
        "call", ("RelatedRecordId", "ActivityId"), ("CallStartDateTime", "CreatedDate"), ("Description",),
        author="UserId", incoming=_when("CallType", "Inbound", "Callback"), holds=True,
    ),
    "VoiceCallRecording": Rule(
        "event", ("VoiceCallId",), ("UploadDateTime", "CreatedDate"), ("Name",), author="OwnerId",
    ),
    "CaseHistory": Rule("event", ("CaseId",), text=("Field",)),
    "Attachment": Rule(
        "file", ("ParentId",), text=("Name",), public=_when("IsPrivate", "false"),
        body=Body("Attachment", "Body", "Id", "Name", "BodyLength", media_type="ContentType"),
    ),
    "ContentDocumentLink": Rule(
        "file", ("LinkedEntityId", "ContentDocumentId"), ("ContentDocument.CreatedDate",), ("ContentDocument.Title",),
        author="ContentDocument.CreatedById", public=ALL_USERS,
        body=Body(
            "ContentVersion", "VersionData", "ContentDocument.LatestPublishedVersionId", "ContentDocument.Title",
            "ContentDocument.ContentSize", extension="ContentDocument.FileExtension",
        ),
    ),
}  # fmt: skip
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
