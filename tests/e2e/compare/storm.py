#!/usr/bin/env python3
"""Loads orgs while they are edited and workers are killed, and compares everything after each phase.

The programs are the real ones, as processes; the org is the simulator's; every choice comes from the printed seed, but
for which instruction a worker is killed at. Exit code 1 when anything differs.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from compare import Target, compare, printed_id
from life import Life, some_ids
from report import WRONG, summary, table, total, wrong
from rules import TRANSCRIPTS
from stack import NotReady, Stack
from truth import Org
from values import moment

OBJECTS = (
    "Case", "CaseComment", "EmailMessage", "CaseFeed", "FeedComment", "LiveChatTranscript", "LiveChatTranscriptEvent",
    "MessagingSession", "ConversationEntry", "VoiceCall", "VoiceCallRecording", "CaseHistory", "Contact", "User",
    "Task", "Account", "Group", "RecordType", "Escalation__c", "Attachment", "ContentDocument", "ContentDocumentLink",
    "ConversationTranscript",
)  # fmt: skip
PHASES = ("load", "edits", "deletes", "merges")
# Nothing comes by its own cadence: each pass is asked for, so that the end of all is known.
NEVER_S = 86_400
SETTINGS: dict[str, Any] = {"settle_s": 1, "overlap_s": 30}
# By what cases can be found.
FACETS = [
    {"name": "channel", "path": "Origin", "as": "text"},
    {"name": "first_response", "path": "First_Response__c", "as": "time"},
    {"name": "score", "path": "Csat_Score__c", "as": {"number": {"scale": 1}}},
    {"name": "owner", "path": "Owner.Name", "as": "text"},
]
# What every second org does in another way: its history comes by Bulk jobs, and not every file is kept.
OTHERWISE = {"read_by": "bulk", "files": {"most_mb": 1, "never": [".png", "image/*"]}}
# Transcripts in an hour; the comparison reads them too.
TRANSCRIPTS_PER_HOUR = 10_000_000
TELL_S = 10.0
PATIENCE_S = 1_800


@dataclass
class Tenant:
    """A customer with an org of its own."""

    id: str
    connection: str
    org: Org
    ids: dict[str, list[str]]
    objects: list[dict[str, Any]] = field(default_factory=list)


class Storm:
    """A run over all phases."""

    # Seconds between looks at where objects stand, and between passes that are asked for.
    look_s, ask_s = 1.0, 3.0
    # The orgs are years old, and everything of them is compared.
    retention = {"ticket_days": 3650, "held_days": 3650, "attachment_days": 3650}

    def __init__(self, stack: Stack, given: argparse.Namespace) -> None:
        self.stack, self.given = stack, given
        self.random = random.Random(given.seed)
        self.tenants = [self.connect(number, entry) for number, entry in enumerate(stack.ready["orgs"])]
        self.edits: Counter = Counter()
        self.compared: Counter = Counter()
        self.parked: Counter = Counter()
        self.found: list[str] = []
        self._asked = self._looked = self._killed = self._told = self._began = time.monotonic()
        self._calm = self._patient = 1.0

    def connect(self, number: int, entry: dict[str, Any]) -> Tenant:
        """Makes a tenant, connects its org and asks for every object."""
        call, org = self.stack.api.call, Org(self.stack.ready["control"], entry["org_id"], self.stack.ready["ca_file"])
        org.post("conversations/limit", {"per_hour": TRANSCRIPTS_PER_HOUR})
        tenant = call("POST", "tenants", {"name": f"Tenant {number}", "retention": self.retention})["id"]
        auth = {"method": "client_credentials", **{key: entry[key] for key in ("client_id", "client_secret")}}
        body = {"name": "Support org", "login_url": entry["instance_url"], "auth": auth}
        connection = call("POST", f"tenants/{tenant}/connections", body)["id"]
        for name in OBJECTS:
            role = {"role": "reference"} if name.endswith("__c") else {}
            facets = {"facets": FACETS} if name == "Case" else {}
            settings = SETTINGS | facets | (OTHERWISE if number % 2 else {})
            wanted = {"api_name": name, "interval_s": NEVER_S, "settings": settings, **role}
            call("POST", f"tenants/{tenant}/connections/{connection}/objects", wanted)
        return Tenant(tenant, connection, org, some_ids(org, self.given.seed, set(self.given.spare.split(","))))

    def turn(self, kills: bool = False) -> None:
        """A moment of the storm: passes are asked for, and everything lives but for a worker now and then."""
        time.sleep(0.25)
        self.stack.check_alive()
        now = time.monotonic()
        # A first load takes what it takes: on a slow machine it would never end at a steady pace of kills and passes.
        slower = 1.5 if now - self._began > self.given.seconds else 1.0
        pause = self.given.kill_every * self._calm * self.random.uniform(0.5, 1.5)
        if kills and self.given.kill_every and now - self._killed > pause:
            self._killed = now
            self._calm *= slower
            self.stack.kill_worker(self.random.randrange(len(self.stack.workers)))
        if now - self._looked > self.look_s:
            self._looked = now
            for tenant in self.tenants:
                self.look(tenant)
        if now - self._asked > self.ask_s * (self._patient if kills else 1.0):
            self._asked = now
            self._patient *= slower
            for tenant in self.tenants:
                # Asking for an object also tries its parked work again, as a person would.
                parked = self.stack.api.call("GET", f"tenants/{tenant.id}/jobs?state=parked")["jobs"]
                self.parked.update(f"{job['kind']}: {(job['ask'] or {}).get('what')}" for job in parked)
                again = {job["object_id"] for job in parked}
                for one in tenant.objects:
                    if one["state"] == "current" or one["id"] in again:
                        self.ask(tenant, one)

    def ask(self, tenant: Tenant, one: dict[str, Any], sweep: bool = False) -> None:
        """Asks for an object's changes and deletions, and with `sweep` for a look at everything that is here."""
        query = "?sweep=true" if sweep else ""
        self.stack.api.call("POST", f"tenants/{tenant.id}/objects/{one['id']}/sync{query}")

    def look(self, tenant: Tenant) -> None:
        """Learns where each object stands."""
        status = self.stack.api.call("GET", f"tenants/{tenant.id}/status")
        tenant.objects = [one for connection in status["connections"] for one in connection["objects"]]
        for one in tenant.objects:
            if one["state"] in ("parked", "absent"):
                raise NotReady(f"{one['api_name']} is {one['state']}: {one['ask']}")

    def phase(self, name: str) -> None:
        """Edits and kills for a while, then waits for everything and compares."""
        started = self._began = time.monotonic()
        self._calm = self._patient = 1.0
        lives = [Life(one.org, name, self.given, one.ids) for one in self.tenants]
        for life in lives:
            life.start()
        while time.monotonic() - started < self.given.seconds or not self.all_are(lambda one: one["loaded_at"]):
            self.turn(kills=True)
            left = {one["api_name"] for tenant in self.tenants for one in tenant.objects if not one["loaded_at"]}
            self.patience(started, f"the end of the {name} phase, {len(left)} objects not loaded: {sorted(left)[:3]}")
        for life in lives:
            life.stop()
        for life in lives:
            life.end()
            self.edits += life.done
        ends = {tenant.id: moment(tenant.org.now()) for tenant in self.tenants}
        waiting = time.monotonic()
        while not self.all_are(lambda one: one["state"] == "current") or self.behind(ends):
            self.turn()
            self.patience(waiting, "every object to be past the last edit")
        if name == "purges":
            self.purged(ends, waiting)
        self.rest(waiting)
        caught_up = time.monotonic()
        for number, tenant in enumerate(self.tenants):
            self.compare(name, number, tenant)
        took = [round(end - start, 1) for start, end in ((started, waiting), (waiting, caught_up))]
        print(
            f"{name}: {took[0]} s of edits and kills, {took[1]} s to catch up, {self.stack.kills} kills so far",
            flush=True,
        )

    def rest(self, since: float) -> None:
        """Waits until nothing is under way or due."""
        while busy := self.busy():
            time.sleep(0.25)
            self.patience(since, f"every job to rest: {busy[:5]}")

    def all_are(self, holds: Any) -> bool:
        """Whether something holds of every object, as last seen."""
        return all(tenant.objects and all(holds(one) for one in tenant.objects) for tenant in self.tenants)

    def behind(self, ends: dict[str, Any]) -> bool:
        """Whether some object's changes up to the end of its org's edits are not all read."""
        late = timedelta(seconds=1)
        return any(
            one["watermark_at"] is None or moment(one["watermark_at"]) < ends[tenant.id] + late
            for tenant in self.tenants
            for one in tenant.objects
        )

    def purged(self, ends: dict[str, Any], since: float) -> None:
        """Waits until every deletion is known: by the log, whose minutes are whole, or by a sweep where there is none."""
        asked: set[str] = set()
        while unknown := [
            (tenant, one) for tenant in self.tenants for one in tenant.objects if not known_to(one, ends[tenant.id])
        ]:
            for tenant, one in unknown:
                if one["deletions_known_to"] is None and one["id"] not in asked:
                    asked.add(one["id"])
                    self.ask(tenant, one, sweep=True)
            self.turn()
            self.patience(since, f"the deletions of {', '.join(one['api_name'] for _, one in unknown)}")

    def busy(self) -> list[str]:
        """The jobs that are under way or due."""
        found = []
        for tenant in self.tenants:
            jobs = self.stack.api.call("GET", f"tenants/{tenant.id}/jobs?limit=200")["jobs"]
            found += [f"{job['id']} {job['kind']} {job['state']} {job['waits_for']}" for job in jobs if not rests(job)]
        return found

    def patience(self, since: float, what: str) -> None:
        """Says now and then what is waited for, and fails when it takes too long."""
        if time.monotonic() - self._told > TELL_S:
            self._told = time.monotonic()
            read = sum(one["records_read"] for tenant in self.tenants for one in tenant.objects)
            print(f"  {self.stack.kills} kills, {read} versions read; waiting for {what}", file=sys.stderr, flush=True)
        if time.monotonic() - since > max(PATIENCE_S, 2 * self.given.seconds):
            stand = [
                f"{one['api_name']} {one['state']} {one['watermark_at']}" for it in self.tenants for one in it.objects
            ]
            raise NotReady(f"no end of waiting for {what}: {', '.join(stand)}")

    def compare(self, phase: str, number: int, tenant: Tenant, fresh: bool = False) -> None:
        """Compares one tenant with its org as it is now; by request, values over a lookup must be fresh too."""
        started = time.monotonic()
        ids = printed_id(tenant.id), printed_id(tenant.connection)
        target = Target(self.stack.database, self.stack.key_ring, tenant.org, tenant.org.now(), *ids, fresh=fresh)
        reports = compare(target)
        report = self.stack.folder / f"{phase}-{number}.json"
        report.write_text(json.dumps(summary(reports), indent=1))
        self.compared["comparisons"] += 1
        self.compared["rows"] += sum(total(reports, name) for name in ("there", "there_deleted", "purged"))
        self.compared["values"] += total(reports, "values")
        for verdict in WRONG:
            self.compared[verdict] += total(reports, verdict)
        print(f"\n{phase}, tenant {number}, as of {target.at}, in {time.monotonic() - started:.1f} s\n{table(reports)}")
        if wrong(reports):
            self.found.append(str(report))

    def figures(self) -> dict[str, Any]:
        """What a run comes to."""
        for tenant in self.tenants:
            self.look(tenant)
        objects = [one for tenant in self.tenants for one in tenant.objects]
        return {
            "seed": self.given.seed,
            "versions_read": sum(one["records_read"] for one in objects),
            "versions_written": sum(one["written"] for one in objects),
            "compared": dict(self.compared),
            "edits": dict(self.edits),
            "kills": self.stack.kills,
            "parked": dict(self.parked),
            "logged": dict(self.stack.errors().most_common(12)),
        }


