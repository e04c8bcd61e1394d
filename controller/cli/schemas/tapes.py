"""The documents of ``gatehouse tape`` and ``gatehouse testnet --print-fills``, and of ``gatehouse alerts``."""

from __future__ import annotations

from pydantic import Field

from controller.cli.schemas.document import Document


class TapeDocument(Document):
    """What is on a tape: counts, its span (UTC milliseconds), prices and volume as decimal strings, a row of mid prices."""

    path: str
    symbol: str
    source: str
    origin: str
    licence: str
    note: str
    records: int
    snapshots: int
    deltas: int
    trades: int
    gaps: int
    first_at: int
    last_at: int
    first_version: int
    last_version: int
    low: str | None
    high: str | None
    volume: str
    mids: list[str | None]
    sha256: str


class ModelResult(Document):
    """What scripted quotes got under one fill model; amounts are decimal strings."""

    model: str
    orders: int
    fills: int
    made: str
    taken: str
    fees: str
    profit: str
    digest: str


class ComparedModels(Document):
    """The same quotes under every fill model; ``latency`` is in milliseconds."""

    source: str
    seed: int
    latency: list[int]
    models: list[ModelResult]


class FillEvidence(Document):
    """What of the market a simulated fill rests on."""

    book_version: int = Field(alias="bookVersion")
    trade_ids: list[str] = Field(alias="tradeIds")


class FillLine(Document):
    """One simulated fill, when it happens. Names are MEXC's; amounts are decimal strings."""

    account: str
    trade_id: str = Field(alias="tradeId")
    order_id: str = Field(alias="orderId")
    client_order_id: str = Field(alias="clientOrderId")
    symbol: str
    side: str
    price: str
    quantity: str
    quote: str
    fee: str
    fee_asset: str = Field(alias="feeAsset")
    maker: bool
    at: int
    evidence: FillEvidence
    line: str


class AlertExplained(Document):
    """What a kind of alert means and what to do; the first six fields are there for an open alert only."""

    id: str = ""
    what: str = ""
    since: str = ""
    condition: str = ""
    handed_over_to: str = ""
    acknowledge: str = ""
    kind: str
    severity: str
    meaning: str
    what_to_do: str
    ends: str
    escalates: str = ""
    page: str


class TriedChannel(Document):
    """What became of the test of one channel; ``why`` and ``remedy`` are empty when it was handed over."""

    channel: str
    to: str
    handed_over: bool
    ms: int
    why: str
    remedy: str
