#!/usr/bin/env python3
"""Everything that can go wrong goes wrong, at random and at once: workers and schedulers are killed, frozen and told to
stop, the broker and the database are killed, frozen and emptied, and Salesforce answers with errors, late, or not at all.
Two tenants share an org.

At the end all is as it should be: what is stored equals the orgs, no job is left over or waits for a person, and no
invariant was ever seen broken. Exit code 1 when anything is amiss. The same seed chooses the same accidents.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import signal
import sys
import threading
import time
import urllib.error
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
from accidents import Accident, begin, counts, end, plan
from compare import printed_id
from life import Life
from stack import Api, NotReady, Process, Stack
from storm import Storm, Tenant
from values import moment

# So long an installation may be out of reach while its servers are broken.
AWAY_S = 150
# A worker that is told to stop has ended by then.
STOP_S = 30
# Seconds between looks at the jobs, and at what is to happen.
LOOK_S, TEND_S = 0.5, 0.1


class AnyApi(Api):
    """The API of whichever scheduler answers."""

    busy_s, wait_s = 0, 10

    def __init__(self, fleet: "Fleet", key: str) -> None:
        super().__init__("", key)
        self.fleet = fleet

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One call; it is repeated while nobody answers it."""
        deadline = time.monotonic() + AWAY_S
        while True:
            for address in self.fleet.addresses():
                self.base = f"http://{address}/v1"
                try:
                    return super().call(method, path, body)
                except (urllib.error.URLError, http.client.HTTPException, OSError):
                    pass
                except NotReady as refused:
                    if ": 503 " not in str(refused):
                        raise
            if time.monotonic() > deadline:
                raise NotReady(f"{method} {path}: nobody answers")
            self.fleet.tend()
            time.sleep(0.2)


class Watcher(threading.Thread):
    """Looks at all jobs, again and again: leases and publications of one only ever go up. A thread of its own, which may
    hang for as long as the database does."""

    def __init__(self, database: str) -> None:
        super().__init__(daemon=True)
        self.database = database
        # Of each job the publication, the lease and who has it.
        self.jobs: dict[int, tuple[int, int, str]] = {}
        self.amiss: list[str] = []
        self.lost: list[tuple[float, dict[int, int]]] = []
        self.elsewhere: list[float] = []

    def run(self) -> None:
        """Looks on for ever."""
        while True:
            time.sleep(LOOK_S)
            try:
                with psycopg.connect(self.database, connect_timeout=5) as db:
                    rows = db.execute("SELECT job_id, epoch, fence, coalesce(worker_id::text, '') FROM jobs").fetchall()
            except psycopg.Error:
                continue
            self._compare({job: (epoch, fence, worker) for job, epoch, fence, worker in rows})

    def _compare(self, now: dict[int, tuple[int, int, str]]) -> None:
        for job, (epoch, fence, _) in now.items():
            before = self.jobs.get(job)
            if before and (epoch < before[0] or fence < before[1]):
                self.amiss.append(f"job {job} went from {before} back to {(epoch, fence)}")
        self.jobs = now
        for one in list(self.lost):
            since, jobs = one
            for job in [job for job, fence in jobs.items() if job not in now or now[job][1] > fence]:
                del jobs[job]
                self.elsewhere.append(round(time.monotonic() - since, 1))
            if not jobs:
                self.lost.remove(one)

    def worker_lost(self, worker: str) -> None:
        """The jobs of this worker are to be somebody else's."""
        jobs = {job: fence for job, (_, fence, holder) in self.jobs.items() if holder == worker}
        self.lost.append((time.monotonic(), jobs))


