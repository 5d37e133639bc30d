#!/usr/bin/env python3
"""Compares what is stored with what an org of the simulator holds. Shares no code with what it judges.

    compare.py --database URL --key-ring FILE --control URL --org ID --ca FILE [--tenant ten_…] [--connection con_…]
    compare.py --self-test

Exit code 0: everything is equal; 1: something differs; 2: one of the two sides cannot be read.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from conversations import Said, judge_tickets
from files import judge_files
from judge import Here, Judge
from people import TABLES
from report import FILES, TICKETS, Report, summary, table, wrong
from retention import over
from rules import RULES, TRANSCRIPTS
from sealed import TenantKeys, read_key_ring
from stored import Store, Sync
from transcripts import IDENTIFIER, transcripts
from truth import Org, Parents

# A policy as long as this keeps everything, so nothing has to be counted.
LONGEST_DAYS = 3650
NEVER = "9999-12-31T00:00:00Z"


@dataclass
class Target:
    """Whose rows are compared, and with what."""

    database: str
    key_ring: Path
    org: Org
    at: str
    tenant: uuid.UUID
    connection: uuid.UUID
    user: str = "default"
    # Values over a lookup must be what their parents show, whenever those changed.
    fresh: bool = False


@dataclass
class Shared:
    """What all objects are compared with."""

    target: Target
    keys: TenantKeys
    parents: Parents
    snapshot: str
    transcripts: list[dict[str, Any]]
    # By ticket and by what belongs to one: whether its time is over.
    over: dict[str, bool | None]

    def truths(self, name: str) -> Iterable[dict[str, Any]]:
        """The org's records of an object, in order of id."""
        return (
            self.transcripts if name == TRANSCRIPTS else self.target.org.records(name, self.target.at, self.target.user)
        )


# What the processes that compare one object each were forked with.
_SHARED: "Shared | None" = None


def printed_id(text: str) -> uuid.UUID:
    """Reads an id with or without its prefix."""
    return uuid.UUID(text.rpartition("_")[2])


def find_connection(url: str, org_id: str) -> tuple[uuid.UUID, uuid.UUID]:
    """The only connection to that org."""
    with psycopg.connect(url) as db:
        db.execute("SET ROLE refrain_control")
        rows = db.execute("SELECT tenant_id, connection_id FROM connections WHERE org_id = %s", [org_id]).fetchall()
    if len(rows) != 1:
        raise LookupError(f"{len(rows)} connections to {org_id}: name one with --tenant and --connection")
    return rows[0]


def _one(sync: Sync) -> tuple[Report, Said]:
    assert _SHARED is not None
    target, keys, object_id = _SHARED.target, _SHARED.keys, sync.object_id
    store = Store(target.database, target.tenant, target.connection, _SHARED.snapshot)
    is_ticket = sync.role == "ticket"
    here = Here(
        store.records(object_id),
        store.messages(object_id) if sync.name in RULES else (),
        store.tickets(object_id) if is_ticket else (),
        store.people(*TABLES[sync.name], object_id) if sync.name in TABLES else (),
        store.facets(object_id) if is_ticket else (),
    )
    # Transcripts are asked for now, and their entries may bear any time.
    at = NEVER if sync.name == TRANSCRIPTS else target.at
    judge = Judge(sync, keys, target.connection, store.field_sets(object_id), _SHARED.parents, at, _SHARED.over)
    judge.walk(_SHARED.truths(sync.name), here)
    store.close()
    return judge.report, judge.said


