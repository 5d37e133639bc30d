"""What was said in sessions and calls of which SOQL has no words, as the Connect API tells it: records of an object
that is made of them here. Written from the description of its form."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from blake3 import blake3

from rules import TRANSCRIPTS
from truth import Org, Parents
from values import is_nothing

# Sessions and calls, and the field that tells when each ended: no transcript is complete before.
HOLDERS = {"MessagingSession": "EndTime", "VoiceCall": "CallEndDateTime"}
# The path that leads to a transcript.
IDENTIFIER = "Conversation.ConversationIdentifier"
MOST = 1_000
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def id_of(identifier: str) -> str:
    """The record id of an entry that has none: always the same for the same identifier."""
    number = int.from_bytes(blake3(identifier.encode()).digest()[:16])
    digits = []
    for _ in range(12):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    short = "zzT" + "".join(digits)
    # Three check characters: a bit for each capital among five.
    capitals = [sum(one.isupper() << place for place, one in enumerate(short[at : at + 5])) for at in (0, 5, 10)]
    return short + "".join(_CHECKS[bits] for bits in capitals)


def record(holder: str, entry: dict[str, Any]) -> dict[str, Any]:
    """An entry as a record of the org."""
    at = _EPOCH + timedelta(milliseconds=entry["serverReceivedTimestamp"])
    stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    sender = entry.get("sender") or {}
    fields = {
        "IsDeleted": False,
        "ConversationId": holder,
        "ActorType": sender.get("role"),
        "ActorId": sender.get("subject"),
        "Message": entry.get("messageText"),
        "MessageIdentifier": entry["identifier"],
        "SystemModstamp": stamp,
    }
    key = id_of(entry["identifier"])
    return {"Id": key, "stamp": stamp, "deleted": False, "fields": {"Id": key, **fields}}


def transcripts(org: Org, at: str, user: str, enabled: set[str], parents: Parents) -> list[dict[str, Any]]:
    """The entries of each session and call that ended, in order of id. Where another object tells of one with words,
    its entries may be here, or may not have been asked for."""
    told = set(_told(org, at, user)) if "ConversationEntry" in enabled else set()
    found = []
    for name in HOLDERS.keys() & enabled & org.sizes().keys():
        for one in org.records(name, at, user):
            identifier = parents.follow(one, IDENTIFIER).value
            is_over = not (one["deleted"] or is_nothing(one["fields"].get(HOLDERS[name])))
            if is_over and identifier:
                optional = {"optional": one["Id"] in told}
                found += [record(one["Id"], entry) | optional for entry in _entries(org, identifier)]
    return sorted(found, key=lambda one: one["Id"])


def _told(org: Org, at: str, user: str) -> Iterator[str]:
    """Sessions of which live entries have words."""
    if "ConversationEntry" not in org.sizes():
        return
    for one in org.records("ConversationEntry", at, user):
        if not one["deleted"] and not is_nothing(one["fields"].get("Message")):
            yield one["fields"]["ConversationId"]


def _entries(org: Org, identifier: str) -> list[dict[str, Any]]:
    path = f"connect/conversation/{identifier}/entries?recordLimit={MOST}&queryDirection=FromStart"
    answer = org.rest().json(path)
    entries = [] if answer is None else answer["conversationEntries"]
    if len(entries) == MOST:
        raise LookupError(f"a transcript of {MOST} entries or more: {TRANSCRIPTS} cannot be judged")
    return entries