def known_to(one: dict[str, Any], end: Any) -> bool:
    """Whether every deletion of an object up to a moment is known. Transcripts come and go with their sessions alone."""
    if one["api_name"] == TRANSCRIPTS:
        return True
    return any(one[told] is not None and moment(one[told]) > end for told in ("deletions_known_to", "swept_at"))


def rests(job: dict[str, Any]) -> bool:
    """Whether a job waits for its next time and for nothing else."""
    return (job["waits_for"] or {}).get("reason") in ("cadence", "not_kept", "related")


def main() -> int:
    """The command line."""
    root = Path(__file__).resolve().parents[3]
    parser = argparse.ArgumentParser(description="Edits, kills, compares.")
    parser.add_argument("--programs", type=Path, default=root / "target/debug", help="where the built programs are")
    parser.add_argument("--folder", type=Path, default=root / "target/compare/run", help="for logs, keys and reports")
    parser.add_argument("--cases", type=int, default=2_000, help="cases of each org")
    parser.add_argument("--orgs", type=int, default=2, help="tenants, each with an org of its own")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--edits", type=int, default=10, help="edits at once, five times a second")
    parser.add_argument("--seconds", type=float, default=30, help="of each phase; a first load takes what it takes")
    parser.add_argument("--kill-every", type=float, default=8, help="seconds between kills, on average; 0 for none")
    parser.add_argument("--late", type=float, default=8, help="seconds by which commits show late, at most")
    parser.add_argument(
        "--phases", default=",".join(PHASES), help="of load, edits, deletes, merges, departures (both), purges"
    )
    parser.add_argument("--spare", default="", help="objects whose records are only edited along with others")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    started = time.monotonic()
    folder = given.folder.resolve() / time.strftime("%m%d-%H%M%S")
    sizes = {"--orgs": given.orgs, "--cases": given.cases, "--seed": given.seed % 10_000, "--daily-max": 50_000_000}
    stack = Stack(given.programs.resolve(), folder, [str(part) for pair in sizes.items() for part in pair])
    try:
        storm = Storm(stack, given)
        for _ in range(given.workers):
            stack.start_worker()
        for phase in given.phases.split(","):
            storm.phase(phase)
        seconds = round(time.monotonic() - started, 1)
        print(json.dumps({**storm.figures(), "seconds": seconds, "reports": storm.found, "folder": str(folder)}))
        return 1 if storm.found else 0
    finally:
        stack.stop()


if __name__ == "__main__":
    sys.exit(main())
