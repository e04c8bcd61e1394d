"""What a settled order leaves in memory, counted in bytes that Python allocates."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

from controller.journal.sqlite import open_journal
from controller.runtime.followers.recent import KEEP_ENTRIES
from ops.bench.memory import Settling

MOST_BYTES = 640
"""Of the first 2,800 orders, which also fill the tables of the maps and the latest trades. Later ones leave some 300."""


def test_a_settled_order_leaves_a_few_hundred_bytes(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal.db", "desk")
    settling, orders = Settling(journal), 1_500
    # Three entries of each order, until the newest entries, the marks and the caches that are bounded are full.
    settling.settle(KEEP_ENTRIES // 3)
    tracemalloc.start()
    try:
        settling.settle(KEEP_ENTRIES // 3)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        settling.settle(orders)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        journal.close()
    each = (after - before) // orders
    print(f"\n{each} bytes for each settled order")
    assert 0 < each <= MOST_BYTES
