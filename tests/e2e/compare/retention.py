"""Which tickets' time is over, from the org's own records: a policy's days run from the last thing that people did."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from conversations import Said
from rules import RULES, TICKET_FIELDS, kinds_of_tickets
from truth import Parents
from values import is_nothing, moment

# What is due goes within this time, and what a ticket's time is counted from may be read a little later.
GOES_WITHIN, SLACK = timedelta(hours=1), timedelta(minutes=5)
# What is said in a session belongs to it, and through it to a ticket: so many steps at most.
STEPS = 3
Records = Callable[[str], Iterable[dict[str, Any]]]


def active_at(name: str, record: dict[str, Any]) -> datetime | None:
    """When a ticket's own record was active last: opened, closed, last modified."""
    columns = TICKET_FIELDS.get(name, ())
    names = ("CreatedDate", "LastModifiedDate", columns[-1][0] if columns else "")
    times = [moment(record["fields"].get(field)) for field in names]
    return max((at for at in times if at is not None), default=moment(record["stamp"]))


def over(records: Records, names: Iterable[tuple[str, str]], parents: Parents, now: str, days: int) -> dict[str, bool | None]:
    """By ticket, and by what items belong to beside tickets: whether its time is over; None where an hour decides.
    `names` are objects with their roles."""
    said, own, held_by, kinds = Said(), {}, {}, kinds_of_tickets()
    for name, role in names:
        rule = RULES.get(name)
        if rule is None and role != "ticket":
            continue
        for record in records(name):
            fields = record["fields"]
            if role == "ticket" and not record["deleted"]:
                own[record["Id"]] = active_at(name, record)
            target = rule.target(fields, kinds) if rule and not record["deleted"] else None
            if rule is None or target is None:
                continue
            value = lambda path, record=record: _value(parents, record, path)  # noqa: E731
            item = rule.item(target, value, record["stamp"])
            said.add(record["Id"], name, item)
            if item.holds:
                held_by[record["Id"]] = target
    spoken, cut_off = said.expected(), moment(now) - timedelta(days=days)
    found = {}
    for ticket, active in own.items():
        times = [at for at in (active, spoken[ticket].last if ticket in spoken else None) if at is not None]
        found[ticket] = _is_over(max(times, default=None), cut_off)
    for holder in held_by:
        ticket, steps = holder, STEPS
        while ticket in held_by and steps:
            ticket, steps = held_by[ticket], steps - 1
        if ticket in own:
            found[holder] = found[ticket]
    return found


def _is_over(last: datetime | None, cut_off: datetime) -> bool | None:
    if last is None or last > cut_off + SLACK:
        return False
    return True if last < cut_off - GOES_WITHIN else None


def _value(parents: Parents, record: dict[str, Any], path: str) -> Any:
    if path == "Id":
        return record["Id"]
    found = parents.follow(record, path).value if "." in path else record["fields"].get(path)
    return None if is_nothing(found) else found
