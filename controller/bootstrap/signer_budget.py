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
from controller.console.signer_view import BUDGET_REMEDY, SignerBudgetView
from controller.core.effects import Alert, AlertKind
from controller.runtime.assembly import Assembly
from controller.signer.protocol import Budget
from exchange.errors import GatehouseError
from exchange.model import OrderIntent, Side
from exchange.ports import VenueName
from policies.limit_types import Deny
from policies.numbers import text

EVERY_S = 5.0
"""How often the signer is asked. Between two answers a buy beyond the budget is refused by the signer itself."""

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
    """The signer's budget as it was last told. ``notify`` gets an alert when it is low, and another when it is used up."""

    def __init__(self, signers: BudgetSource, venue: Callable[[], VenueName | None], notify: Callable[[Alert], object]) -> None:
        self._signers = signers
        self._venue = venue
        self._notify = notify
        self._budget: Budget | None = None
        self._refusals = 0
        self._needed: Decimal | None = None
        self._alerted = ""

    async def run(self) -> None:
        """Ask the signer again and again, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(EVERY_S)

    def look(self) -> None:
        """Ask the signer once. While it is silent the last answer counts; that it is silent is said elsewhere."""
        if self._venue() is not VenueName.LIVE:
            self._budget, self._needed, self._alerted = None, None, ""
            return
        try:
            self._budget, self._refusals = self._signers.budget(), self._signers.budget_refusals
        except (GatehouseError, ValueError):
            return
        if self._needed is not None and self._budget is not None and self._needed <= self._budget.left:
            self._needed = None
        view = self.view()
        level = _level(view)
        if view is not None and level and level != self._alerted:
            self._notify(Alert(AlertKind.SIGNER, level, f"{view.line}. {BUDGET_REMEDY}"))
        self._alerted = level

    def view(self) -> SignerBudgetView | None:
        """What people see; ``None`` where no budget binds or none was told."""
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

    @property
    def _refused(self) -> bool:
        """Whether the signer refused a buy since it was last asked, so that its answer is old."""
        return self._signers.budget_refusals > self._refusals

    def denial(self, venue: VenueName, intent: OrderIntent) -> Deny | None:
        """Why the signer would refuse a buy now; ``None`` when it would not, or when nothing is known of its budget."""
        budget = self._budget
        if venue is not VenueName.LIVE or intent.side is not Side.BUY or budget is None:
            return None
        needs = _notional(intent)
        if needs <= budget.left and budget.left > 0 and not self._refused:
            return None
        self._needed = needs if self._needed is None else min(needs, self._needed)
        return Deny(RULE, text(needs), text(budget.left), f"the signer signs no such buy now: {_line(budget)}", BUDGET_REMEDY)


def keep_budget(signers: Signers, assembly: Assembly, notify: Callable[[Alert], object], stack: AsyncExitStack) -> None:
    """Watch the budget until ``stack`` ends; bots and operators are told of it."""
    watch = BudgetWatch(signers, lambda: assembly.writer.state.venue, notify)
    assembly.bots.ask_first(watch.denial)
    assembly.operator.signer_budget = watch.view
    run_beside(watch.run(), stack)


def _level(view: SignerBudgetView | None) -> str:
    if view is None or not view.low:
        return ""
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
