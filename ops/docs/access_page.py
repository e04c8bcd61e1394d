"""The access matrix: who may do what, through which door. ``generate`` writes it from the tables that the product decides by."""

from __future__ import annotations

from policies.authority import BY_ITSELF, Role, Verb, quorum
from policies.stage import LIVE_STAGES, Mode, Stage

WAYS = (
    ("operators' socket (a file, mode 0600)", "the user that runs the controller", "halt; read everything; submit signed commands"),
    (
        "console, on a port",
        "anyone who reaches the port",
        "read; submit signed commands; halt from a page, as the user that runs the controller on the same machine",
    ),
    ("gateway, on a port", "a bot with a gateway key", "trade within the limits; read its own orders and the market"),
    ("signer's socket", "the controller alone", "a signature of one order, under a live permit"),
    ("watchdog's lease", "the controller alone", "keep the watchdog from cancelling"),
    ("witness, on a port", "anyone who reaches the port", "submit a signed checkpoint that extends the last one"),
    (
        "journal file or database",
        "the user that runs the controller; readers may read",
        "append, by one writer; nothing is changed",
    ),
    (
        "settings, policy and roster files",
        "the user that runs the controller",
        "propose: a changed file is in force only when signed",
    ),
)


def access() -> str:
    """The page."""
    lines = [
        "# Who may do what",
        "",
        "Generated from `policies/authority.py` and `ops/docs/access_page.py` by `make docs`. A number is how many persons of the",
        "roster must sign, counting distinct keys; a dash: the role's signature does not count. An observer signs nothing.",
        "",
        "## Commands and roles",
        "",
        f"| command | {' | '.join(Role)} | persons in a team | alone (solo) |",
        "|---" * (len(Role) + 3) + "|",
    ]
    lines += [_row(verb) for verb in Verb]
    lines += [
        "",
        "`halt` needs no signature on the operators' socket, and no guard needs one. It never waits for a quorum.",
        "",
        "## Ways in",
        "",
        "| way | who comes in | what can be done |",
        "|---|---|---|",
        *(f"| {way} | {who} | {what} |" for way, who, what in WAYS),
        "",
        "A command is judged in one place, whichever way it came: the signatures over its bytes, the roster, the stage, the gate.",
    ]
    return "\n".join(lines) + "\n"


def _row(verb: Verb) -> str:
    roles = quorum(verb, Stage.MOCK, Mode.TEAM).roles
    own = " (the key itself)" if verb in BY_ITSELF else ""
    counts = ["signs" if role in roles else f"-{own if role is not Role.OBSERVER else ''}" for role in Role]
    return f"| {verb} | {' | '.join(counts)} | {_persons(verb, Mode.TEAM)} | {_persons(verb, Mode.SOLO)} |"


def _persons(verb: Verb, mode: Mode) -> str:
    """The number at each kind of stage, once where it is the same everywhere."""
    found: dict[str, list[str]] = {}
    for stage in Stage:
        needed = quorum(verb, stage, mode)
        text = f"{needed.persons}{' + cooling-off' if needed.cooling_off else ''}"
        found.setdefault(text, []).append(str(stage))
    if len(found) == 1:
        return next(iter(found))
    usual, *others = sorted(found.items(), key=lambda one: -len(one[1]))
    where = ("real money" if set(stages) == {str(one) for one in LIVE_STAGES} else ", ".join(stages) for _, stages in others)
    return usual[0] + "".join(f"; {text} at {at}" for (text, _), at in zip(others, where, strict=True))
