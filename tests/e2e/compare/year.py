#!/usr/bin/env python3
"""A year in the life of orgs, day by day: every clock goes a day ahead, the org lives for a while, everything is asked
for, verified, and compared. Each day ends equal, and verifying finds what the comparison finds: nothing.

The programs are the real ones and so is the time that they see, by `faketime`: what is due once a day or once a week is
due, and tickets expire. Exit code 1 when anything differs, or when verifying and the comparison disagree.
"""

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from compare import printed_id
from life import Life, some_ids
from rules import TRANSCRIPTS
from stack import NotReady, Stack
from storm import Storm, Tenant
from values import moment

DAY_S, MINUTES_S, PART_S, NIGHT_S = 86_400, 180, 1_800, 10_800
FAKETIME = "faketime/libfaketimeMT.so.1"
# What the org is changed by, on which day of so many; the rest of the script is chance.
MONTH, WEEK, BIN_DAYS = 30, 7, 15
# A sandbox is copied anew on one day of so many.
COPIES, COPIED = 120, 57
HIDDEN_FIELD, NEW_FIELD, NEWER_FIELD = "Csat_Score__c", "Seen_By__c", "Looked_At_By__c"
# Verifying may find what was changed behind its back, and nothing was.
AMISS = ("lost", "stale", "undead", "extra", "unexplained")


