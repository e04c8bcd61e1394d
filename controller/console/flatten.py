"""Flattens and ways out of a halt as the operator API answers them. Part of ``controller.console.schema``."""

from __future__ import annotations

from pydantic import computed_field

from controller.console.view import View
from controller.console.wording import amount, instant
from exchange.ports import VenueName
from policies.authority import Verb
from policies.numbers import Amount


class FlattenView(View):
    """A flatten: the running one, or the last one. ``left`` is what gatehouse bought and the account still holds, by symbol.

    ``command_id`` is empty when ``guard`` started it. ``waits`` says why no order is sent since ``waits_since_ms``; it is empty
    while orders are sent. ``ended_at_ms`` is absent while it runs; then ``complete`` and ``why`` say how it ended.
    """

    command_id: str
    guard: str
    venue: VenueName
    symbols: tuple[str, ...]
    reason: str
    since_ms: int
    sold: dict[str, Amount]
    left: dict[str, Amount]
    waits: str = ""
    waits_since_ms: int | None = None
    ended_at_ms: int | None = None
    complete: bool = False
    why: str = ""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def line(self) -> str:
        """The flatten in one sentence."""
        if self.ended_at_ms is not None:
            how = "complete" if self.complete else "not complete"
            return f"Last flatten on {self.venue}, {how} at {instant(self.ended_at_ms)} UTC: {self.why}"
        by = f"guard {self.guard}" if self.guard else "a signed command"
        begun = f"A flatten of {', '.join(self.symbols)} on {self.venue} runs since {instant(self.since_ms)} UTC, started by {by}"
        progress = f"sold {_listed(self.sold)}, left {_listed(self.left)}"
        if not self.waits or self.waits_since_ms is None:
            return f"{begun}: {progress}."
        return f"{begun}: {progress}; it waits since {instant(self.waits_since_ms)} UTC: {self.waits}."


class WayOutView(View):
    """One way out of a halt. ``refused`` says what a command would be refused for now; it is empty when it would be applied.

    ``since_ms``: since when this answer holds, absent where that is not known. ``waits``: what a flatten would wait for, or what it
    could not sell. ``venue``: whose account gets a new baseline. ``gate`` is empty where no gate guards the way.
    ``cooling_off_ms`` is 0 when it applies at once.
    """

    verb: Verb
    target: str
    persons_needed: int
    cooling_off_ms: int
    gate: str
    refused: str
    remedy: str
    since_ms: int | None
    waits: str = ""
    venue: VenueName | None = None
    command: str

    @computed_field  # type: ignore[prop-decorator]
    @property
    def line(self) -> str:
        """The way in one sentence."""
        where = {Verb.FLATTEN: "", Verb.REBASELINE: f" of {self.venue}"}.get(self.verb, f" to {self.target}")
        people = "1 signature" if self.persons_needed == 1 else f"{self.persons_needed} signatures"
        needs = people + (f" and {self.cooling_off_ms // 60_000} min of cooling off" if self.cooling_off_ms else "")
        since = f" since {instant(self.since_ms)} UTC" if self.since_ms is not None else ""
        if self.refused:
            return f"{self.verb}{where} ({needs}) is refused{since or ' now'}: {self.refused}. {self.remedy}"
        waits = f"; it would wait now: {self.waits}" if self.waits else ""
        return f"{self.verb}{where} ({needs}) is open{since}{waits}: {self.command}"


def _listed(amounts: dict[str, Amount]) -> str:
    return ", ".join(f"{amount(value)} of {symbol}" for symbol, value in sorted(amounts.items())) or "nothing"
