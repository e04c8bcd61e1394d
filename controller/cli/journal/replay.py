"""``gatehouse journal replay``: replays a journal and prints its last state, results and decisions. Called by ``journal.verbs``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from controller.audit.replay import Decided, Replay, decision_line, replay
from controller.cli.journal.files import opened, progressing
from controller.cli.shared.output import stdout, styled, table
from controller.core.order_state import OrderState
from controller.journal.export import read_export, read_manifest, verify_export
from exchange.errors import UsageError
from exchange.ports import VenueName
from policies.numbers import text


def replayed(directory: Path, export: Path | None, upto: int | None, decisions: Path | None) -> Replay:
    """Replay a deployment's journal, or an export. Write the decisions to ``decisions``, a new file, if it is set.

    Raises:
        IntegrityError: as ``controller.audit.replay.replay``; ``export-damaged``.
        UsageError: ``decisions-not-written``.
    """
    with ExitStack() as stack:
        on_decision = stack.enter_context(_written(decisions)) if decisions is not None else None
        if export is not None:
            verify_export(export)
            manifest = read_manifest(export)
            step = stack.enter_context(progressing("replaying", upto or manifest.entries))
            return replay(map(step, read_export(export)), manifest.controller_id, upto=upto, on_decision=on_decision)
        reader = stack.enter_context(opened(directory))
        step = stack.enter_context(progressing("replaying", upto or reader.head.seq))
        return replay(map(step, reader.read()), reader.controller_id, upto=upto, on_decision=on_decision)


def replay_document(found: Replay) -> dict[str, Any]:
    """A replay as JSON values; amounts are decimal strings."""
    state = found.state
    return {
        "entries": found.head.seq,
        "head": found.head.hash,
        "at_ms": int(state.at),
        "fingerprint": state.fingerprint(),
        "stage": state.position.stage.value,
        "step": state.position.step,
        "armed": state.may_send_orders,
        "policy": state.policy_digest,
        "roster": state.roster_digest,
        "release": state.release.digest if state.release is not None else "",
        "venues": {venue.value: _venue_document(found, venue) for venue in VenueName},
        "open_orders": [_order_document(order) for order in _open_orders(found)],
        "decisions": dict(found.decisions),
        "verdicts_judged_again": found.rejudged,
        "statistics_computed_again": found.recomputed,
    }


def print_replay(found: Replay, decisions: Path | None) -> None:
    """Print a replay for people."""
    console, state = stdout(), found.state
    console.print(styled(str(state.position)), f"after entry {found.head.seq}, {found.head.hash}")
    venues = [
        (venue.value, _amounts(state.ledger(venue).totals or {}), str(one.fills), text(one.volume_quote), text(one.equity_eur),
         _amounts(one.flow), _amounts(one.fees))
        for venue, one in found.results.items()
    ]  # fmt: skip
    console.print(table(("venue", "balances", "fills", "volume", "P&L EUR", "traded", "fees"), venues))
    orders = [
        (order.client_id, order.venue.value, order.symbol, order.side.value, order.status.value, text(order.price or Decimal(0)),
         text(order.quantity or Decimal(0)), text(order.executed))
        for order in _open_orders(found)
    ]  # fmt: skip
    if orders:
        console.print(table(("order", "venue", "symbol", "side", "status", "price", "quantity", "executed"), orders))
    else:
        console.print("no open orders")
    counted = ", ".join(f"{number} {kind}" for kind, number in sorted(found.decisions.items()))
    console.print(f"decisions  {counted or 'none'}; {found.rejudged} verdicts judged again with the same result")
    if found.recomputed:
        console.print(f"statistics {found.recomputed} sets of figures computed again with the same result")
    if decisions is not None:
        console.print(f"written to {decisions}")
    console.print(f"state      {state.fingerprint()}")


@contextmanager
def _written(path: Path) -> Iterator[Callable[[Decided], None]]:
    try:
        with path.open("xb") as file:
            yield lambda decided: (file.write(decision_line(decided)), None)[1]
    except OSError as error:
        raise UsageError(
            f"the decisions cannot be written to {path}: {error.strerror}",
            code="decisions-not-written",
            remedy="Name a new file on a disk with free space.",
        ) from error


def _open_orders(found: Replay) -> list[OrderState]:
    return [order for venue in VenueName for order in found.state.open_on(venue)]


def _venue_document(found: Replay, venue: VenueName) -> dict[str, Any]:
    ledger, made = found.state.ledger(venue), found.results[venue]
    return {
        "balances": _texts(ledger.totals or {}),
        "fills": made.fills,
        "volume_quote": text(made.volume_quote),
        "pnl_eur": text(made.equity_eur),
        "traded": _texts(made.flow),
        "fees": _texts(made.fees),
    }


def _order_document(order: OrderState) -> dict[str, Any]:
    return {
        "client_id": order.client_id,
        "venue": order.venue.value,
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.type.value,
        "status": order.status.value,
        "price": None if order.price is None else text(order.price),
        "quantity": None if order.quantity is None else text(order.quantity),
        "executed": text(order.executed),
    }


def _texts(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {asset: text(amount) for asset, amount in sorted(amounts.items())}


def _amounts(amounts: Mapping[str, Decimal]) -> str:
    return "  ".join(f"{amount} {asset}" for asset, amount in _texts(amounts).items()) or "-"
