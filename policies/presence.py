"""Which verbs need proof that a person was there: a floor in code for production (gates-authority-journal.md §2.3).

A security key reports inside its signature that it was touched; a file, a PKCS#11 token or a vault cannot. So at
least one of the persons who put real money at risk together signs with a security key. Where one person acts alone, the
cooling-off delay stands in for the second person and no more is asked.
"""

from __future__ import annotations

from policies.authority import Verb
from policies.stage import LIVE_STAGES, Environment, Mode, Stage

_RISKS = frozenset({Verb.ADVANCE, Verb.RAMP, Verb.RESUME, Verb.ISSUE_BOT_KEY})


def touches_needed(verb: Verb, target: Stage, mode: Mode, environment: Environment) -> int:
    """How many of the persons who count must have touched a security key for this very command."""
    risks_money = verb in _RISKS and target in LIVE_STAGES
    return 1 if risks_money and mode is Mode.TEAM and environment is Environment.PRODUCTION else 0