class Fleet(Stack):
    """Several schedulers and workers, on servers that are broken and mended. Time goes on in it by `tend`."""

    def __init__(self, programs: Path, folder: Path, simulator: list[str], accidents: list[Accident]) -> None:
        super().__init__(programs, folder, simulator)
        self.accidents, self.done, self.under_way = accidents, [], []
        self.began: float | None = None
        self.frozen: dict[Accident, Process] = {}
        self.frozen_postgres: list[int] = []
        self.retiring: list[tuple[Process, float]] = []
        self.stops: list[float] = []
        self.restarts: Counter = Counter()
        self.amiss: list[str] = []
        self.orgs: list[Any] = []
        self._tended = 0.0
        self.schedulers = [self.processes[-1]]
        self.api = AnyApi(self, self.api.key)
        self.start_scheduler()
        self.watcher = Watcher(self.database)
        self.watcher.start()

    def addresses(self) -> list[str]:
        """Where schedulers that are not frozen serve."""
        found = []
        for one in self.schedulers:
            if one not in self.frozen.values():
                lines = (line.get("fields", {}) for line in one.lines(one.log))
                found += [it["address"] for it in lines if it.get("message") == "the scheduler serves"]
        return found

    def start_scheduler(self) -> None:
        """One more scheduler."""
        self._started += 1
        name = f"scheduler-{self._started}"
        self.schedulers.append(self._start("scheduler", ["--config", str(self.config), "serve"], name))

    def check_alive(self) -> None:
        """Whoever ended by itself, because its servers were away, is started again, as a cluster does it."""
        for process in self.processes[:2]:
            if process.child.poll() is not None:
                raise NotReady(f"{process.name} ended by itself: {process.log.read_text()[-2000:]}")
        for group, start in ((self.workers, self.start_worker), (self.schedulers, self.start_scheduler)):
            for process in [one for one in group if one.child.poll() is not None]:
                group.remove(process)
                self.restarts[process.name.partition("-")[0]] += 1
                start()

    def tend(self) -> None:
        """Lets happen what is due, and looks after those that were told to stop."""
        if self.began is None or time.monotonic() - self._tended < TEND_S:
            return
        self._tended = time.monotonic()
        now = self._tended - self.began
        for one in [one for one in self.under_way if one.until <= now]:
            self.under_way.remove(one)
            end(self, one)
        while self.accidents and self.accidents[0].at <= now:
            one = self.accidents.pop(0)
            print(f"  {one}", file=sys.stderr, flush=True)
            self.done.append(one)
            self.under_way.append(one)
            begin(self, one)
        for process, since in list(self.retiring):
            took = time.monotonic() - since
            if process.child.poll() is None and took <= STOP_S:
                continue
            self.retiring.remove((process, since))
            self.stops.append(round(took, 1))
            if process.child.poll() is None:
                self.amiss.append(f"{process.name} had not stopped after {STOP_S} s")
                process.kill()
            elif process.child.returncode != 0 and self.name_of(process):
                # One that had not begun to run has nothing to hand back.
                self.amiss.append(f"{process.name} stopped with {process.child.returncode}")

    def is_calm(self) -> bool:
        """Whether nothing is broken and nothing more will be."""
        return not (self.accidents or self.under_way or self.retiring)

    def order(self, what: str) -> None:
        """The servers are broken or mended."""
        stdin = self.processes[0].child.stdin
        stdin.write(f"{what}\n".encode())
        stdin.flush()

    def refused_orders(self) -> list[str]:
        """What the servers could not do."""
        lines = self.processes[0].lines(self.processes[0].out)
        return [f"{line['order']}: {line['error']}" for line in lines if "error" in line]

    def lose_worker(self, which: int) -> None:
        """SIGKILL for a worker, and another in its place."""
        worker = self.workers.pop(which % len(self.workers))
        self.frozen = {one: process for one, process in self.frozen.items() if process is not worker}
        name = self.name_of(worker)
        worker.kill()
        if name:
            self.watcher.worker_lost(str(printed_id(name)))
        self.kills += 1
        self.start_worker()

    def name_of(self, worker: Process) -> str | None:
        """What a worker calls itself, once it runs."""
        lines = (line.get("fields", {}) for line in worker.lines(worker.log))
        return next((one["worker.id"] for one in lines if one.get("message") == "worker runs"), None)

    def retire_worker(self, which: int) -> None:
        """SIGTERM for a worker, and another in its place, as an update does it."""
        well = [one for one in self.workers if one not in self.frozen.values()]
        if well:
            worker = well[which % len(well)]
            self.workers.remove(worker)
            worker.child.terminate()
            self.retiring.append((worker, time.monotonic()))
            self.start_worker()

    def lose_scheduler(self, which: int) -> None:
        """SIGKILL for a scheduler, and another in its place."""
        self.schedulers.pop(which % len(self.schedulers)).kill()
        self.start_scheduler()

    def freeze(self, process: Process, one: Accident) -> None:
        """Stops the time of a process."""
        if process not in self.frozen.values():
            process.child.send_signal(signal.SIGSTOP)
            self.frozen[one] = process

    def thaw(self, one: Accident) -> None:
        """Lets its time go on."""
        process = self.frozen.pop(one, None)
        if process is not None and process.child.poll() is None:
            process.child.send_signal(signal.SIGCONT)

    def freeze_postgres(self, is_frozen: bool) -> None:
        """Stops the time of the database and of all its sessions, or lets it go on."""
        if is_frozen:
            try:
                with psycopg.connect(self.database, connect_timeout=3) as db:
                    postmaster = _parent_of(db.execute("SELECT pg_backend_pid()").fetchone()[0])
            except psycopg.Error:
                return
            self.frozen_postgres = [postmaster, *(pid for pid in _processes() if _parent_of(pid) == postmaster)]
        for pid in self.frozen_postgres:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP if is_frozen else signal.SIGCONT)

    def end_sessions(self, which: int) -> None:
        """Some sessions of the database end, whatever they do."""
        sql = """SELECT pg_terminate_backend(pid) FROM (
                     SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
                      ORDER BY pid LIMIT %s) s"""
        with contextlib.suppress(psycopg.Error), psycopg.connect(self.database, connect_timeout=3) as db:
            db.execute(sql, [1 + which % 8])

    def salesforce(self, what: str, seconds: float) -> None:
        """Every org misbehaves for a while."""
        often = {"for_ms": int(seconds * 1000), "chance": {"percent": 30, "seed": 7}}
        away = {"kind": "error", "status": 503, "code": "SERVER_UNAVAILABLE", "message": "Away."}
        for org in self.orgs:
            match what.split()[0]:
                case "expire":
                    org.post("sessions/expire", {})
                case "errors":
                    org.post("faults", {**often, "fault": away})
                case "lost":
                    org.post("faults", {**often, "fault": {"kind": "lost_answer"}})
                case "slow":
                    org.post("latency", {"ms": 500})
                case "crowded":
                    org.post("limits", {"concurrent_max": 2})
                case _:
                    org.post("latency", {"ms": 0})
                    org.post("limits", {"concurrent_max": 0})

    def stop(self) -> None:
        """Mends everything and ends it."""
        for process in self.frozen.values():
            process.child.send_signal(signal.SIGCONT)
        self.freeze_postgres(False)
        for order in ("thaw broker", "calm broker"):
            self.order(order)
        super().stop()


