"""What the first start of this version would decide, computed without starting anything. ``checks`` calls it.

``decide`` is pure, so the start is decided on the folded state as ``gatehouse run`` decides it, and its events go nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from controller.core import events as e
from controller.core.decide import decide
from controller.core.effects import Cancel, CancelAll
from controller.core.inputs import Boot
from controller.core.state import State, venue_of
from exchange.model import Millis
from policies.stage import Stage

_TRADES = frozenset({Stage.VALIDATED, Stage.LIVE_EUR10, Stage.RAMPING})


@dataclass(frozen=True, slots=True)
class Start:
    """The consequences of a first start.

    ``kept``: the evidence of the present run still counts. ``lost_ms`` is the covered time that does not count any more, and
    ``again_ms`` the covered time of a whole validation, when one that was passed is void too. ``cancels`` is how many open orders
    are cancelled, ``held`` what gatehouse bought at the venue of the stage and holds, by asset.
    """

    before: str
    after: str
    kept: bool
    lost_ms: int
    again_ms: int
    cancels: int
    held: Mapping[str, Decimal]
    lines: tuple[str, ...]


def first_start(state: State, boot: Boot, now: Millis) -> Start:
    """Decide the start of ``boot`` on ``state``, the state after the journal's last entry.

    Raises:
        IntegrityError: the journal is of another deployment.
        ConfigError: the documents on disk cannot be adopted.
    """
    decision = decide(state, replace(boot, epoch=state.epoch + 1), max(now, state.at))
    after = decision.after
    old, new = state.tally, after.tally
    kept = old is None or (new is not None and new.started_at == old.started_at)
    passed = state.position.stage in _TRADES and after.position != state.position
    venue = venue_of(state.position.stage)
    bought = state.ledger(venue).bought if venue is not None else {}
    cancelled = [one for one in decision.effects if isinstance(one, Cancel | CancelAll)]
    return Start(
        before=str(state.position),
        after=str(after.position),
        kept=kept,
        lost_ms=0 if kept or old is None else old.covered_ms,
        again_ms=state.policy.validation.covered_ms if passed and state.policy is not None else 0,
        cancels=sum(order.working for order in state.open.values()) if cancelled else 0,
        held={asset: amount for asset, amount in sorted(bought.items()) if amount > 0},
        lines=tuple(line for event in decision.events if (line := _line(event))),
    )


def _line(event: e.Event) -> str:
    line = ""
    match event:
        case e.StageChanged():
            line = f"the stage changes to {event.stage}: {event.reason}"
        case e.CommandVoided():
            line = f"the command {event.command_id} that waits is withdrawn: {event.reason}"
        case e.PolicyAdopted():
            line = f"the policy in the file comes into force: {event.digest[:19]}…"
        case e.DocumentProposed():
            line = f"the {event.document} in the file becomes a proposal: {'; '.join(event.changes)}"
        case e.OrderUnknown():
            line = f"the outcome of the order {event.client_id} is asked for: {event.reason}"
        case e.AccountBound():
            line = f"the {event.venue} account is another one: {event.fingerprint[:19]}…"
    return line
