"""What an event did to a deployment, read from its journal, and whether that is what was expected."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import httpx

from tests.support.ordinary.scene import Scene

AGAIN_WITHIN_S = 120.0
"""How soon after an event the bot's orders must be taken again."""


class Outcome(StrEnum):
    """What may follow an event. Only ``HALT`` allows a halt."""

    NOTHING = "trades on"
    GAP = "a gap, then it trades on"
    DENIED = "cancelled and denied until it is over, then it trades on"
    DEMOTED = "cancelled, then down"
    HALT = "halted"


@dataclass(frozen=True, slots=True)
class Expected:
    """``most_gap_ms`` bounds the gap, ``sees`` must be in what was seen, ``way_out`` says how a halt is left.

    ``to``: where a demotion leads. ``differs``: the venues whose account differs from our books after a halt.
    """

    outcome: Outcome
    most_gap_ms: int = 10_000
    sees: str = ""
    way_out: str = ""
    to: str = ""
    differs: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The expectation for a person."""
        match self.outcome:
            case Outcome.HALT:
                return f"halted, way out: {self.way_out}"
            case Outcome.NOTHING:
                return self.outcome.value
            case Outcome.DEMOTED:
                return f"{self.outcome} to {self.to}, way out: {self.way_out}"
            case _:
                return f"{self.outcome}; at most {self.most_gap_ms / 1000:g} s"


@dataclass
class Seen:
    """The journal's entries since an event began, in words."""

    before: str
    after: str = ""
    halt: str = ""
    gap_ms: int = 0
    orders: int = 0
    differs: tuple[str, ...] = ()
    guards: list[str] = field(default_factory=list)
    disarmed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        """What happened, for a person."""
        if self.halt:
            return f"halted: {self.halt[:90]}"
        parts = [*dict.fromkeys(self.guards), *dict.fromkeys(self.disarmed), *self.notes]
        if self.after != self.before:
            parts.append(f"{self.before} → {self.after}")
        return "; ".join((*parts, f"{self.orders} orders since"))[:150]


async def since(scene: Scene, seq: int) -> list[dict[str, Any]]:
    """The journal's entries after ``seq``."""
    found: list[dict[str, Any]] = []
    while True:
        after = found[-1]["seq"] if found else seq
        page = (await scene.ask("GET", "/v1/journal", params={"after": after, "limit": 1000})).json()
        if not page:
            return found
        found.extend(page)


async def settled(scene: Scene, seq: int) -> None:
    """Wait until the venue has taken an order admitted after ``seq``, or the deployment is HALTED."""
    loop = asyncio.get_running_loop()
    end = loop.time() + AGAIN_WITHIN_S
    while loop.time() < end:
        try:
            status = await scene.status()
            entries = await since(scene, seq)
        except (httpx.HTTPError, OSError):
            entries, status = [], {"stage": ""}
        if status["stage"] == "HALTED" or (status.get("armed") and any(one["kind"] == "order-acked" for one in entries)):
            return
        await asyncio.sleep(0.5)


def _is_halt(entry: dict[str, Any]) -> bool:
    """Whether the deployment was halted, and not by people."""
    return entry["kind"] == "stage-changed" and entry["body"]["stage"] == "HALTED" and entry["body"]["cause"] != "halt"


def between(entries: list[dict[str, Any]]) -> Seen | None:
    """A halt or a demotion by a guard among entries from between two events, where nothing has caused one; ``None`` without one."""
    halted = [one for one in entries if _is_halt(one)]
    demoted = [one for one in entries if one["kind"] == "stage-changed" and one["body"]["cause"] == "soft-breach"]
    if not halted and not demoted:
        return None
    moved = (halted or demoted)[0]["body"]
    seen = read(
        _position(moved["from_stage"], moved["from_step"]), entries, entries[0]["at_ms"], _position(moved["stage"], moved["step"])
    )
    # People stop and start the deployment between events, so the gap says nothing.
    seen.gap_ms = 0
    return seen


def _position(stage: str, step: int) -> str:
    return f"{stage} step {step}" if step else stage


def read(before: str, entries: list[dict[str, Any]], began_ms: int, after: str) -> Seen:
    """Make words of the entries since an event that began at ``began_ms``."""
    seen = Seen(before, after)
    last_ms = began_ms
    for entry in entries:
        body, kind = entry["body"], entry["kind"]
        if kind == "sampled" and body["covered"]:
            seen.gap_ms = max(seen.gap_ms, entry["at_ms"] - last_ms - body["interval_ms"])
            last_ms = entry["at_ms"]
        elif kind == "guard-level-changed" and body["level"]:
            seen.guards.append(f"{body['level']} by {body['guard']}".lower())
        elif kind == "disarmed":
            seen.disarmed.append(f"disarmed: {body['reason'][:50]}")
        elif _is_halt(entry):
            seen.halt = body["reason"]
        elif kind == "capital-moved":
            seen.notes.append("money of the owner was booked")
        elif kind == "eur-rate-read":
            seen.notes.append(f"the ECB says {body['high']}")
        elif kind == "eur-rate-set":
            seen.notes.append(f"a person signed the rate {body['quote_per_eur']}")
        elif kind in {"order-acked", "order-unknown", "watchdog-log-absorbed", "controller-started"}:
            seen.orders += kind == "order-acked"
            if kind == "watchdog-log-absorbed" and body["fired"]:
                seen.notes.append("the watchdog fired")
    unknown = sum(one["kind"] == "order-unknown" for one in entries)
    if unknown:
        seen.notes.append(f"{unknown} unknown")
    return seen


def problem(expected: Expected, seen: Seen) -> str:
    """Why what was seen is not what was expected; empty when it is."""
    if expected.outcome is Outcome.HALT:
        if not seen.halt:
            return "it did not halt"
        if seen.differs != expected.differs:
            return f"the accounts that differ from our books: {', '.join(seen.differs) or 'none'}"
        return "" if expected.sees in seen.halt else f"the halt does not say {expected.sees!r}"
    if seen.halt:
        return "a false halt"
    if expected.outcome is Outcome.DEMOTED:
        return "" if seen.after == expected.to else f"it is at {seen.after}"
    if seen.after != seen.before:
        return "it was demoted"
    if not seen.orders:
        return "no order was taken again"
    if seen.gap_ms > expected.most_gap_ms:
        return f"a gap of {seen.gap_ms} ms"
    return "" if expected.sees in seen.words else f"{expected.sees!r} was not seen"
