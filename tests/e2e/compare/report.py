"""What a comparison found: counts by object, and the first differences, without values."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

SHOWN = 20
WRONG = ("lost", "stale", "foreign", "undead")
# What is compared beside the records of objects.
TICKETS, FILES = "(tickets)", "(files)"
COLUMNS = ("there", "here", "there_deleted", "tombstones", "purged", "hidden", "drifted", "ahead", *WRONG)


@dataclass
class Report:
    """What a comparison of one object found."""

    name: str
    counts: Counter = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)

    def note(self, verdict: str, record: str, what: str) -> None:
        """Counts a difference and keeps the first ones. Never with a value."""
        self.counts[verdict] += 1
        if len(self.differences) < SHOWN:
            self.differences.append(f"{verdict} {self.name} {record}: {what}")

    def wrong(self) -> int:
        """How many differences there are."""
        return sum(self.counts[verdict] for verdict in WRONG)


def table(reports: list[Report]) -> str:
    """The counts by object, and the first differences."""
    names = ["object", *(name.replace("there_deleted", "bin") for name in COLUMNS)]
    lines = [[report.name, *(str(report.counts[name]) for name in COLUMNS)] for report in reports]
    lines.append(["all objects", *(str(total(reports, name)) for name in COLUMNS)])
    widths = [max(len(line[place]) for line in [names, *lines]) for place in range(len(names))]
    text = ["  ".join(word.rjust(width) for word, width in zip(line, widths, strict=True)) for line in [names, *lines]]
    return "\n".join([*text, *(one for report in reports for one in report.differences)])


def total(reports: list[Report], name: str) -> int:
    """A count over all objects; tickets and files are records that were counted already, but for what is wrong."""
    return sum(report.counts[name] for report in reports if name in WRONG or report.name not in (TICKETS, FILES))


def summary(reports: list[Report]) -> dict[str, Any]:
    """Everything as JSON."""
    objects = {report.name: {"counts": dict(report.counts), "differences": report.differences} for report in reports}
    return {"exact": not wrong(reports), **{name: total(reports, name) for name in COLUMNS}, "objects": objects}


def wrong(reports: list[Report]) -> int:
    """How many differences there are in all."""
    return sum(report.wrong() for report in reports)
