"""The real programs as processes of their own: servers, simulator, scheduler, workers; and our API."""

import ctypes
import json
import os
import secrets
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

START_S = 120
# So long a busy server is asked again.
BUSY_S = 30
# What only waits is made to wait less. A lane outlives its worker by the time-out of a call.
SETTINGS = """
[database]
url = {database}
pool_size = 6
[broker]
url = {broker}
[http]
listen = "127.0.0.1:0"
operator_key_file = {operator_key}
[keys]
file = {key_ring}
[salesforce]
ca_file = {ca}
allow_loopback = true
calls_per_second = 1000
timeout_s = 10
[worker]
listen = "127.0.0.1:0"
[dispatch]
busy_wait_ms = 20
idle_wait_ms = 50
reap_every_s = 1
unclaimed_s = 5
reconcile_every_s = 1
[log]
format = "json"
"""


class NotReady(Exception):
    """A program ended, or did not get ready in time."""


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Process:
    """A child that ends when its owner does. Start it from the main thread: its life hangs on the thread's."""

    def __init__(self, folder: Path, name: str, command: list[str], stdin: int | None = None) -> None:
        self.name = name
        self.out, self.log = folder / f"{name}.out", folder / f"{name}.log"
        with self.out.open("wb") as out, self.log.open("wb") as log:
            self.child = subprocess.Popen(  # noqa: PLW1509
                command, stdin=stdin, stdout=out, stderr=log, preexec_fn=_die_with_parent
            )

    def lines(self, file: Path) -> list[dict[str, Any]]:
        """The JSON lines of a file that is being written."""
        text = file.read_text(errors="replace") if file.exists() else ""
        whole = text[: text.rfind("\n") + 1].splitlines()
        return [json.loads(line) for line in whole if line.startswith("{")]

    def ready(self) -> dict[str, Any]:
        """The line by which it says on standard output that it serves."""
        return self._wait(lambda: next(iter(self.lines(self.out)), None))

    def said(self, message: str, field: str) -> str:
        """A field of the line that it logs with this message."""
        lines = lambda: (line.get("fields", {}) for line in self.lines(self.log))  # noqa: E731
        return self._wait(lambda: next((one.get(field) for one in lines() if one.get("message") == message), None))

    def _wait(self, found: Any) -> Any:
        deadline = time.monotonic() + START_S
        while (result := found()) is None:
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise NotReady(f"{self.name} is not ready; its log is {self.log}:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)
        return result

    def kill(self) -> None:
        """Ends it without a word."""
        self.child.kill()
        self.child.wait()

    def stop(self) -> None:
        """Asks it to end."""
        self.child.terminate()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()


class Api:
    """Our HTTP API, with the operator's key."""

    # So long a busy server is asked again, and one that does not answer waited for.
    busy_s, wait_s = BUSY_S, 60

    def __init__(self, address: str, key: str) -> None:
        self.base, self.key = f"http://{address}/v1", key.strip()

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One call; a refusal is raised with the API's own words, but that the server is busy only after a while."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}/{path}", data, headers, method=method)
        deadline = time.monotonic() + self.busy_s
        while True:
            try:
                with urllib.request.urlopen(request, timeout=self.wait_s) as answer:
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                    words = error.read().decode(errors="replace")
                    raise NotReady(f"{method} {path}: {error.code} {words}") from error
            time.sleep(0.5)


class Stack:
    """A whole installation on servers and in a database of its own."""

    def __init__(self, programs: Path, folder: Path, simulator: list[str]) -> None:
        self.programs, self.folder = programs, folder
        self.processes: list[Process] = []
        self.workers: list[Process] = []
        self.kills = self._started = 0
        folder.mkdir(parents=True, exist_ok=True)
        servers = self._start("servers", ["run", "compare"], stdin=subprocess.PIPE)
        self.simulator = self._start("salesforce-sim", ["serve", "--dir", str(folder / "salesforce"), *simulator])
        self.servers = servers.ready()
        self.ready = self.simulator.ready()
        self.database_name = f"compare_{secrets.token_hex(4)}"
        self._admin("CREATE DATABASE {} TEMPLATE template0")
        self.database = self.servers["database_url"].rpartition("/")[0] + f"/{self.database_name}"
        self._configure()
        migrate = self._start("scheduler", ["--config", str(self.config), "migrate"], "migrate")
        if migrate.child.wait(START_S) != 0:
            raise NotReady(f"the schema was not applied: {migrate.log.read_text()[-2000:]}")
        scheduler = self._start("scheduler", ["--config", str(self.config), "serve"])
        address = scheduler.said("the scheduler serves", "address")
        self.api = Api(address, (folder / "operator.key").read_text())

    @property
    def config(self) -> Path:
        """The configuration of all programs."""
        return self.folder / "refrain.toml"

    @property
    def key_ring(self) -> Path:
        """The key ring, made by the scheduler at its first start."""
        return self.folder / "keys.toml"

    def _configure(self) -> None:
        values = {
            "database": self.database,
            "broker": self.servers["amqp_url"],
            "ca": self.ready["ca_file"],
            "operator_key": str(self.folder / "operator.key"),
            "key_ring": str(self.key_ring),
        }
        # A JSON string is a TOML string too.
        text = SETTINGS.format(**{key: json.dumps(value) for key, value in values.items()})
        self.config.touch(mode=0o600)
        self.config.write_text(text)

    def _admin(self, statement: str) -> None:
        with psycopg.connect(self.servers["database_url"], autocommit=True) as db:
            db.execute(sql.SQL(statement).format(sql.Identifier(self.database_name)))

    def _start(self, program: str, arguments: list[str], name: str = "", stdin: int | None = None) -> Process:
        process = Process(self.folder, name or program, [str(self.programs / program), *arguments], stdin)
        self.processes.append(process)
        return process

    def start_worker(self) -> None:
        """One more worker; it takes work as soon as it is ready."""
        self._started += 1
        worker = self._start("worker", ["--config", str(self.config), "run"], f"worker-{self._started}")
        self.workers.append(worker)

    def kill_worker(self, index: int) -> None:
        """SIGKILL for one worker, and another in its place."""
        self.workers.pop(index).kill()
        self.kills += 1
        self.start_worker()

    def check_alive(self) -> None:
        """Fails when a worker or a server ended by itself."""
        for process in [*self.processes[:2], *self.workers]:
            if process.child.poll() is not None:
                raise NotReady(f"{process.name} ended by itself: {process.log.read_text()[-2000:]}")

    def errors(self) -> Counter:
        """What all programs logged as an error or a warning, without what each is about."""
        found: Counter = Counter()
        for process in self.processes:
            for line in process.lines(process.log):
                if line.get("level") in ("ERROR", "WARN"):
                    found[f"{line['level']} {line.get('fields', {}).get('message', '')}"] += 1
        return found

    def stop(self) -> None:
        """Ends everything in order; the database goes, the logs stay."""
        servers, simulator, *others = self.processes
        for process in reversed(others):
            if process.child.poll() is None:
                process.stop()
        simulator.stop()
        if os.environ.get("COMPARE_KEEP") is None and servers.child.poll() is None and hasattr(self, "database"):
            self._admin("DROP DATABASE {} WITH (FORCE)")
        servers.stop()
