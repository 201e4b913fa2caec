"""What happens when a process ends other than by itself: SIGTERM, and the children of multiprocessing."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from attune_monitoring.delivery import within

__all__ = ["EXIT_SECONDS", "on_multiprocessing_exit", "on_sigterm"]

EXIT_SECONDS = 1.2
"""What our exporters may take of a process that is going down."""


def on_multiprocessing_exit(flush: Callable[[], object]) -> None:
    """Flush before a child of multiprocessing ends: it does so without `atexit`, but runs these."""
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(None, flush, exitpriority=0)


def on_sigterm(flush: Callable[[], object]) -> None:
    """Flush before a SIGTERM ends the process, where nothing else handles it."""
    if threading.current_thread() is not threading.main_thread():
        return
    if not hasattr(signal, "SIGTERM") or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return

    def handle(number: int, _: FrameType | None) -> None:
        # In a helper thread: the interrupted code may hold the very locks that a flush needs.
        within(EXIT_SECONDS, flush)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, handle)
