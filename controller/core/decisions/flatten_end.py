"""The end of a flatten: what it sold, what is left, and why. ``moves`` and ``flatten`` call it."""

from __future__ import annotations

from decimal import Decimal

from controller.core.decisions.account import bought
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind
from controller.core.events import FlattenEnded
from policies.numbers import text


def end(draft: Draft, why: str, *, complete: bool = False) -> None:
    """End the flatten that is running, if there is one. ``complete``: nothing that can be sold is left."""
    state = draft.after
    flatten, policy = state.flatten, state.policy
    if flatten is None or policy is None:
        return
    left = {symbol: amount for symbol in flatten.symbols if (amount := bought(state, policy, flatten.venue, symbol))}
    sold = dict(flatten.sold)
    summary = f"sold {_amounts(sold)}; left of what gatehouse bought: {_amounts(left)}. {why}"
    draft.emit(
        FlattenEnded(
            command_id=flatten.command_id,
            subject=flatten.subject,
            venue=flatten.venue,
            complete=complete,
            sold=sold,
            left=left,
            why=summary[:500],
        )
    )
    draft.do(Alert(AlertKind.FLATTEN, f"the flatten on {flatten.venue} has ended", summary[:500]))


def _amounts(amounts: dict[str, Decimal]) -> str:
    return ", ".join(f"{text(amount)} of {symbol}" for symbol, amount in sorted(amounts.items())) or "nothing"
