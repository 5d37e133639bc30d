"""When the org's value and ours are one value, by what the platform's documentation says of its types.

Numbers are what they count, whatever their spelling; moments are points in time, whatever their zone; an empty text
is null, since the platform stores none. Nothing here was taken from the programs under test.
"""

import json
import re
import secrets
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any

# A number with a fraction is read as what it says, never through a binary one; made once, since making it costs more
# than reading a record.
JSON = json.JSONDecoder(parse_float=Decimal)
# A new one each run: what is printed of a value confirms no guess.
_REST_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000")
_SALT = secrets.token_bytes(16)


def is_nothing(value: Any) -> bool:
    """Whether a JSON value holds nothing."""
    return value is None or value == ""


def moment(text: Any) -> datetime | None:
    """A moment in any of the platform's spellings; None when it is none."""
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return Decimal(value)


def _day(value: Any) -> date | None:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def _time_of_day(value: Any) -> time | None:
    try:
        return time.fromisoformat(value.removesuffix("Z"))
    except (AttributeError, ValueError):
        return None


def as_text(value: Any) -> str:
    """A value as text, as a field of any type is kept."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _any(there: Any, here: Any) -> bool:
    """A field of any type is kept as the text of its value; what is spelled as a moment is one."""
    if not isinstance(here, str):
        return False
    if as_text(there) == here:
        return True
    if isinstance(there, str) and _REST_MOMENT.fullmatch(there):
        return moment(there) == moment(here)
    number = _number(there)
    try:
        return number is not None and number == Decimal(here)
    except InvalidOperation:
        return False


_READERS = {
    "integer": _number,
    "decimal": _number,
    "datetime": moment,
    "date": _day,
    "time": _time_of_day,
}


def same(kind: str, there: Any, here: Any) -> bool:
    """Whether both mean the same, for a field kept as `kind`. Numbers with a fraction come as decimals."""
    if is_nothing(there) or is_nothing(here):
        return is_nothing(there) and is_nothing(here)
    if kind == "any_type":
        return _any(there, here)
    read = _READERS.get(kind)
    if read is None:
        return type(there) is type(here) and there == here
    if isinstance(there, str) and (there == here or (there[-5:] == "+0000" and f"{there[:-5]}Z" == here)):
        # The commonest spellings of one moment, without reading them.
        return True
    one, other = read(there), read(here)
    return one is not None and one == other


def digest(value: Any) -> str:
    """What may be shown of a value: whether two are equal, within one run."""
    if is_nothing(value):
        return "nothing"
    return blake2b(repr(value).encode(), key=_SALT, digest_size=4).hexdigest()
