"""Whether one policy is only stricter than another, field by field, by the comparisons of the production floors.

A start asks: a policy file that is only stricter than the policy in force may be adopted without a signature (ADR 35). A field that
no floor compares has no stricter side, so any change of it is not stricter. Neither has a rate that follows a source: a lower
centre makes other readings plausible, and a narrower band makes a loss smaller in EUR.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from policies import canonical
from policies.document import canonical_bytes
from policies.floors import FLOORS
from policies.rules import GateName
from policies.schema import GateRule, Policy
from policies.stage import WITHOUT_REAL_MONEY

_GATES = "gates."
_NO_STRICTER_SIDE = (
    *("limits.order_rate.per_ms", "guards.reject_rate.window_ms"),
    *(f"guards.blind_halt_ms.{stage.lower()}" for stage in WITHOUT_REAL_MONEY),
)
"""A window that slides: a longer one dilutes a burst of rejections, and a shorter one counts fewer orders. And a deadline that
must not be too early: a later one lets a guard be blind for longer."""


def differences(old: Policy, new: Policy) -> tuple[str, ...]:
    """Every field that differs, as ``path: before → after``; a field that one of them does not have is ``absent`` there."""
    before, after = _fields(old), _fields(new)
    return tuple(
        f"{path}: {_shown(before.get(path))} → {_shown(after.get(path))}"
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    )


def only_stricter(old: Policy, new: Policy) -> bool:
    """Whether every difference is a number that a floor compares, or a rule of a gate, and none of them is looser than before."""
    before, after = _fields(old), _fields(new)
    changed = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
    if (old.eur_rate.follow or new.eur_rate.follow) and old.eur_rate != new.eur_rate:
        return False
    return all(path.startswith(_GATES) or _compared(path) for path in changed) and _floors_hold(old, new) and _gates_hold(old, new)


def _compared(path: str) -> bool:
    return path not in _NO_STRICTER_SIDE and any(path == floor.path or path.startswith(f"{floor.path}.") for floor in FLOORS)


def _floors_hold(old: Policy, new: Policy) -> bool:
    return all(floor.op.holds(Decimal(floor.read(new)), Decimal(floor.read(old))) for floor in FLOORS)


def _gates_hold(old: Policy, new: Policy) -> bool:
    """Whether every rule of every gate is there again, at least as strict. More rules only close a gate further."""
    return all(any(_as_strict(rule, one) for one in new.gates.of(gate)) for gate in GateName for rule in old.gates.of(gate))


def _as_strict(old: GateRule, new: GateRule) -> bool:
    same = (new.id, new.metric, new.op) == (old.id, old.metric, old.op)
    threshold = new.threshold == old.threshold or new.op.holds(new.threshold, old.threshold)
    everywhere = new.above_eur is None or (old.above_eur is not None and new.above_eur <= old.above_eur)
    return same and threshold and everywhere and new.min_samples >= old.min_samples


def _fields(policy: Policy) -> dict[str, object]:
    """Every field by its path, as its canonical value; a list is one field, and so are the rules of a gate."""
    return dict(_leaves(canonical.decode(canonical_bytes(policy)), ""))


def _leaves(tree: Mapping[str, Any], path: str) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, value in tree.items():
        here = f"{path}{name}"
        found += _leaves(value, f"{here}.") if isinstance(value, dict) else [(here, value)]
    return found


def _shown(value: object) -> str:
    if value is None:
        return "absent"
    return f"{len(value)} entries" if isinstance(value, list) and any(isinstance(one, dict) for one in value) else str(value)
