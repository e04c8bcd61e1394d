"""Python's collector of cycles in a process that answers orders: it looks at what came since the start, and at nothing older.

A full collection walks every object of the process, and nothing else runs meanwhile. With the libraries and the state of a
deployment that is a pause of tens of milliseconds, in which no order is answered and no tick is decided.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def few_collections(young: int) -> Iterator[None]:
    """Leave out what exists already, and look through the young objects each time ``young`` more were made than given back.

    ``controller.bootstrap`` enters it before it serves, and a rehearsal before it plays. At the end everything is as before.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(young, 10, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
