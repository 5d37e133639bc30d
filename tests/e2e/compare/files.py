"""Bodies of files: which should be here, whether each is what the org gives, and that no chunk is anything else."""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from rules import Body, Value
from sealed import CHUNK_COLUMN, DIGEST_COLUMN, DoesNotOpen, TenantKeys, chunk_row
from stored import Chunk, File
from values import is_nothing

WANTED, STORED, LEFT_OUT, NOT_THERE = 0, 1, 2, 3
MEGABYTE = 1 << 20
MOST_MB = 25


class Kept(NamedTuple):
    """A body as it was opened: its length and digest, and whether its chunks are all there and its own."""

    bytes: int
    digest: bytes
    wrong: str


def left_out(policy: dict[str, Any], body: Body, value: Value) -> str:
    """Why a tenant's policy does not keep a body; an empty word when it does."""
    size, name = value(body.bytes), value(body.name)
    media_type = value(body.media_type) if body.media_type else None
    ending = value(body.extension) if body.extension else None
    if is_nothing(ending) and isinstance(name, str) and "." in name:
        ending = name.rpartition(".")[2]
    is_kind = lambda pattern: _is_of(pattern, media_type, ending)  # noqa: E731
    only, never = policy.get("only", []), policy.get("never", [])
    if not policy.get("bodies", True):
        return "no_bodies"
    if not is_nothing(size) and int(size) > policy.get("most_mb", MOST_MB) * MEGABYTE:
        return "too_large"
    if any(map(is_kind, never)) or (only and not any(map(is_kind, only))):
        return "type_not_kept"
    return ""


def _is_of(pattern: str, media_type: str | None, ending: str | None) -> bool:
    """Whether a file is of a type: an ending (`.pdf`), a media type (`image/png`), or all of a kind (`image/*`)."""
    if pattern.startswith("."):
        return not is_nothing(ending) and str(ending).lower() == pattern[1:].lower()
    if is_nothing(media_type):
        return False
    given, wanted = str(media_type).partition(";")[0].strip().lower(), pattern.lower()
    return given.startswith(wanted[:-1]) if wanted.endswith("/*") else given == wanted


def judge_files(
    wanted: dict[str, tuple[Body, str]],
    files: Iterable[File],
    chunks: Iterable[Chunk],
    opener: tuple[TenantKeys, UUID],
    body_of: Callable[[str, str, str], bytes | None],
) -> Iterator[tuple[str, str, str]]:
    """Verdict, file and reason of whatever is wrong. `body_of` asks the org for a field of a record."""
    here = {file.id: file for file in files}
    kept = {}
    for (name, load), parts in groupby(chunks, key=lambda chunk: (chunk.file, chunk.load)):
        file = here.get(name)
        if file is None or file.load != load:
            yield "undead", name, "chunks of no body that is kept"
        else:
            kept[name] = _opened(file, parts, *opener)
    for name in here.keys() - wanted.keys():
        yield "undead", name, "a file that no live record of the org names"
    for name, (body, reason) in wanted.items():
        there = None if reason else body_of(body.object, name, body.field)
        if file := here.get(name):
            yield from (("stale" if state == STORED else "lost", name, what)
                        for state, what in _one(file, kept.get(name), body, reason, there))  # fmt: skip
        elif reason or there is not None:
            yield "lost", name, "a file that nothing here tells of"


def _one(file: File, kept: Kept | None, body: Body, reason: str, there: bytes | None) -> Iterator[tuple[int, str]]:
    """What is wrong with a file that is named there and known here."""
    if (file.object, file.field) != (body.object, body.field):
        yield STORED, "its body is looked for elsewhere"
    if reason or there is None:
        expected = (LEFT_OUT, reason) if reason else (NOT_THERE, "not_found")
        if (file.state, file.reason) != expected:
            yield STORED, f"in state {file.state} ({file.reason}) instead of {expected[0]} ({expected[1]})"
    elif file.state != STORED:
        yield file.state, f"its body is not here: state {file.state} ({file.reason})"
    elif file.place == "database":
        # An empty body has no chunk.
        opened = kept or Kept(0, sha256().digest(), "a chunk is missing" if file.chunks else "")
        if opened.wrong:
            yield STORED, opened.wrong
        elif opened.digest != sha256(there).digest():
            yield STORED, "another body"
        elif file.bytes != opened.bytes:
            yield STORED, "its length is told wrong"


def _opened(file: File, chunks: Iterable[Chunk], keys: TenantKeys, connection: UUID) -> Kept:
    """Opens a body chunk by chunk, and its digest."""
    length, digest, count, load = 0, sha256(), 0, file.load
    assert load is not None
    try:
        for chunk in chunks:
            if chunk.n != count:
                return Kept(length, b"", "a chunk is missing")
            part = keys.open(CHUNK_COLUMN, chunk_row(connection, file.id, load, chunk.n), chunk.body)
            length, count = length + len(part), count + 1
            digest.update(part)
        told = keys.open(DIGEST_COLUMN, chunk_row(connection, file.id, load, -1), file.digest or b"")
    except DoesNotOpen as error:
        return Kept(length, b"", f"does not open for this tenant and place: {error}")
    if count != file.chunks:
        return Kept(length, b"", "a chunk is missing")
    return Kept(length, digest.digest(), "" if told == digest.digest() else "its digest is told wrong")
