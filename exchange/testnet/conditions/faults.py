"""Faults of the testnet for tests: seeded, counted, and switchable while it runs.

A fault is armed with a kind, how often it may strike (``count``), how likely it is each time (``probability``), how long after
arming it begins (``after_ms``) and a few parameters. The code at each place where a fault can strike calls
``FaultPlan.take``; the same seed and the same sequence of calls give the same faults (execution-safety.md §5, point 7).
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from random import Random

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from exchange.errors import ConfigError
from exchange.matching.saved import Draws, draws_of, resume_draws
from exchange.model import Millis
from exchange.testnet.conditions.listings import SymbolName


class FaultKind(StrEnum):
    """The kinds of faults. The parameters of each kind are named beside it."""

    LOST_ACK = "lost-ack"  # operation (place): carried out, then the connection closes without a reply
    ERROR_AFTER_ACCEPT = "error-after-accept"  # operation (place), status (503): carried out, then a 5xx
    ERROR_BEFORE_ACCEPT = "error-before-accept"  # operation (place), status (500): a 5xx and nothing carried out
    NOT_FOUND_LAG = "not-found-lag"  # ms (500): queries do not find a new order for that long
    LATE_FILL_AFTER_CANCEL = "late-fill-after-cancel"  # a cancel is answered, but the order stays open for ms (300)
    RATE_LIMITED = "rate-limited"  # operation (any), retry_after_s (1): 429
    IP_BANNED = "ip-banned"  # operation (any), retry_after_s (120): 418
    FORBIDDEN_HTML = "forbidden-html"  # operation (any): the firewall's 403 page
    SLOW_REPLY = "slow-reply"  # operation (any), ms (1000): carried out at once, answered late
    CONNECTION_RESET = "connection-reset"  # operation (any): the connection closes before anything is carried out
    STREAM_FREEZE = "stream-freeze"  # ms (5000), channel (all): connected, PONGs answered, nothing pushed
    VERSION_GAP = "version-gap"  # channel (all): one depth update is lost
    LISTENKEY_EXPIRY = "listenkey-expiry"  # every listen key expires and its connections close
    CLOCK_SKEW = "clock-skew"  # ms (may be negative): the venue's clock is wrong by that much from then on
    PRICE_GAP = "price-gap"  # symbol, factor: every later price is multiplied
    DUPLICATE_PRIVATE_EVENTS = "duplicate-private-events"  # a private event is pushed twice
    REORDERED_PRIVATE_EVENTS = "reordered-private-events"  # ms (200): a private event is pushed after the one that follows it
    STREAM_CUT = "stream-cut"  # channel (all): connections that listen to it, or all, are closed as after 24 hours
    SYMBOL_NOT_SUPPORTED = "symbol-not-supported"  # symbol (all): an order is refused with 10007
    MARKET_ORDER_DISABLED = "market-order-disabled"  # symbol (all): a MARKET order is refused with 30051


ACTIONS = frozenset(
    {FaultKind.STREAM_FREEZE, FaultKind.LISTENKEY_EXPIRY, FaultKind.CLOCK_SKEW, FaultKind.PRICE_GAP, FaultKind.STREAM_CUT}
)
"""Faults that strike by themselves when they are due. The others strike at a request or a push."""


class Operation(StrEnum):
    """Which requests a fault applies to."""

    ANY = "any"
    PLACE = "place"
    CANCEL = "cancel"
    QUERY = "query"
    MARKET = "market"
    STREAM = "stream"


_ON_PLACE = frozenset({FaultKind.LOST_ACK, FaultKind.ERROR_AFTER_ACCEPT, FaultKind.ERROR_BEFORE_ACCEPT})
_DAY_MS = 86_400_000


class FaultParams(BaseModel):
    """The parameters of one fault. ``FaultKind`` says which kind uses which."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    operation: Operation | None = None
    ms: int | None = Field(default=None, ge=-_DAY_MS, le=_DAY_MS)
    status: int | None = Field(default=None, ge=500, le=599)
    retry_after_s: int | None = Field(default=None, ge=0, le=259_200)
    symbol: SymbolName | None = None
    factor: Decimal | None = Field(default=None, gt=0, le=1000)
    channel: str | None = None


