"""Flattens and ways out of a halt as the console shows them. ``controller.runtime.api.views`` calls it for the status."""

from __future__ import annotations

from decimal import Decimal

from controller.console.flatten import FlattenView, WayOutView
from controller.core.decisions.account import bought
from controller.core.decisions.flatten import held_up
from controller.core.decisions.ways_out import WayOut, ways_out
from controller.core.inputs import Tick
from controller.core.state import Flatten, State
from exchange.model import Millis
from policies.authority import Verb
from policies.schema import Policy

_COMMANDS = {
    Verb.RESUME: "gatehouse resume --to {target} --postmortem FILE {keys} --reason …",
    Verb.RESET: "gatehouse reset {keys} --reason …",
    Verb.FLATTEN: "gatehouse flatten {keys} --reason …",
    Verb.REBASELINE: "gatehouse rebaseline --venue {venue} {keys} --reason …",
}


def flatten_view(state: State, policy: Policy) -> FlattenView | None:
    """The flatten that runs now, or else the last one."""
    if state.flatten is not None:
        running = state.flatten
        left = {symbol: held for symbol in running.symbols if (held := bought(state, policy, running.venue, symbol))}
        return _view(running, left).model_copy(update={"waits": held_up(state, running)})
    record = state.last_flatten
    if record is None:
        return None
    ended = {"ended_at_ms": int(record.at), "complete": record.complete, "why": record.why, "waits": "", "waits_since_ms": None}
    return _view(record.flatten, dict(record.left)).model_copy(update=ended)


def way_out_views(state: State, policy: Policy, seen: Tick, now: Millis) -> tuple[WayOutView, ...]:
    """Every way out of the present halt. ``seen`` is what is measured now."""
    return tuple(_way(way, policy) for way in ways_out(state, seen, now))


def _way(way: WayOut, policy: Policy) -> WayOutView:
    return WayOutView(
        verb=way.verb,
        target=str(way.target),
        persons_needed=way.needed.persons,
        cooling_off_ms=policy.authority.cooling_off_ms if way.needed.cooling_off else 0,
        gate=way.gate.value if way.gate is not None else "",
        refused=way.refused,
        remedy=way.remedy,
        since_ms=way.since,
        waits=way.waits,
        command=_COMMANDS[way.verb].format(
            target=way.target.stage.name, venue=way.venue, keys=" ".join(["--key KEY"] * way.needed.persons)
        ),
        venue=way.venue,
    )


def _view(flatten: Flatten, left: dict[str, Decimal]) -> FlattenView:
    return FlattenView(
        command_id=flatten.command_id,
        guard=flatten.guard,
        venue=flatten.venue,
        symbols=flatten.symbols,
        reason=flatten.reason,
        since_ms=flatten.since,
        sold=dict(flatten.sold),
        left=left,
        waits=flatten.waits,
        waits_since_ms=flatten.waits_since,
    )
