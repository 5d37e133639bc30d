#!/usr/bin/env python3
"""Compares what is stored with what an org of the simulator holds. Shares no code with what it judges.

    compare.py --database URL --key-ring FILE --control URL --org ID [--tenant ten_…] [--connection con_…]
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from conversations import RULES, Said, judge_tickets
from judge import WRONG, Judge, Report
from sealed import TenantKeys, read_key_ring
from stored import Store, Sync
from truth import Org, Parents

COLUMNS = ("there", "here", "there_deleted", "tombstones", "purged", "hidden", "drifted", "ahead", *WRONG)


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


# What the processes that compare one object each were forked with.
_SHARED: tuple[Target, TenantKeys, Parents, str] | None = None


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
    target, keys, parents, snapshot = _SHARED
    store = Store(target.database, target.tenant, target.connection, snapshot)
    # A second stream of the same snapshot needs a connection of its own only when rows are many; cursors are enough.
    judge = Judge(sync, keys, target.connection, store.field_sets(sync.object_id), parents, target.at)
    judge.walk(
        target.org.records(sync.name, target.at, target.user),
        store.records(sync.object_id),
        store.messages(sync.object_id) if sync.name in RULES else (),
        store.tickets(sync.object_id) if sync.role == "ticket" else (),
    )
    store.close()
    return judge.report, judge.said


def compare(target: Target, processes: int = 0) -> list[Report]:
    """Compares every enabled object of the connection, and its tickets. The last report is of the tickets."""
    global _SHARED  # noqa: PLW0603
    store = Store(target.database, target.tenant, target.connection)
    keys = TenantKeys.unwrap(read_key_ring(target.key_ring), target.tenant, store.key_rows())
    syncs = store.syncs()
    paths = {one.path for sync in syncs for set_ in store.field_sets(sync.object_id).values() for one in set_}
    sizes = {name: count["live"] + count["deleted"] for name, count in target.org.get("truth")["objects"].items()}
    parents = Parents({path for path in paths if "." in path})
    for name in sorted(parents.objects & sizes.keys()):
        for record in target.org.records(name, target.at, target.user):
            parents.add(name, record)
    _SHARED = (target, keys, parents, store.snapshot())
    syncs.sort(key=lambda sync: -sizes.get(sync.name, 0))
    with multiprocessing.get_context("fork").Pool(processes or min(os.cpu_count() or 1, 8)) as pool:
        results = pool.map(_one, syncs, chunksize=1)
    said, tickets = Said(), Report("(tickets)")
    for _, one in results:
        said.merge(one)
    tickets.counts["there"] = tickets.counts["here"] = len(said.tickets)
    for verdict, ticket, what in judge_tickets(said):
        tickets.note(verdict, ticket, what)
    for table, object_id, count in store.strays():
        tickets.note("foreign", f"object {object_id}", f"{count} rows of {table} belong to no object that is kept")
    store.close()
    return [*sorted((report for report, _ in results), key=lambda report: report.name), tickets]


def table(reports: list[Report]) -> str:
    """The counts by object, and the first differences."""
    names = ["object", *(name.replace("there_deleted", "bin") for name in COLUMNS)]
    lines = [[report.name, *(str(report.counts[name]) for name in COLUMNS)] for report in reports]
    lines.append(["all objects", *(str(total(reports, name)) for name in COLUMNS)])
    widths = [max(len(line[place]) for line in [names, *lines]) for place in range(len(names))]
    text = ["  ".join(word.rjust(width) for word, width in zip(line, widths, strict=True)) for line in [names, *lines]]
    return "\n".join([*text, *(one for report in reports for one in report.differences)])


def total(reports: list[Report], name: str) -> int:
    """A count over all objects; tickets are records that were counted already, but for what is wrong with them."""
    return sum(report.counts[name] for report in reports if name in WRONG or report.name != "(tickets)")


def summary(reports: list[Report]) -> dict[str, Any]:
    """Everything as JSON."""
    objects = {report.name: {"counts": dict(report.counts), "differences": report.differences} for report in reports}
    return {"exact": not wrong(reports), **{name: total(reports, name) for name in COLUMNS}, "objects": objects}


def wrong(reports: list[Report]) -> int:
    """How many differences there are in all."""
    return sum(report.wrong() for report in reports)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Compares what is stored with an org of the simulator.")
    parser.add_argument("--self-test", action="store_true", help="show that each kind of difference is found")
    parser.add_argument("--database", help="URL; a login that is a member of refrain_tenant")
    parser.add_argument("--key-ring", type=Path, help="the key ring's file")
    parser.add_argument("--control", help="the simulator's control API")
    parser.add_argument("--org", help="the org's id")
    parser.add_argument("--tenant", help="when several are connected to the org")
    parser.add_argument("--connection", help="when several are connected to the org")
    parser.add_argument("--at", help="the moment to compare with, RFC 3339; now if absent")
    parser.add_argument("--user", default="default", help="whose sight of the org counts")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    if given.self_test:
        import selftest

        return selftest.run()
    if not (given.database and given.key_ring and given.control and given.org):
        parser.error("--database, --key-ring, --control and --org are needed")
    org, started = Org(given.control, given.org), time.monotonic()
    if given.tenant and given.connection:
        tenant, connection = printed_id(given.tenant), printed_id(given.connection)
    else:
        tenant, connection = find_connection(given.database, given.org)
    target = Target(given.database, given.key_ring, org, given.at or org.now(), tenant, connection, given.user)
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
