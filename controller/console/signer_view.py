"""The signer's budget of buys in a controller's status (ADR 53). Part of ``controller.console.schema``."""

from __future__ import annotations

from controller.console.view import View
from policies.numbers import Amount

BUDGET_REMEDY = (
    "Let the bot place fewer or smaller buys, or raise buys_per_day below [signer] in gatehouse.toml and restart. "
    "Sales and cancels go on."
)
"""What to do when the budget is low."""

UNKNOWN_REMEDY = (
    "Buys are sent again as soon as the signer's budget is read. If it stays so, read the controller's log and restart it. "
    "Sales and cancels go on."
)
"""What to do when the budget is not known."""


class SignerBudgetView(View):
    """The budget, in the quote asset. ``line`` has its numbers in words.

    ``low``: less than a tenth is left, or it is not ``known``, because it was not read for too long; then ``spent`` and ``limit``
    are absent.
    ``used_up``: nothing is left, or the signer refused a buy. At ``frees_at_ms`` the oldest hour of it no longer counts.
    """

    spent: Amount | None
    limit: Amount | None
    frees_at_ms: int | None
    low: bool
    used_up: bool
    line: str
    known: bool = True

    @property
    def remedy(self) -> str:
        """What a person does when it is low."""
        return BUDGET_REMEDY if self.known else UNKNOWN_REMEDY

    @property
    def sentence(self) -> str:
        """What a person reads when it is low; empty before."""
        if not self.low:
            return ""
        if not self.known:
            return f"No buy is sent: {self.line}"
        return f"{'The signer signs no such buys' if self.used_up else 'The signer will soon sign no buys'}: {self.line}"
