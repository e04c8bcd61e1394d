"""Which verbs need a touched security key: a floor in code for production (gates-authority-journal.md §2.3).

``controller.core.decisions.binding`` calls it. A security key states in its signature that a person touched it; a key file, a
PKCS#11 token or a vault cannot. So in team mode at least one of the persons who put real money at risk signs with a security key.
In solo mode the cooling-off period replaces the second person, and no touch is required.
"""

from __future__ import annotations

from policies.authority import Verb
from policies.stage import LIVE_STAGES, Environment, Mode, Stage

_RISKS = frozenset({Verb.ADVANCE, Verb.RAMP, Verb.RESUME, Verb.ISSUE_BOT_KEY})


def touches_needed(verb: Verb, target: Stage, mode: Mode, environment: Environment) -> int:
    """How many of the persons who count must sign this command with a touched security key."""
    risks_money = verb in _RISKS and target in LIVE_STAGES
    return 1 if risks_money and mode is Mode.TEAM and environment is Environment.PRODUCTION else 0
