"""How long a program takes to end when its OTLP backend is dead, beside one that has none: `python benchmarks/exit.py`.

Each program makes some calls, says so, and ends; the time from there to the end of its process is printed (medians).
The goal is at most 2 s more than without a backend.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import create_server, socket
from typing import Literal

import grpc

Protocol = Literal["http/protobuf", "grpc"]
GOAL_SECONDS = 2.0
PROGRAM = """
from attune_monitoring import llm_call
for _ in range(200):
    with llm_call(provider="openai", model="gpt-4o-mini") as call:
        call.set_usage(input_tokens=10, output_tokens=1)
print("done", flush=True)
"""


@contextmanager
def closed_port(_: Protocol) -> Iterator[str]:
    """Nobody listens."""
    with socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"


@contextmanager
def black_hole(_: Protocol) -> Iterator[str]:
    """Connections are taken and never answered."""
    with create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def unavailable(protocol: Protocol) -> Iterator[str]:
    """Every request is refused for now (503, UNAVAILABLE)."""
    if protocol == "grpc":
        # A server without services answers UNIMPLEMENTED; an interceptor says what an overloaded one does.
        server = grpc.server(ThreadPoolExecutor(4), interceptors=[_Unavailable()])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.stop(None).wait()
        return
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()


class _Unavailable(grpc.ServerInterceptor):  # type: ignore[misc]  # grpcio has no types
    def intercept_service(self, continuation: object, details: object) -> object:
        def abort(_: object, context: grpc.ServicerContext) -> None:
            context.abort(grpc.StatusCode.UNAVAILABLE, "overloaded")

        return grpc.unary_unary_rpc_method_handler(abort)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


def seconds_to_end(endpoint: str | None, protocol: Protocol) -> float:
    """Run the program once; return the seconds from its last word to its end."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "EMPATHY_"))}
        environment["EMPATHY_STORAGE_DIR"] = folder
        if endpoint is not None:
            environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as program:
            assert program.stdout is not None
            program.stdout.readline()
            begun = time.perf_counter()
            program.wait()
            return time.perf_counter() - begun


def main() -> int:
    """Print the table; return 1 where a dead backend takes more than the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5, help="runs of each (default 5)")
    times = parser.parse_args().times
    backends: list[tuple[str, Callable[[Protocol], AbstractContextManager[str | None]]]] = [
        ("no backend", lambda _: nullcontext(None)),
        ("closed port", closed_port),
        ("black hole", black_hole),
        ("unavailable", unavailable),
    ]
    print(f"{'backend':<14}{'protocol':<16}{'exit s':>8}{'beyond none s':>16}")
    worst = without = 0.0
    for name, backend in backends:
        for protocol in ("http/protobuf", "grpc") if name != "no backend" else ("http/protobuf",):
            with backend(protocol) as endpoint:
                seconds = statistics.median(seconds_to_end(endpoint, protocol) for _ in range(times))
            if endpoint is None:
                without = seconds
            worst = max(worst, seconds - without)
            print(f"{name:<14}{protocol if endpoint else '-':<16}{seconds:>8.2f}{seconds - without:>16.2f}")
    print(f"worst: {worst:.2f} s beyond a program without a backend; the goal is {GOAL_SECONDS} s")
    return int(worst > GOAL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