def _processes() -> list[int]:
    return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()]


def _parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


class Chaos(Storm):
    """A run over all accidents, with what is seen meanwhile."""

    look_s, ask_s = 2.0, 5.0

    def __init__(self, stack: Fleet, given: argparse.Namespace) -> None:
        super().__init__(stack, given)
        self.fleet = stack
        stack.orgs = [tenant.org for tenant in self.tenants]
        # Another tenant of the first org.
        self.tenants.append(self.connect(len(self.tenants), stack.ready["orgs"][0]))
        self.calm_s = 0.0

    def turn(self, kills: bool = False) -> None:
        """A moment of it."""
        self.fleet.tend()
        super().turn(kills=False)

    def look(self, tenant: Tenant) -> None:
        """Learns where each object stands. One may wait for somebody while it cannot be read."""
        status = self.stack.api.call("GET", f"tenants/{tenant.id}/status")
        tenant.objects = [one for connection in status["connections"] for one in connection["objects"]]

    def run(self) -> None:
        """Accidents for as long as was asked for, then peace, and the verdicts."""
        started = self.fleet.began = self._began = time.monotonic()
        lives = [Life(one.org, "departures", self.given, one.ids) for one in self.tenants[:-1]]
        for life in lives:
            life.start()
        while time.monotonic() - started < self.given.seconds or not self.fleet.is_calm():
            self.turn()
            self.patience(time.monotonic(), "the last accident")
        for life in lives:
            life.stop()
        for life in lives:
            life.end()
            self.edits += life.done
        self.settle({tenant.id: moment(tenant.org.now()) for tenant in self.tenants})
        for number, tenant in enumerate(self.tenants):
            self.compare("chaos", number, tenant)
        self.left_over()

    def settle(self, ends: dict[str, Any]) -> None:
        """Waits until everything is past the last edit, and every deletion is known."""
        waiting = time.monotonic()
        while not self.all_are(lambda one: one["state"] == "current") or self.behind(ends):
            self.turn()
            self.patience(waiting, "every object to be past the last edit")
        self.purged(ends, waiting)
        self.rest(waiting)
        self.calm_s = round(time.monotonic() - waiting, 1)

    def left_over(self) -> None:
        """What should not be there when all is at rest."""
        self.fleet.amiss += self.fleet.watcher.amiss + self.fleet.refused_orders()
        with psycopg.connect(self.stack.database) as db:
            for what, where in (
                ("jobs in somebody's hands", "jobs WHERE state IN (1, 2)"),
                ("jobs that wait for a person", "jobs WHERE state = 3"),
                ("orgs with lanes that are held", "org_limits WHERE jsonb_array_length(lanes) > 0"),
            ):
                (count,) = db.execute(f"SELECT count(*) FROM {where}").fetchone()
                if count:
                    self.fleet.amiss.append(f"{count} {what}")

    def figures(self) -> dict[str, Any]:
        """What the run comes to."""
        fleet = self.fleet
        return {
            **super().figures(),
            "accidents": counts(fleet.done),
            "restarts": dict(fleet.restarts),
            "seconds_until_elsewhere": sorted(fleet.watcher.elsewhere),
            "seconds_to_stop": sorted(fleet.stops),
            "seconds_to_calm": self.calm_s,
            "most_concurrent_calls": max(org.get("calls")["max_concurrent"] for org in fleet.orgs),
            "amiss": fleet.amiss,
        }


