"""Watches how much of the signer's budget of buys is left: for the status, for an alert, and to deny buys before they are signed.

``controller.bootstrap`` makes one. The budget binds buys with real money that a signer process signs; sales and cancels go on.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from contextlib import AsyncExitStack
from decimal import ROUND_FLOOR, Decimal
from typing import Protocol

from controller.bootstrap.beside import run_beside
from controller.bootstrap.signer import Signers
from controller.console.signer_view import BUDGET_REMEDY, UNKNOWN_REMEDY, SignerBudgetView
from controller.core.effects import Alert, AlertKind
from controller.runtime.assembly import Assembly
from controller.signer.protocol import Budget
from exchange.errors import GatehouseError
from exchange.model import OrderIntent, Side
from exchange.ports import Clock, VenueName
from policies.limit_types import Deny
from policies.numbers import text

EVERY_S = 5.0
"""How often the signer is asked. Between two answers a buy beyond the budget is refused by the signer itself."""

STALE_AFTER_S = 4 * EVERY_S
"""A budget that was read longer ago is not known, so no buy is sent. One answer that fails to come is no reason to stop."""

LOW = Decimal("0.1")
"""Below this part of the budget people are told."""

RULE = "signer-budget"


class BudgetSource(Protocol):
    """What ``Signers`` says of the budget."""

    def budget(self) -> Budget | None:
        """The budget now; ``None`` without a signer process. Raises ``GatehouseError``, ``ValueError``."""

    @property
    def budget_refusals(self) -> int:
        """How many buys were refused because of it so far."""


class BudgetWatch:
    """The signer's budget as it was last told, for as long as that is not too old.

    ``notify`` gets an alert when it is low, another when it is used up, and one when it is not known.
    """

    def __init__(
        self,
        signers: BudgetSource,
        venue: Callable[[], VenueName | None],
        notify: Callable[[Alert], object],
        monotonic_ns: Callable[[], int],
    ) -> None:
        self._signers = signers
        self._venue = venue
        self._notify = notify
        self._monotonic_ns = monotonic_ns
        self._budget: Budget | None = None
        self._asked_ns: int | None = None
        self._read_ns: int | None = None
        self._refusals = 0
        self._needed: Decimal | None = None
        self._alerted = ""

    async def run(self) -> None:
        """Ask the signer again and again, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(EVERY_S)

    def follow(self) -> None:
        """Ask at once when orders begin to go to MEXC: what was never read is not known."""
        if self._asked_ns is None and self._venue() is VenueName.LIVE:
            self.look()

    def look(self) -> None:
        """Ask the signer once. While it is silent its last answer counts, until that is too old."""
        if self._venue() is not VenueName.LIVE:
            self._budget, self._asked_ns, self._read_ns, self._needed, self._alerted = None, None, None, None, ""
            return
        now_ns = self._monotonic_ns()
        if self._asked_ns is None:
            self._asked_ns = now_ns
        try:
            self._budget, self._refusals = self._signers.budget(), self._signers.budget_refusals
            self._read_ns = now_ns
        except (GatehouseError, ValueError):
            pass
        finally:
            self._alert()

    def view(self) -> SignerBudgetView | None:
        """What people see; ``None`` where no budget binds."""
        if self._venue() is not VenueName.LIVE:
            return None
        if why := self._unknown:
            return SignerBudgetView(spent=None, limit=None, frees_at_ms=None, low=True, used_up=False, line=why, known=False)
        budget = self._budget
        if budget is None or budget.limit <= 0:
            return None
        # What a bot asked for and is more than is left: for it the budget is used up.
        used_up = budget.left <= 0 or self._needed is not None or self._refused
        low = used_up or budget.left < budget.limit * LOW
        return SignerBudgetView(
            spent=budget.spent,
            limit=budget.limit,
            frees_at_ms=budget.frees_at or None,
            low=low,
            used_up=used_up,
            line=_line(budget),
        )

    def _alert(self) -> None:
        if self._needed is not None and self._budget is not None and self._needed <= self._budget.left:
            self._needed = None
        view = self.view()
        level = _level(view)
        if view is not None and level and level != self._alerted:
            self._notify(Alert(AlertKind.SIGNER, level, f"{view.line}. {view.remedy}"))
        self._alerted = level

    @property
    def _unknown(self) -> str:
        """Why the budget is not known; empty while it is."""
        if self._read_ns is None:
            return "the signer's budget of buys was not read yet"
        age_s = (self._monotonic_ns() - self._read_ns) / 1e9
        return f"the signer's budget of buys was last read {age_s:.0f} s ago, so it is not known" if age_s > STALE_AFTER_S else ""

    @property
    def _refused(self) -> bool:
        """Whether the signer refused a buy since it was last asked, so that its answer is old."""
        return self._signers.budget_refusals > self._refusals

    def denial(self, venue: VenueName, intent: OrderIntent) -> Deny | None:
        """Why the signer would refuse a buy now, or that nobody knows; ``None`` when it would sign it, or when no budget binds."""
        if venue is not VenueName.LIVE or intent.side is not Side.BUY:
            return None
        if why := self._unknown:
            return Deny(RULE, "not known", "known", why, UNKNOWN_REMEDY)
        budget = self._budget
        if budget is None:
            return None
        needs = _notional(intent)
        if needs <= budget.left and budget.left > 0 and not self._refused:
            return None
        self._needed = needs if self._needed is None else min(needs, self._needed)
        return Deny(RULE, text(needs), text(budget.left), f"the signer signs no such buy now: {_line(budget)}", BUDGET_REMEDY)


def keep_budget(
    signers: Signers, assembly: Assembly, clock: Clock, notify: Callable[[Alert], object], stack: AsyncExitStack
) -> None:
    """Watch the budget until ``stack`` ends; bots and operators are told of it."""
    watch = BudgetWatch(signers, lambda: assembly.writer.state.venue, notify, clock.monotonic_ns)
    # After the signer was told of a move, which the follower before this one does.
    assembly.writer.add_follower(lambda _: watch.follow())
    assembly.bots.ask_first(watch.denial)
    assembly.operator.signer_budget = watch.view
    run_beside("signer budget", watch.run, notify, stack)


def _level(view: SignerBudgetView | None) -> str:
    if view is None or not view.low:
        return ""
    if not view.known:
        return "the signer's budget of buys is not known"
    return "the signer's budget of buys is used up" if view.used_up else "the signer's budget of buys is nearly used up"


def _notional(intent: OrderIntent) -> Decimal:
    if intent.quote_quantity is not None:
        return intent.quote_quantity
    return intent.quantity * intent.price if intent.quantity is not None and intent.price is not None else Decimal(0)


def _line(budget: Budget) -> str:
    share = (budget.left / budget.limit * 100).quantize(Decimal("0.1"), ROUND_FLOOR) if budget.limit else Decimal(0)
    spent = f"buys of {_amount(budget.spent)} of {_amount(budget.limit)} are signed in the last 25 hours, {share} % are left"
    if not budget.frees_at:
        return spent
    at = dt.datetime.fromtimestamp(budget.frees_at / 1000, dt.UTC)
    return f"{spent}; {_amount(budget.frees)} more may be signed from {at:%Y-%m-%d %H:%M} UTC"


def _amount(value: Decimal) -> str:
    return text(value.quantize(Decimal("0.01"), ROUND_FLOOR))
