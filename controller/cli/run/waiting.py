"""Shows what a start waits for. ``gatehouse run`` and ``gatehouse testnet`` use it."""

from __future__ import annotations

from controller.bootstrap.waiting import Waiting
from controller.cli.shared.output import Output, clock, print_json, stderr


def show_waiting(output: Output, waiting: Waiting) -> None:
    """One line for people on standard error, or one JSON document for programs."""
    if output is Output.JSON:
        document = {"for": waiting.what, "since": waiting.since, "seconds": waiting.seconds, "because": waiting.because}
        print_json({"event": "waiting", **document, "do": waiting.remedy})
    else:
        stderr().print(waiting.line(f"{clock(waiting.since)} UTC"), markup=False, soft_wrap=True)
