"""A symbol as a person types it. The verbs ``flatten``, ``tape`` and ``testnet`` read it."""

from __future__ import annotations

from exchange.errors import UsageError
from exchange.model import symbol_fault


def typed_symbol(text: str) -> str:
    """The symbol in capital letters.

    Raises:
        UsageError: ``symbol-malformed``, with the reason in words.
    """
    # Only ASCII letters are raised: elsewhere a letter such as the dotless i would become another symbol's letter.
    raised = text.upper() if text.isascii() else text
    if fault := symbol_fault(raised):
        raise UsageError(f"that is no symbol: {fault}", code="symbol-malformed", remedy="Type the symbol as in BTCUSDT.")
    return raised
