"""Shows what a start waits for. ``gatehouse run`` and ``gatehouse testnet`` use it."""

from __future__ import annotations

from controller.cli.shared.output import Output, clock, print_json, say
from controller.notifying.service_manager import ServiceManager
from controller.runtime.venues.waiting import Waiting


def show_waiting(output: Output, manager: ServiceManager, waiting: Waiting) -> None:
    """One line for people on standard error, or one JSON document for programs, and a longer time to start from the manager."""
    manager.starting(f"waiting for {waiting.what}: {waiting.because}")
    if output is Output.JSON:
        document = {"for": waiting.what, "since": waiting.since, "seconds": waiting.seconds, "because": waiting.because}
        print_json({"event": "waiting", **document, "do": waiting.remedy})
    else:
        say(waiting.line(f"{clock(waiting.since)} UTC"))
