"""The cap and the symbols of each stage, and the steps of the ramp (architecture.md §3). Limits, guards and decisions use it."""

from __future__ import annotations

from decimal import Decimal

from policies.schema import Policy
from policies.stage import Stage

_NOTHING = Decimal(0)


def step_count(policy: Policy) -> int:
    """Return how many steps the ramp has."""
    return len(policy.ramp.steps)


def cap_of_step(policy: Policy, step: int) -> Decimal | None:
    """The cap in EUR of RAMPING ``step``, counted from 1; ``None`` for a step that does not exist."""
    return policy.ramp.steps[step - 1] if 1 <= step <= len(policy.ramp.steps) else None


def next_step(policy: Policy, stage: Stage, step: int) -> int | None:
    """The next ramp step: 1 from LIVE_€10, k + 1 from RAMPING k, ``None`` after the last step and at every other stage."""
    match stage:
        case Stage.LIVE_EUR10:
            following = 1
        case Stage.RAMPING if cap_of_step(policy, step) is not None:
            following = step + 1
        case _:
            return None
    return following if cap_of_step(policy, following) is not None else None


def cap_eur(policy: Policy, stage: Stage, step: int) -> Decimal:
    """The highest worst-case exposure in EUR that a stage allows; 0 for HALTED and for a ramp step that does not exist."""
    match stage:
        case Stage.MOCK | Stage.TESTNET_VALIDATING | Stage.VALIDATED:
            return policy.caps.testnet
        case Stage.LIVE_EUR10:
            return policy.caps.live
        case Stage.RAMPING:
            return cap_of_step(policy, step) or _NOTHING
        case Stage.HALTED:
            return _NOTHING


def symbols_at(policy: Policy, stage: Stage) -> tuple[str, ...]:
    """The symbols that may be bought at a stage: none when HALTED, only the first at LIVE_€10, all elsewhere."""
    match stage:
        case Stage.HALTED:
            return ()
        case Stage.LIVE_EUR10:
            return policy.symbols[:1]
        case _:
            return policy.symbols
