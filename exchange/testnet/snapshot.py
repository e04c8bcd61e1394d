"""Saves the testnet's state to a file and restores it: canonical JSON (RFC 8785) with a version and a digest.

The control endpoint saves, ``server`` restores. A snapshot holds the venue, not its connections: accounts, orders with their places
in the queue, fills with their evidence, ids, books, public trades, armed faults and the random state. A restored venue gives the
same replies and, for the same records and requests, the same fills as the saved one. The state of connections starts anew: streams,
rate limits, requests on their way, random latencies. A tape or a generated market continues from its last record; live data
continues with the present.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

import rfc8785
from pydantic import TypeAdapter, ValidationError

from exchange.errors import ConfigError, IntegrityError, UsageError
from exchange.testnet.saved import VenueState
from exchange.testnet.venue import SimulatedVenue
from exchange.wire.symbols import symbol_json

FORMAT = "gatehouse-testnet-snapshot"
VERSION = 1

_NO_RULE = frozenset({"status", "tradeSideType", "orderTypes", "isSpotTradingAllowed", "contractAddress", "st"})
"""What a listing shows that does not make it another venue: what can be switched, and what is not a rule."""

_STATE = TypeAdapter(VenueState)


@dataclass(frozen=True, slots=True)
class Written:
    """A written snapshot, and the digest of its state."""

    path: Path
    sha256: str


def encode(venue: SimulatedVenue) -> bytes:
    """The venue as the bytes of a snapshot; equal states give equal bytes."""
    state: dict[str, Any] = _STATE.dump_python(venue.saved(), mode="json")
    for order in state["engine"]["orders"]:
        order["rules"] = order["rules"]["symbol"]
    body = {"venue": identity(venue), "state": state}
    digest = hashlib.sha256(rfc8785.dumps(body)).hexdigest()
    return rfc8785.dumps({"format": FORMAT, "version": VERSION, "sha256": digest, **body})


def decode(data: bytes) -> dict[str, Any]:
    """The content of a snapshot. Raises ``IntegrityError`` for another kind of file, a damaged one, or another version."""
    try:
        document = json.loads(data, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise _damaged("it is not JSON") from error
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise _damaged("it is not a snapshot of a testnet")
    if document.pop("version", None) != VERSION:
        raise _damaged("it was written by another version")
    digest = document.pop("sha256", None)
    try:
        whole = hashlib.sha256(rfc8785.dumps(document)).hexdigest() == digest and document.keys() == {"venue", "state"}
    except rfc8785.CanonicalizationError as error:
        raise _damaged("it holds numbers that no snapshot has") from error
    if not whole:
        raise _damaged("its digest does not match")
    return document


def write(venue: SimulatedVenue, name: str) -> Written:
    """Save the venue as ``name`` under the configured directory, completely or not at all.

    Raises:
        ConfigError: the testnet was started without a directory for snapshots, or it cannot be written to.
        UsageError: a name that leads out of it.
    """
    directory = venue.config.snapshots
    if directory is None:
        raise ConfigError(
            "this testnet keeps no snapshots", code="snapshots-off", remedy="Start it with a directory for snapshots."
        )
    relative = PurePosixPath(name)
    if not relative.parts or relative.is_absolute() or ".." in relative.parts or "\0" in name:
        raise UsageError(
            f"{name!r} leads out of the snapshot directory", code="snapshot-path-invalid", remedy="Give a relative path."
        )
    target = directory / relative
    data = encode(venue)
    partial = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise ConfigError(
            f"the snapshot {target} cannot be written: {error.strerror}",
            code="snapshot-unwritable",
            remedy="Give the testnet a directory it may write to.",
        ) from error
    return Written(target, str(json.loads(data)["sha256"]))


def restore(venue: SimulatedVenue, path: Path) -> None:
    """Load a saved venue into a new one built from the same configuration.

    Raises:
        IntegrityError: the file is missing, incomplete, or holds an impossible state.
        ConfigError: it was saved under another seed, fill model, duplicate rule, tape, speed or other symbols.
    """
    try:
        document = decode(path.read_bytes())
    except OSError as error:
        raise _damaged(f"{path} cannot be read") from error
    own, saved = identity(venue), document["venue"]
    if own != saved:
        different = sorted(key for key in {*own, *saved} if own.get(key) != saved.get(key)) if isinstance(saved, dict) else []
        raise ConfigError(
            f"the snapshot was taken of another venue: {', '.join(different)} differ",
            code="snapshot-of-another-venue",
            remedy="Start the testnet with the options it had when the snapshot was taken.",
        )
    state = _state(venue, document["state"])
    try:
        venue.load(state)
    except (KeyError, ValueError, UsageError) as error:
        raise _damaged("it holds a state that no testnet has") from error


def identity(venue: SimulatedVenue) -> dict[str, object]:
    """What must be equal for a saved state to continue in the same way."""
    config = venue.config
    return {
        "seed": config.seed,
        "fill_model": config.fill_model.value,
        "duplicates": config.duplicates.value,
        "source": venue.market.source.value,
        "speed": str(venue.market.speed),
        "loop": config.loop,
        "mx_price": str(config.mx_price),
        "start_prices": {symbol: str(price) for symbol, price in config.start_prices.items()},
        "tape": " ".join(hashlib.sha256(one.read_bytes()).hexdigest() for one in config.tapes),
        "symbols": [
            {name: value for name, value in symbol_json(rules).items() if name not in _NO_RULE}
            for rules in venue.engine.rules.values()
        ],
    }


def _state(venue: SimulatedVenue, state: Any) -> VenueState:
    rules = TypeAdapter(type(next(iter(venue.engine.rules.values()))))
    try:
        for order in state["engine"]["orders"]:
            order["rules"] = rules.dump_python(venue.engine.rules[order["rules"]], mode="json")
        return _STATE.validate_json(json.dumps(state))
    except (KeyError, TypeError, ValidationError) as error:
        raise _damaged("it holds a state that no testnet has") from error


def _damaged(why: str) -> IntegrityError:
    return IntegrityError(
        f"the snapshot cannot be restored: {why}",
        code="snapshot-damaged",
        remedy="Restore another snapshot; this one was changed, or written by another version.",
    )
