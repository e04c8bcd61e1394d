"""The tables about guards and halts on the lifecycle page. ``ops/docs/generate.py`` calls it."""

from __future__ import annotations

from controller.core.causes import RULES, Cause, HaltClass
from controller.core.reactions import OCCURRENCES, Reaction, reactions
from policies.guards import Level
from policies.response import BREACH_CALM_MS, BREACH_WINDOW_MAX_MS, DEMOTION_MEMORY_MS, MEANINGS, RESPONSES
from policies.stage import RISK_ORDER

_MINUTE_MS = 60_000
_DAY_MS = 86_400_000


def responses() -> list[str]:
    """The responses to guards, every stage by every level."""
    lines = [
        "",
        "## What a breached guard does",
        "",
        "Generated from `policies/response.py`. Rows are stages, columns the level of the most severe guard.",
        "",
        "| at | " + " | ".join(level.name for level in Level) + " |",
        "|---" * (len(Level) + 1) + "|",
    ]
    lines += [f"| {stage} | " + " | ".join(MEANINGS[row[level]] for level in Level) + " |" for stage, row in RESPONSES.items()]
    calm, longest, memory = BREACH_CALM_MS // _MINUTE_MS, BREACH_WINDOW_MAX_MS // _MINUTE_MS, DEMOTION_MEMORY_MS // _DAY_MS
    return [
        *lines,
        "",
        "After FLATTEN gatehouse also sells what it bought. Only daily-loss, drawdown and reject-rate can be at FLATTEN,",
        "where `guards.on_breach` says so. REDUCE is the level of daily-loss and drawdown from `guards.reduce.at` of their limit",
        "on, until the loss is below `guards.reduce.until` of it.",
        "Why: [ADR 26](adr/0026-a-flatten-is-a-sale-with-a-permit-of-its-own.md).",
        "",
        f"A breach window closes when no guard was at CANCEL_ALL for {calm} minutes, and after {longest} minutes in any case. A",
        f"soft breach after that demotes the deployment again. The second demotion within {memory} days leads from any ramp step",
        "to LIVE_€10. The deployment never moves up by itself. Why: [ADR 15](adr/0015-a-soft-breach-moves-one-step-down.md).",
    ]


def events() -> list[str]:
    """What each event does, every event by every stage."""
    lines = [
        "",
        "## What each event does",
        "",
        "Generated from `controller/core/reactions.py`; `tests/unit/core/test_reactions.py` plays every cell.",
        "",
        "| event | " + " | ".join(RISK_ORDER) + " |",
        "|---" * (len(RISK_ORDER) + 1) + "|",
    ]
    for event in OCCURRENCES:
        found = (reactions(event, stage) for stage in RISK_ORDER)
        lines.append(f"| {event.what} | " + " | ".join(", ".join(one for one in Reaction if one in cell) for cell in found) + " |")
    return [
        *lines,
        "",
        "Where somebody answers at the testnet's address without the key that the policy names, at TESTNET_VALIDATING",
        "and VALIDATED: pause, cancel, no buys. Where the testnet signs that it knows other orders than our books: halt.",
        "Without a statement the time is unattested, and in production it does not count",
        "([ADR 47](adr/0047-the-testnet-signs-what-it-says.md)).",
        "",
        "no buys: buys are denied while it lasts. pause: the time does not count as covered, and the gate judges the gap.",
        "cancel: every order is cancelled and none is admitted. demote: one step or stage down, from LIVE_€10 once the live",
        "account is empty. void: only a reset leads out. With a loss `guards.on_breach` may sell what was bought. While a drill",
        "runs, every event that it does not practise halts. Without real money nothing halts because it is only not seen, unless",
        "the policy says after how long (`guards.blind_halt_ms`, never less than the gap that the stage's gate tolerates).",
        "Why: [ADR 39](adr/0039-a-gap-is-for-the-gate-to-judge.md).",
    ]


def halts() -> list[str]:
    """The rule for every kind of halt."""
    lines = [
        "",
        "## What leads out of a halt",
        "",
        "Generated from `controller/core/causes.py`. A resume never leads above the stage before the halt, nor into RAMPING.",
        "A reset to MOCK is always possible. A policy, release, account or version of gatehouse changed while HALTED leaves only",
        "that.",
        "",
        "| kind | what it is | causes | a resume leads at most to | at VALIDATED | why |",
        "|---|---|---|---|---|---|",
    ]
    for kind, rule in RULES.items():
        causes = ", ".join(cause for cause in Cause if HaltClass.of(cause) is kind) if kind is not HaltClass.OPERATOR else "halt"
        left = "only a reset: the validation is void" if rule.voids else "the validation stays"
        lines.append(f"| {kind} | {rule.meaning} | {causes} | {rule.ceiling} | {left} | {rule.why} |")
    return [
        *lines,
        "",
        "A resume is refused (`guard-stands`) while a breached guard would stop the deployment again at once, and the refusal",
        "says when that guard passes: after a day's loss, at the next UTC midnight.",
    ]
