"""Writes the venue's fills as JSON Lines with their evidence: one object per fill, oldest first. The testnet writes it at its end.

Amounts are decimal text, instants are ms. ``line`` is the text of the fills digest: the SHA-256 over all lines, each
followed by a newline, is ``Engine.fills_digest``, so an export proves that it is complete.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from exchange.matching.engine import Engine
from exchange.matching.events import FillRecord
from exchange.wire.numbers import plain


def fill_document(record: FillRecord) -> dict[str, object]:
    """One fill as JSON values."""
    fill = record.fill
    return {
        "account": record.account,
        "tradeId": fill.trade_id,
        "orderId": fill.order_id,
        "clientOrderId": fill.client_id,
        "symbol": fill.symbol,
        "side": fill.side.value,
        "price": plain(fill.price),
        "quantity": plain(fill.quantity),
        "quote": plain(fill.quote),
        "fee": plain(fill.fee),
        "feeAsset": fill.fee_asset,
        "maker": fill.maker,
        "at": fill.at,
        "evidence": {"bookVersion": record.evidence.book_version, "tradeIds": list(record.evidence.trade_ids)},
        "line": record.line(),
    }


def fill_lines(records: Iterable[FillRecord]) -> Iterator[str]:
    """Each fill as one line of JSON, with its newline."""
    for record in records:
        yield json.dumps(fill_document(record), separators=(",", ":"), ensure_ascii=True) + "\n"


def export_fills(engine: Engine, path: Path) -> int:
    """Write every fill so far to ``path``, replacing it; returns how many. An ``OSError`` is passed on."""
    records = engine.fill_log()
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("w", encoding="ascii", newline="\n") as file:
        file.writelines(fill_lines(records))
    unfinished.replace(path)
    return len(records)
