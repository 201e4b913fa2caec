"""No notification is lost when watchers are killed and receivers fail, and none is made twice."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from attune_monitoring.alerts.outbox import Outbox
from attune_monitoring.records import LLMCallRecord, encode_call

pytestmark = pytest.mark.slow

T0 = 1_800_000_000
KILLS = 60
STEP = 900
"""Seconds between watchers: longer than the rule's window, so that each finds other alerts than the one before."""
WORKFLOWS = ("a", "b", "c", "d", "e")
WATCHERS = """
import os, signal, sys, threading
from pathlib import Path
from attune_monitoring.alerts import AlertAction, AlertRule, m
from attune_monitoring.alerts.engine import AlertEngine
from attune_monitoring.sources.local import LocalSource

folder, url = Path(sys.argv[1]), sys.argv[2]
webhook = AlertAction("webhook", {"url": url, "timeout": "1s", "rate": 1000}, "receiver")
rules = [AlertRule("cost", m.cost.sum("10m") > 1, by="workflow_name", actions=[webhook])]
for line in sys.stdin:  # a process for each line: the imports are made once
    now = float(line)
    child = os.fork()
    if child == 0:
        with AlertEngine(rules, LocalSource(folder), folder=folder, clock=lambda: now) as engine:
            report = engine.tick()
            print("standby" if report.standby else "done", flush=True)
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("over", flush=True)
"""


class Receiver:
    """A loopback server that fails in every way; what it acknowledged with 2xx is kept."""

    def __init__(self) -> None:
        self.acknowledged: list[dict[str, Any]] = []
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, int] = defaultdict(int)
        self.healthy = False
        self._random = random.Random(11)
        self._guard = threading.Lock()
        self.closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.take(self, self.headers["Idempotency-Key"], body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/alerts"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def take(self, handler: BaseHTTPRequestHandler, key: str, body: dict[str, Any]) -> None:
        with self._guard:
            self.seen.append((key, body))
            kinds = ("fine", "500", "429", "reset", "silent", "heard but not answered")
            kind = "fine" if self.healthy else self._random.choices(kinds, (4, 2, 1, 1, 1, 1))[0]
            self.answers[kind] += 1
        if kind in ("reset", "heard but not answered"):
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
            handler.close_connection = True
            return
        if kind == "silent":
            self.closing.wait(30)
            handler.close_connection = True
            return
        handler.send_response({"fine": 204, "500": 500, "429": 429}[kind])
        if kind == "429":
            handler.send_header("Retry-After", "1")
        handler.end_headers()
        if kind == "fine":
            with self._guard:
                self.acknowledged.append(body)

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


class Watchers:
    """Starts a watcher at a given time, and may kill it."""

    def __init__(self, folder: Path, url: str) -> None:
        self._program = subprocess.Popen(
            [sys.executable, "-c", WATCHERS, os.fspath(folder), url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def watch(self, now: float, *, kill_after: float | None = None) -> str:
        """Return what the watcher said; it is killed after so many seconds."""
        assert self._program.stdin is not None and self._program.stdout is not None
        self._program.stdin.write(f"{now}\n")
        self._program.stdin.flush()
        child = int(self._program.stdout.readline())
        timer = None
        if kill_after is not None:
            timer = threading.Timer(kill_after, os.kill, (child, signal.SIGKILL))
            timer.start()
        said = ""
        while (line := self._program.stdout.readline().strip()) != "over":
            assert line, "the watchers' program has ended"
            said = line
            if timer is not None:  # it was quicker: nothing must be killed that has its number by now
                timer.cancel()
                timer.join()
        if timer is not None:
            timer.cancel()
            timer.join()
        return said

    def close(self) -> None:
        self._program.communicate()


@pytest.fixture
def watchers(tmp_path: Path, receiver: Receiver) -> Iterator[Watchers]:
    one = Watchers(tmp_path, receiver.url)
    yield one
    one.close()


def spend(folder: Path, now: float, *workflows: str) -> None:
    with (folder / "llm_calls.jsonl").open("ab") as file:
        for workflow in workflows:
            stamp = datetime.fromtimestamp(now - 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            call = LLMCallRecord(
                call_id=f"{workflow}{now}", timestamp=stamp, workflow_name=workflow, actual_cost=2.0, dialect="attune"
            )
            file.write(encode_call(call).rstrip(b"\n") + b"\n")


def parts(body: dict[str, Any]) -> list[dict[str, Any]]:
    return body["parts"] or [body]


def identity(message: dict[str, Any]) -> tuple[str, str, str]:
    return message["kind"], message["labels"]["workflow_name"], message["at"]


def test_killed_sixty_times_with_a_flaky_receiver_nothing_is_lost_and_duplicates_have_the_same_key(
    tmp_path: Path, receiver: Receiver, watchers: Watchers
) -> None:
    rnd = random.Random(7)
    now = float(T0)
    killed = 0
    while killed < KILLS:
        now += STEP
        spend(tmp_path, now, *rnd.sample(WORKFLOWS, 3))
        killed += watchers.watch(now, kill_after=rnd.uniform(0.0, 0.6)) == ""
    receiver.healthy = True
    for _ in range(6):  # hours in which nothing is spent: what waits is tried again
        now += 3600
        watchers.watch(now)
    outbox = Outbox(tmp_path, clock=lambda: now)
    happened = {
        (past.kind, past.labels["workflow_name"], stamp(past.at))
        for past in outbox.history(100_000)
        if past.kind in ("firing", "resolved")
    }
    heard = [identity(part) for body in receiver.acknowledged for part in parts(body)]
    keys: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for _, body in receiver.seen:
        for part in parts(body):
            keys[identity(part)].add(part["key"])
    sent = [part["key"] for _, body in receiver.seen for part in parts(body)]
    print(
        f"{killed} killed of {KILLS}; {len(happened)} notifications; {len(sent) - len(set(sent))} seen again; "
        f"answers {dict(receiver.answers)}"
    )
    assert len(happened) > KILLS
    assert happened - set(heard) == set()
    assert set(heard) - happened == set()
    assert {len(known) for known in keys.values()} == {1}
    assert outbox.backlog() == (0, None, 0)
    outbox.close()


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_watcher_that_starts_after_a_kill_does_not_wait_for_the_lease(
    tmp_path: Path, receiver: Receiver, watchers: Watchers
) -> None:
    receiver.healthy = True
    spend(tmp_path, T0, "a")
    outbox = Outbox(tmp_path, clock=lambda: float(T0))
    while outbox.lease() is None:  # killed as soon as it has the folder
        watchers.watch(T0, kill_after=0.05)
    outbox.close()
    assert watchers.watch(T0 + 1) == "done"


def test_two_watchers_tell_each_thing_once(tmp_path: Path, receiver: Receiver) -> None:
    receiver.healthy = True
    both = [Watchers(tmp_path, receiver.url) for _ in range(2)]
    for number in range(10):
        now = float(T0 + number * STEP)
        spend(tmp_path, now, WORKFLOWS[number % len(WORKFLOWS)])
        threads = [threading.Thread(target=one.watch, args=(now,)) for one in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for one in both:
        one.close()
    heard = [identity(part) for body in receiver.acknowledged for part in parts(body)]
    assert len(heard) == len(set(heard)) == 10 + 9