class Fault(BaseModel):
    """One fault to arm, as it is written in a faults file or posted to the control endpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    count: int | None = Field(default=1, ge=1)
    probability: Decimal = Field(default=Decimal(1), gt=0, le=1)
    after_ms: int = Field(default=0, ge=0)
    params: FaultParams = FaultParams()

    @model_validator(mode="after")
    def _names_what_it_needs(self) -> Fault:
        if self.kind is FaultKind.PRICE_GAP and (self.params.symbol is None or self.params.factor is None):
            raise ValueError("price-gap needs params.symbol and params.factor")
        if self.kind is FaultKind.CLOCK_SKEW and self.params.ms is None:
            raise ValueError("clock-skew needs params.ms")
        if self.kind is not FaultKind.CLOCK_SKEW and self.params.ms is not None and self.params.ms < 0:
            raise ValueError("params.ms is a duration and cannot be negative here")
        return self

    def aims_at(self, operation: Operation) -> bool:
        """Whether the fault applies to a request of this kind."""
        target = self.params.operation or (Operation.PLACE if self.kind in _ON_PLACE else Operation.ANY)
        return target in (Operation.ANY, operation)


@dataclass(slots=True)
class ArmedFault:
    """An armed fault: since when, and how often it struck."""

    id: int
    fault: Fault
    armed_at: Millis
    struck: int = 0

    @property
    def spent(self) -> bool:
        """Whether it has struck as often as it can."""
        return self.fault.count is not None and self.struck >= self.fault.count


@dataclass(frozen=True, slots=True)
class FaultState:
    """A plan as a value; ``draws`` is the inner state of its random generator."""

    next_id: int
    armed: tuple[ArmedFault, ...]
    draws: Draws


class FaultPlan:
    """The armed faults. Not thread-safe: it belongs to the venue's single task."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - reproducible faults, not secrets
        self._armed: list[ArmedFault] = []
        self._next_id = 1

    def __bool__(self) -> bool:
        """Whether any fault was armed and not lifted. Without one nothing can strike."""
        return bool(self._armed)

    def arm(self, fault: Fault, now: Millis) -> int:
        """Arm a fault and return its id."""
        armed = ArmedFault(self._next_id, fault, now)
        self._next_id += 1
        self._armed.append(armed)
        return armed.id

    def clear(self, kind: FaultKind | None = None) -> int:
        """Remove every fault, or every fault of one kind; returns how many."""
        kept = [] if kind is None else [armed for armed in self._armed if armed.fault.kind is not kind]
        lifted = len(self._armed) - len(kept)
        self._armed = kept
        return lifted

    def take(
        self,
        kind: FaultKind,
        now: Millis,
        *,
        operation: Operation = Operation.ANY,
        channel: str | None = None,
        symbol: str | None = None,
    ) -> FaultParams | None:
        """The parameters of a fault of ``kind`` that strikes now, or ``None``."""
        for armed in self._armed:
            fault = armed.fault
            if fault.kind is not kind or armed.spent or now < armed.armed_at + fault.after_ms or not fault.aims_at(operation):
                continue
            if channel is not None and fault.params.channel is not None and fault.params.channel not in channel:
                continue
            if symbol is not None and fault.params.symbol not in {None, symbol}:
                continue
            if fault.probability == 1 or self._random.random() < fault.probability:
                armed.struck += 1
                return fault.params
        return None

    def waits(self, kinds: Collection[FaultKind]) -> bool:
        """Whether a fault of one of these kinds may still strike."""
        return any(armed.fault.kind in kinds and not armed.spent for armed in self._armed)

    def state(self) -> FaultState:
        """The armed faults and the random state, as a value."""
        return FaultState(self._next_id, tuple(replace(one) for one in self._armed), draws_of(self._random))

    def load(self, state: FaultState) -> None:
        """Continue from a saved state."""
        self._next_id = state.next_id
        self._armed = [replace(one) for one in state.armed]
        resume_draws(self._random, state.draws)

    def armed(self) -> Sequence[ArmedFault]:
        """Every fault, armed or spent, oldest first."""
        return tuple(self._armed)


def load_faults(path: Path) -> tuple[Fault, ...]:
    """Read a faults file: TOML with one ``[[fault]]`` table per fault.

    Raises:
        ConfigError: the file is missing, is not TOML, or names a fault that does not exist.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        return tuple(Fault.model_validate(table) for table in _tables(document))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise ConfigError(
            f"the faults file {path} cannot be used: {error}",
            code="faults-file-unusable",
            remedy=f"Give a TOML file with [[fault]] tables; kinds are {', '.join(FaultKind)}.",
        ) from error


def _tables(document: dict[str, object]) -> list[object]:
    tables = document.get("fault", [])
    if set(document) - {"fault"} or not isinstance(tables, list):
        raise ConfigError(
            "a faults file holds [[fault]] tables and nothing else",
            code="faults-file-unusable",
            remedy="Write each fault as a [[fault]] table with kind, count, probability, after_ms and [fault.params].",
        )
    return tables