def compare(target: Target, processes: int = 0) -> list[Report]:
    """Compares every enabled object of the connection, its tickets and its files, which are the last two reports."""
    global _SHARED  # noqa: PLW0603
    store = Store(target.database, target.tenant, target.connection)
    keys = TenantKeys.unwrap(read_key_ring(target.key_ring), target.tenant, store.key_rows())
    syncs, sizes = store.syncs(), target.org.sizes()
    enabled = {sync.name for sync in syncs}
    paths = {one.path for sync in syncs for set_ in store.field_sets(sync.object_id).values() for one in set_}
    paths |= {IDENTIFIER} if TRANSCRIPTS in enabled else set()
    parents = Parents({path for path in paths if "." in path})
    parents.are_fresh = target.fresh
    for name in sorted(parents.objects & sizes.keys()):
        for record in target.org.records(name, target.at, target.user):
            parents.add(name, record)
    said_elsewhere = transcripts(target.org, target.at, target.user, enabled, parents) if TRANSCRIPTS in enabled else []
    shared = _SHARED = Shared(target, keys, parents, store.snapshot(), said_elsewhere, {})
    if (days := store.ticket_days()) < LONGEST_DAYS:
        named = [(sync.name, sync.role) for sync in syncs]
        shared.over = over(shared.truths, named, parents, target.at, days)
    syncs.sort(key=lambda sync: -sizes.get(sync.name, 0))
    with multiprocessing.get_context("fork").Pool(processes or min(os.cpu_count() or 1, 8)) as pool:
        results = pool.map(_one, syncs, chunksize=1)
    said = Said()
    for _, one in results:
        said.merge(one)
    objects = sorted((report for report, _ in results), key=lambda report: report.name)
    reports = [*objects, _tickets(store, said), _files(store, said, target, keys)]
    store.close()
    return reports


def _tickets(store: Store, said: Said) -> Report:
    """What tickets count, and rows of no object."""
    report = Report(TICKETS)
    report.counts["there"] = report.counts["here"] = len(said.tickets)
    for verdict, ticket, what in judge_tickets(said):
        report.note(verdict, ticket, what)
    for name, object_id, count in store.strays():
        report.note("foreign", f"object {object_id}", f"{count} rows of {name} belong to no object that is kept")
    if count := store.set_aside():
        report.note("lost", "quarantine", f"{count} records were set aside")
    return report


def _files(store: Store, said: Said, target: Target, keys: TenantKeys) -> Report:
    """Bodies of files, as the org gives them now."""
    report, files = Report(FILES), store.files()
    report.counts["there"] = len(said.files)
    report.counts["here"] = len(files)
    opener = keys, target.connection
    body_of = lambda *where: target.org.rest().body(*where)  # noqa: E731
    for verdict, file, what in judge_files(said.files, files, store.chunks(), opener, body_of):
        report.note(verdict, file, what)
    return report


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Compares what is stored with an org of the simulator.")
    parser.add_argument("--self-test", action="store_true", help="show that each kind of difference is found")
    parser.add_argument("--database", help="URL; a login that is a member of refrain_tenant")
    parser.add_argument("--key-ring", type=Path, help="the key ring's file")
    parser.add_argument("--control", help="the simulator's control API")
    parser.add_argument("--org", help="the org's id")
    parser.add_argument("--ca", default="", help="certificate of the simulator's authority, for bodies and transcripts")
    parser.add_argument("--tenant", help="when several are connected to the org")
    parser.add_argument("--connection", help="when several are connected to the org")
    parser.add_argument("--at", help="the moment to compare with, RFC 3339; now if absent")
    parser.add_argument("--user", default="default", help="whose sight of the org counts")
    parser.add_argument("--fresh", action="store_true", help="values over a lookup must be as their parents are")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    if given.self_test:
        import selftest

        return selftest.run()
    if not (given.database and given.key_ring and given.control and given.org and given.ca):
        parser.error("--database, --key-ring, --control, --org and --ca are needed")
    org, started = Org(given.control, given.org, given.ca), time.monotonic()
    if given.tenant and given.connection:
        tenant, connection = printed_id(given.tenant), printed_id(given.connection)
    else:
        tenant, connection = find_connection(given.database, given.org)
    target = Target(given.database, given.key_ring, org, given.at or org.now(), tenant, connection, given.user, given.fresh)
    reports = compare(target)
    seconds = round(time.monotonic() - started, 1)
    if given.json:
        print(json.dumps({"at": target.at, "seconds": seconds, **summary(reports)}))
    else:
        print(f"{table(reports)}\nas of {target.at}, compared in {seconds} s")
    return 1 if wrong(reports) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, LookupError, psycopg.Error) as error:
        print(f"cannot compare: {error}", file=sys.stderr)
        sys.exit(2)
