"""Runs collector/*.yaml in a real collector on free ports; what only SigNoz' collector has is replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData

from collector_build import collector_binary
from otlp_backend import Backend, free_port
from stack_files import ROOT, loaded

__all__ = ["CONFIGURATIONS", "EXPORTERS", "Collector", "collecting"]

CONFIGURATIONS = ("generic", "signoz")
EXPORTERS = {
    "generic": {"traces": [""], "metrics": [""], "logs": [""]},
    "signoz": {
        "traces": ["clickhousetraces", "metadataexporter"],
        "metrics": ["signozclickhousemetrics", "metadataexporter"],
        "logs": ["clickhouselogsexporter", "metadataexporter"],
    },
}
"""Who sends each signal on, as `Backend` names it; the first is the one that the signal is for."""
_READY = "Everything is ready"


class Collector:
    """A collector; `start` it, and `stop` or `kill` it as often as wanted: its ports and its queue stay the same."""

    def __init__(self, folder: Path, files: list[Path], environment: dict[str, str]) -> None:
        self._binary = collector_binary()
        grpc, http, self._health = free_port(), free_port(), free_port()
        self.endpoints = {"grpc": f"http://127.0.0.1:{grpc}", "http/protobuf": f"http://127.0.0.1:{http}"}
        inside = {signal: f"127.0.0.1:{free_port()}" for signal in ("traces", "metrics", "logs")}
        here = folder / "here.yaml"
        here.write_text(
            yaml.safe_dump(
                {
                    "extensions": {"health_check": {"endpoint": f"127.0.0.1:{self._health}"}},
                    "receivers": {
                        "otlp": {
                            "protocols": {
                                "grpc": {"endpoint": f"127.0.0.1:{grpc}"},
                                "http": {"endpoint": f"127.0.0.1:{http}"},
                            }
                        },
                        **{
                            f"otlp/{signal}": {"protocols": {"http": {"endpoint": address}}}
                            for signal, address in inside.items()
                        },
                    },
                    "exporters": {
                        "otlp_http/inside": {
                            f"{signal}_endpoint": f"http://{address}/v1/{signal}" for signal, address in inside.items()
                        }
                    },
                    # Its own metrics would be offered on a port that is always the same.
                    "service": {"telemetry": {"metrics": {"level": "none"}}},
                }
            )
        )
        self._arguments = [f"--config={file}" for file in (*files, here)]
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("ATTUNE_")}
        self._environment |= {"ATTUNE_QUEUE_DIR": str(folder / "queue"), **environment}
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._said: list[str] = []
        self._changed = threading.Condition()

    def start(self) -> None:
        """Start it and return when it takes data; an AssertionError has what it said if it ended instead."""
        self._said.clear()
        self._process = subprocess.Popen(
            [self._binary, *self._arguments], env=self._environment, stderr=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._reader.start()
        self.wait_until_it_says(_READY)

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            with self._changed:
                self._said.append(line)
                self._changed.notify_all()
        with self._changed:
            process.wait()
            self._changed.notify_all()

    def wait_until_it_says(self, text: str, seconds: float = 60.0) -> None:
        """Block until a line of its log has this text."""
        process = self._process
        assert process is not None
        with self._changed:
            self._changed.wait_for(lambda: self._has_said(text) or process.returncode is not None, seconds)
            assert self._has_said(text), "".join(self._said)

    def _has_said(self, text: str) -> bool:
        return any(text in line for line in self._said)

    def is_healthy(self) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._health}/", timeout=30) as answer:
            return bool(answer.status == 200)

    def post_logs(self, *records: LogRecord) -> int:
        """Send log records over HTTP, and return the status of the answer."""
        logs = LogsData()
        logs.resource_logs.add().scope_logs.add().log_records.extend(records)
        request = urllib.request.Request(
            f"{self.endpoints['http/protobuf']}/v1/logs",
            logs.SerializeToString(),
            {"Content-Type": "application/x-protobuf"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def stop(self) -> None:
        """End it as `docker stop` does: it finishes what it can."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as the out-of-memory killer does."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._reader is not None:
            self._process.send_signal(how)
            self._reader.join(60)
            assert self._process.returncode is not None, "it did not end"
            self._process = None


def without_clickhouse(backend: str) -> dict[str, Any]:
    """Return signoz.yaml for the stock collector: each exporter sends to `backend/<name>`, with its own queue.

    The span metrics are left out: SigNoz' collector alone has that processor.
    """
    config = loaded("collector/signoz.yaml")
    kept = ("timeout", "retry_on_failure", "sending_queue")
    exporters = config["exporters"]
    for name in [name for name in exporters if name != "otlp_http/inside"]:
        exporter = exporters.pop(name)
        exporters[f"otlp_http/{name}"] = {"endpoint": f"{backend}/{name}"} | {key: exporter[key] for key in kept}
    del config["processors"]["signozspanmetrics/delta"]
    for pipeline in config["service"]["pipelines"].values():
        if pipeline["exporters"] != ["otlp_http/inside"]:
            pipeline.pop("processors", None)
            pipeline["exporters"] = [f"otlp_http/{name}" for name in pipeline["exporters"]]
    return config


@contextmanager
def collecting(
    folder: Path, name: str, backend: Backend, *, also: dict[str, Any] | None = None, **environment: str
) -> Iterator[Collector]:
    """Run a collector that sends to the backend.

    Args:
        folder: Where its queue and the files of the test are.
        name: `generic`, `signoz`, or `sampled` (the generic one with tail sampling).
        backend: Where it sends to.
        also: Configuration of the test, merged into it.
        environment: Its variables.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if name == "signoz":
        files = [folder / "signoz.yaml"]
        files[0].write_text(yaml.safe_dump(without_clickhouse(backend.url)))
    else:
        files = [ROOT / "collector" / "generic.yaml"]
        files += [ROOT / "collector" / "tail-sampling.yaml"] if name == "sampled" else []
        environment = {"ATTUNE_OTLP_ENDPOINT": backend.url} | environment
    if also is not None:
        files.append(folder / "also.yaml")
        files[-1].write_text(yaml.safe_dump(also))
    collector = Collector(folder, files, environment)
    collector.start()
    try:
        yield collector
    finally:
        collector.kill()