class Clock:
    """The clock of all programs that are started from here."""

    def __init__(self, folder: Path) -> None:
        found = [path for path in Path("/usr/lib").glob(f"*/{FAKETIME}") if path.exists()]
        if not found:
            raise NotReady("faketime is not installed; --install does it, or: apt-get install faketime")
        self.file, self.day, self.ahead = folder / "clock", 0, 0
        folder.mkdir(parents=True, exist_ok=True)
        # The database reads it as a user of its own.
        folder.chmod(0o755)
        self.file.write_text("+0\n")
        # Jumps are for what people call time; waiting, retrying and time-outs go on as they are.
        os.environ |= {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def next_day(self) -> None:
        """A day later than the last began."""
        self.day += 1
        self.ahead = max(self.ahead, self.day * DAY_S)
        self._set()

    def advance(self, seconds: int) -> None:
        """A little later, in the night after the day at most."""
        self.ahead = min(self.ahead + seconds, (self.day + 1) * DAY_S + NIGHT_S)
        self._set()

    def evening(self) -> int:
        """So long until the day is over, and what is due once a day is due again."""
        return max(0, (self.day + 1) * DAY_S - self.ahead) + MINUTES_S

    def _set(self) -> None:
        # All at once, and never half a file.
        new = self.file.with_suffix(".new")
        new.write_text(f"+{self.ahead}\n")
        new.chmod(0o644)
        new.rename(self.file)


class Day(Life):
    """What happens on one day: the ordinary, all kinds of departures, renamed parents, and what the script says."""

    def __init__(self, org: Any, day: int, given: argparse.Namespace, ids: dict[str, list[str]]) -> None:
        super().__init__(org, "day", given, ids)
        self.random = random.Random(f"{given.seed}-{org.base}-{day}")
        self.kinds: list[Callable[[], None]] = [
            self.edits, self.deletes, self.merges, self.purges, self.files, self.talk, self.rename,
        ]  # fmt: skip

    def day(self) -> None:
        """One thing."""
        self.random.choice(self.kinds)()

    def rename(self) -> None:
        """A parent changes, which stamps no child."""
        name, field = self.random.choice((("Account", "Name"), ("Contact", "Email"), ("User", "FirstName")))
        if record := self.one(name):
            value = f"renamed{self.random.randrange(10**6)}" + ("@example.com" if field == "Email" else "")
            self.post("renamed", f"records/{name}/{record}", {"fields": {field: value}})


class Year(Storm):
    """Days, one after the other."""

    # A day has little to read, and there are many of them.
    look_s, ask_s = 0.4, 1.0
    retention = {"ticket_days": 200, "held_days": 365, "attachment_days": 3650}

    def __init__(self, stack: Stack, given: argparse.Namespace, clock: Clock) -> None:
        super().__init__(stack, given)
        self.clock, self.verified = clock, Counter()
        self.disagreed: list[str] = []
        # Tenants whose org is another one now, and what was here of it when that was noticed.
        self.left: list[tuple[Tenant, Any]] = []

    def script(self, day: int, tenant: Tenant) -> None:
        """What the org's administrators do on this day."""
        org, chance = tenant.org, random.Random(f"{self.given.seed}-{day}")
        if day % WEEK == 1:
            fields = {"Priority": chance.choice(["High", "Low"])}
            org.post("mass-update", {"object": "Case", "count": 100, "fields": fields})
        if day % BIN_DAYS == 0:
            org.post("recycle-bin/empty", {})
        month = day % MONTH
        if month in (9, 12):
            org.post("permissions", {"hide_fields": [f"Case.{HIDDEN_FIELD}"]} if month == 9 else {})
        changes: dict[int, dict[str, Any]] = {
            16: {"add_fields": [["Case", {"name": NEW_FIELD, "type": "string(80)"}]]},
            20: {"rename_fields": [[f"Case.{NEW_FIELD}", NEWER_FIELD]]},
            25: {"remove_fields": [f"Case.{NEWER_FIELD}"]},
        }
        if self.given.schema and (change := changes.get(month)):
            org.post("schema", change)
        if month == 18:
            org.post("sessions/expire", {})

    def copy_anew(self, number: int, tenant: Tenant) -> None:
        """Another org answers at the same address, to the same credentials and with the same record ids: nothing of it is
        taken in. Then a person connects it as what it is."""
        before, since = self.kept(tenant), time.monotonic()
        entry = tenant.org.post("refresh-sandbox", {})
        connection: dict[str, Any] = {"state": "active"}
        while connection["state"] != "parked":
            for one in tenant.objects:
                self.ask(tenant, one)
            time.sleep(0.5)
            self.patience(since, "the connection to a copied sandbox to stop")
            path = f"tenants/{tenant.id}/connections/{tenant.connection}"
            connection = self.stack.api.call("GET", path)
        if (code := connection["ask"]["code"]) != "ORG_ID_CHANGED":
            self.disagreed.append(f"tenant {number} stopped with {code} when its sandbox was copied")
        self.left.append((tenant, before))
        self.tenants[number] = self.connect(number, entry)

    def kept(self, tenant: Tenant) -> Any:
        """How many records are here of a tenant's org, and when one was read last."""
        with psycopg.connect(self.stack.database) as db:
            return db.execute(
                "SELECT count(*), max(read_at) FROM records WHERE tenant_id = %s", [printed_id(tenant.id)]
            ).fetchone()

    def live(self, day: int) -> None:
        """One day: the clock, the edits, every pass, every sweep, and the two verdicts."""
        started = last = time.monotonic()
        parts: dict[str, float] = {}

        def part(name: str) -> None:
            nonlocal last
            parts[name], last = round(time.monotonic() - last, 1), time.monotonic()

        self._calm = self._patient = 1.0
        if day:
            self.clock.next_day()
        for number, tenant in enumerate(self.tenants):
            if day % COPIES == COPIED:
                self.copy_anew(number, tenant)
        for tenant in self.tenants:
            self.script(day, tenant)
            if day % MONTH == 0:
                tenant.ids = some_ids(tenant.org, self.given.seed + day, set())
        lives = [Day(one.org, day, self.given, one.ids) for one in self.tenants]
        for life in lives:
            life.start()
        while time.monotonic() - started < self.given.seconds or not self.all_are(lambda one: one["loaded_at"]):
            self.turn(kills=True)
            self.patience(started, f"day {day}")
        for life in lives:
            life.stop()
        for life in lives:
            life.end()
            self.edits += life.done
        part("lived")
        ends = {tenant.id: moment(tenant.org.now()) for tenant in self.tenants}
        waiting = time.monotonic()
        while not self.all_are(lambda one: one["state"] == "current") or self.behind(ends):
            self.turn()
            self.patience(waiting, "every object to be past the last edit")
        part("read")
        # The log of deletions tells whole minutes, after some; and parents are followed once a day. Each time that time
        # goes by, workers are not known to live until they say so again.
        self.jump(self.clock.evening(), waiting)
        self.purged(ends, waiting)
        part("deletions")
        self.linked(ends, waiting)
        self.rest(waiting)
        part("linked")
        verified = [self.verify(tenant) for tenant in self.tenants]
        part("verified")
        for number, tenant in enumerate(self.tenants):
            before = len(self.found)
            self.compare(f"day-{day}", number, tenant, fresh=True)
            differs, amiss = len(self.found) > before, verified[number]
            if differs or amiss:
                self.disagreed.append(f"day {day}, tenant {number}: differs {differs}, verifying found {amiss}")
        for tenant, before in self.left:
            records, read_at = self.kept(tenant)
            # Retention goes on.
            if records > before[0] or (read_at and read_at > before[1]):
                self.disagreed.append(f"day {day}: something was taken in of another org")
        part("compared")
        took = round(time.monotonic() - started, 1)
        print(f"day {day}: {took} s {parts}, {self.stack.kills} kills so far, amiss {verified}", flush=True)

    def linked(self, ends: dict[str, Any], since: float) -> None:
        """Waits until every change of a parent shows in its children."""
        is_behind = lambda one, end: one["linked_known_to"] is not None and moment(one["linked_known_to"]) <= end  # noqa: E731
        while [
            one["id"] for tenant in self.tenants for one in tenant.objects if is_behind(one, ends[tenant.id])
        ]:
            time.sleep(0.2)
            if not self.busy():
                self.jump(PART_S, since)
            self.stack.check_alive()
            for tenant in self.tenants:
                self.look(tenant)
            self.patience(since, "renamed parents to show in their children")

    def jump(self, seconds: int, since: float) -> None:
        """Lets time go by while nothing is under way: a lease that is held would run out."""
        self.rest(since)
        self.clock.advance(seconds)

    def verify(self, tenant: Tenant) -> dict[str, int]:
        """Everything is verified; gives what was amiss."""
        self.look(tenant)
        since, asked = time.monotonic(), moment(tenant.org.now())
        for one in tenant.objects:
            self.ask(tenant, one, sweep=True)
        while left := [one["api_name"] for one in tenant.objects if not is_swept(one, asked)]:
            time.sleep(0.5)
            # What is missing is looked at again after minutes.
            self.clock.advance(MINUTES_S)
            self.look(tenant)
            self.patience(since, f"{left[:3]} to be verified")
        self.rest(since)
        amiss: Counter = Counter()
        results = self.stack.api.call("GET", f"tenants/{tenant.id}/verifications?limit=200")["verifications"]
        for one in results:
            if moment(one["began_at"]) >= asked:
                self.verified["scans"] += 1
                self.verified["there"] += one["there"]
                amiss.update({name: one[name] for name in AMISS if one[name]})
        return dict(amiss)


def is_swept(one: dict[str, Any], since: Any) -> bool:
    """Whether an object was verified since a moment. Transcripts come and go with their sessions."""
    return one["api_name"] == TRANSCRIPTS or (one["swept_at"] is not None and moment(one["swept_at"]) >= since)


def main() -> int:
    """The command line."""
    root = Path(__file__).resolve().parents[3]
    parser = argparse.ArgumentParser(description="A year in the life of orgs.")
    parser.add_argument("--programs", type=Path, default=root / "target/debug", help="where the built programs are")
    parser.add_argument("--folder", type=Path, default=root / "target/compare/run", help="for logs, keys and reports")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--cases", type=int, default=300, help="cases of each org at the beginning")
    parser.add_argument("--orgs", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--edits", type=int, default=10, help="edits at once, five times a second")
    parser.add_argument("--seconds", type=float, default=2, help="of edits a day")
    parser.add_argument("--kill-every", type=float, default=20, help="seconds of edits between kills, on average")
    parser.add_argument("--late", type=float, default=1, help="seconds by which commits show late, at most")
    parser.add_argument("--schema", action=argparse.BooleanOptionalAction, default=True, help="fields come and go")
    given = parser.parse_args()
    given.spare = ""
    print(f"seed {given.seed}", flush=True)
    started = time.monotonic()
    folder = given.folder.resolve() / time.strftime("year-%m%d-%H%M%S")
    clock = Clock(folder)
    sizes = {"--orgs": given.orgs, "--cases": given.cases, "--seed": given.seed % 10_000, "--daily-max": 50_000_000}
    stack = Stack(given.programs.resolve(), folder, [str(part) for pair in sizes.items() for part in pair])
    try:
        year = Year(stack, given, clock)
        for _ in range(given.workers):
            stack.start_worker()
        for day in range(given.days):
            year.live(day)
            if year.found:
                break
        seconds = round(time.monotonic() - started, 1)
        figures = {**year.figures(), "verified": dict(year.verified), "disagreed": year.disagreed}
        print(json.dumps({**figures, "seconds": seconds, "reports": year.found, "folder": str(folder)}))
        return 1 if year.found or year.disagreed else 0
    finally:
        stack.stop()


if __name__ == "__main__":
    sys.exit(main())
