"""How long a thread has waited for a processor is read from the kernel."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from controller.runtime.loop.starvation import Starvation

COUNTED = Path("/proc/self/schedstat").exists()


@pytest.mark.skipif(not COUNTED, reason="this kernel does not count waiting times")
def test_a_thread_that_shares_a_processor_with_a_busy_one_has_waited() -> None:
    cores = os.sched_getaffinity(0)
    starvation = Starvation(threading.get_native_id())
    before = starvation.waited_ns()
    os.sched_setaffinity(0, {min(cores)})
    busy = subprocess.Popen(("sh", "-c", "while :; do :; done"))
    try:
        turns = 0
        while starvation.waited_ns() == before and turns < 10_000_000:
            turns += 1
    finally:
        busy.kill()
        busy.wait()
        os.sched_setaffinity(0, cores)
    assert starvation.waited_ns() > before
    starvation.close()


def test_a_thread_that_nobody_counts_has_waited_nothing() -> None:
    starvation = Starvation(2**31 - 1)
    assert starvation.waited_ns() == 0
    starvation.close()
    assert starvation.waited_ns() == 0