def main() -> int:
    """The command line."""
    root = Path(__file__).resolve().parents[3]
    parser = argparse.ArgumentParser(description="Accidents, compares.")
    parser.add_argument("--programs", type=Path, default=root / "target/debug", help="where the built programs are")
    parser.add_argument("--folder", type=Path, default=root / "target/compare/run", help="for logs, keys and reports")
    parser.add_argument("--cases", type=int, default=500, help="cases of each org")
    parser.add_argument("--orgs", type=int, default=2, help="orgs; the first has two tenants")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--edits", type=int, default=10, help="edits at once, five times a second")
    parser.add_argument("--seconds", type=float, default=1_800, help="of accidents")
    parser.add_argument("--late", type=float, default=8, help="seconds by which commits show late, at most")
    given = parser.parse_args()
    given.spare, given.kill_every = "", 0
    accidents = plan(given.seed, given.seconds)
    print(f"seed {given.seed}, {len(accidents)} accidents", flush=True)
    started = time.monotonic()
    folder = given.folder.resolve() / time.strftime("chaos-%m%d-%H%M%S")
    sizes = {"--orgs": given.orgs, "--cases": given.cases, "--seed": given.seed % 10_000, "--daily-max": 50_000_000}
    fleet = Fleet(given.programs.resolve(), folder, [str(part) for pair in sizes.items() for part in pair], accidents)
    try:
        chaos = Chaos(fleet, given)
        for _ in range(given.workers):
            fleet.start_worker()
        chaos.run()
        figures = chaos.figures()
        seconds = round(time.monotonic() - started, 1)
        print(json.dumps({**figures, "seconds": seconds, "reports": chaos.found, "folder": str(folder)}))
        return 1 if chaos.found or fleet.amiss else 0
    finally:
        fleet.stop()


if __name__ == "__main__":
    sys.exit(main())
