"""What the ``gatehouse`` command does before it loads anything, to load fast (ADR 79). ``controller.__main__`` calls it."""

from __future__ import annotations

import atexit
import gc
import os
import sys

_WORKING = gc.get_threshold()
_LOADING = (500_000, 20, 50)
"""Loading makes hundreds of thousands of objects and hardly any garbage; by default the collector walks them 240 times."""


def begin_loading() -> None:
    """Let nothing load what is not used, and the collector work seldom. A process that runs on calls ``loaded`` later."""
    # httpx brings a command line of its own, and rich, click and pygments for it. It does without it where it cannot be imported.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    # pydantic looks for plugins in every installed package. Here none is used, and none may see what is validated.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    gc.set_threshold(*_LOADING)
    # A process that ends would walk all that was loaded once more, which takes as long as loading a client's libraries.
    atexit.register(gc.freeze)


def loaded() -> None:
    """From now on the collector works as usual, on what is made from now on: what was loaded stays."""
    gc.freeze()
    gc.set_threshold(*_WORKING)


def loaded_ahead() -> None:
    """As ``loaded``, and then wait for the word if this process was started ahead."""
    from controller.notifying.ahead import wait_to_begin

    loaded()
    wait_to_begin()
