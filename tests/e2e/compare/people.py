"""Agents and customers, and what tickets are filtered by: what their rows should say, from the org's own fields."""

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from typing import Any, NamedTuple

from sealed import TenantKeys
from values import as_text, is_nothing, moment

# The table of each object whose records are people, and its own column.
TABLES = {"User": ("agents", "active"), "Contact": ("customers", "account_id")}
LARGEST = 2**63


class Expected(NamedTuple):
    """What a person's row should say."""

    own: bool | str | None
    email_token: bytes | None


def person_of(name: str, fields: dict[str, Any], keys: TenantKeys) -> Expected | None:
    """What the row of a record should say; None for objects whose records are no people."""
    if name not in TABLES:
        return None
    email = fields.get("Email")
    token = None if is_nothing(email) else keys.email_token(email)
    return Expected(fields.get("IsActive", True) if name == "User" else fields.get("AccountId"), token)


def facets_of(wanted: list[dict[str, Any]], value: Callable[[str], Any]) -> dict[str, tuple[Any, Any, int | None]]:
    """What a ticket should be found by: text, time and scaled number by name, as far as the org has a value."""
    found: dict[str, tuple[Any, Any, int | None]] = {}
    for facet in wanted:
        there, kind = value(facet["path"]), facet["as"]
        if is_nothing(there):
            continue
        if kind == "text":
            found[facet["name"]] = (as_text(there), None, None)
        elif kind == "time":
            found[facet["name"]] = (None, moment(there), None)
        else:
            scale = kind["number"]["scale"]
            number = int((Decimal(there) * 10**scale).to_integral_value(ROUND_DOWN))
            if -LARGEST <= number < LARGEST:
                found[facet["name"]] = (None, None, number)
    return found
