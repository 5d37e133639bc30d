"""What can go wrong with an installation: chosen by a seed, done, and mended again."""

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from chaos import Fleet

# Seconds between two accidents, and how long one lasts. A job's lease is 15 seconds: some outlast it.
GAPS_S, LASTS_S = (2.0, 7.0), (1.0, 25.0)


class Kind(NamedTuple):
    """A kind of accident: what it happens to, and how often it is chosen beside the others."""

    name: str
    to: str
    weight: int


KINDS = (
    Kind("kill worker", "worker", 6),
    Kind("freeze worker", "worker", 5),
    Kind("stop worker", "worker", 4),
    Kind("kill scheduler", "scheduler", 3),
    Kind("freeze scheduler", "scheduler", 2),
    Kind("kill broker", "broker", 2),
    Kind("freeze broker", "broker", 2),
    Kind("wipe broker", "broker", 1),
    Kind("alarm broker", "broker", 1),
    Kind("kill postgres", "postgres", 2),
    Kind("freeze postgres", "postgres", 2),
    Kind("end sessions of the database", "postgres", 2),
    Kind("expire sessions at Salesforce", "salesforce", 2),
    Kind("errors of Salesforce", "salesforce", 2),
    Kind("lost answers of Salesforce", "salesforce", 2),
    Kind("slow Salesforce", "salesforce", 1),
    Kind("crowded Salesforce", "salesforce", 1),
)


class Accident(NamedTuple):
    """One accident: when it begins and ends, in seconds since the beginning, and to which of its kind."""

    at: float
    until: float
    kind: Kind
    which: int

    def __str__(self) -> str:
        return f"{self.at:.1f} s: {self.kind.name} {self.which}, for {self.until - self.at:.1f} s"


def plan(seed: int, seconds: float) -> list[Accident]:
    """The accidents of a run, in the order of their beginnings. Nothing happens to a server that has an accident already;
    of workers and schedulers one is always well."""
    chance, found = random.Random(f"accidents-{seed}"), []
    at = chance.uniform(*GAPS_S)
    while at < seconds:
        (kind,) = chance.choices(KINDS, [kind.weight for kind in KINDS])
        lasts, which = chance.uniform(*LASTS_S), chance.randrange(1_000)
        under_way = sum(1 for other in found if other.until > at and other.kind.to == kind.to)
        if under_way == 0 or (kind.to == "worker" and under_way < 3):
            found.append(Accident(at, min(at + lasts, seconds), kind, which))
        at += chance.uniform(*GAPS_S)
    return found


def begin(fleet: "Fleet", one: Accident) -> None:
    """Lets it happen."""
    match one.kind.name.split():
        case ["kill", "worker"]:
            fleet.lose_worker(one.which)
        case ["freeze", "worker"]:
            fleet.freeze(fleet.workers[one.which % len(fleet.workers)], one)
        case ["stop", "worker"]:
            fleet.retire_worker(one.which)
        case ["kill", "scheduler"]:
            fleet.lose_scheduler(one.which)
        case ["freeze", "scheduler"]:
            fleet.freeze(fleet.schedulers[one.which % len(fleet.schedulers)], one)
        case ["freeze", "postgres"]:
            fleet.freeze_postgres(True)
        case ["end", *_]:
            fleet.end_sessions(one.which)
        case [*_, "Salesforce"]:
            fleet.salesforce(one.kind.name, one.until - one.at)
        case _:
            fleet.order(one.kind.name)


def end(fleet: "Fleet", one: Accident) -> None:
    """Mends it; most mend themselves."""
    mended = {
        "kill broker": "restart broker",
        "wipe broker": "restart broker",
        "freeze broker": "thaw broker",
        "alarm broker": "calm broker",
        "kill postgres": "restart postgres",
    }
    if order := mended.get(one.kind.name):
        fleet.order(order)
    elif one.kind.name in ("freeze worker", "freeze scheduler"):
        fleet.thaw(one)
    elif one.kind.name == "freeze postgres":
        fleet.freeze_postgres(False)
    elif one.kind.to == "salesforce":
        fleet.salesforce("nothing", 0)


def counts(accidents: Iterable[Accident]) -> dict[str, int]:
    """How often each kind happened."""
    found: dict[str, int] = {}
    for one in accidents:
        found[one.kind.name] = found.get(one.kind.name, 0) + 1
    return dict(sorted(found.items()))
