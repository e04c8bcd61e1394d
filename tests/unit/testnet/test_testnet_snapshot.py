"""Snapshots: a restored venue equals the saved one and continues alike; a damaged file is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.errors import ConfigError, IntegrityError
from exchange.matching.resting import FillModel
from exchange.model import Millis, OrderType, Side
from exchange.testnet import snapshot
from exchange.testnet.conditions.faults import Fault
from exchange.testnet.conditions.listings import ListingChange
from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.server import build_venue, running_testnet
from exchange.testnet.venue import SimulatedVenue
from exchange.wire.errors import WireRefusal
from exchange.wire.orders import NewOrder, OrderRef, StpMode
from tests.support.loopback import http_at
from tests.support.stopped_clock import StoppedClock
from tests.support.tries import tries

START = Millis(1_700_000_000_000)
ACCOUNT = AccountConfig("bot", "mx0bot", "bot-secret", {"USDT": Decimal(10_000_000), "BTC": Decimal(1_000), "MX": Decimal(1)})
CONFIG = TestnetConfig(accounts=(ACCOUNT,), port=0, rate_limits=NO_RATE_LIMITS, control_token="let-me-in")
TOKEN = {"X-Testnet-Control": "let-me-in"}


class VenueDriver:
    """A venue, its clock and its actions: each step is a number and has the same effect on equal venues."""

    def __init__(self, config: TestnetConfig, at: int = START) -> None:
        self.clock = StoppedClock(at)
        self.config = config
        self.venue = build_venue(config, self.clock)

    def saved(self, directory: Path) -> VenueDriver:
        """The venue restored from a file it was saved to, at the same instant."""
        path = directory / "saved.json"
        path.write_bytes(snapshot.encode(self.venue))
        return VenueDriver(replace(self.config, restore=path), self.clock.at)

    def let_pass(self, ms: int) -> None:
        self.clock.at = Millis(self.clock.at + ms)
        while records := self.venue.market.take_due():
            for record in records:
                self.venue.feed(record)

    def place(self, side: Side, away: int, kind: OrderType, name: str | None, mode: StpMode = StpMode.NONE) -> None:
        quote = self.venue.engine.quote("BTCUSDT", self.clock.at)
        assert quote is not None
        best = quote.bid if side is Side.BUY else quote.ask
        price = best + (away if side is Side.BUY else -away) * Decimal("0.1")
        try:
            self.venue.place("bot", NewOrder("BTCUSDT", side, kind, name, Decimal("0.5"), None, price, mode))
        except WireRefusal:
            return

    def cancel(self, name: str) -> None:
        try:
            self.venue.cancel("bot", OrderRef("BTCUSDT", None, name))
        except WireRefusal:
            return

    def carry_out(self, step: tuple[Any, ...]) -> None:
        action, *arguments = step
        match action:
            case "pass":
                self.let_pass(*arguments)
            case "place":
                self.place(*arguments)
            case "cancel":
                self.cancel(*arguments)
            case "gap":
                params = {"symbol": "BTCUSDT", "factor": arguments[0]}
                self.venue.arm(Fault.model_validate({"kind": "price-gap", "params": params}))
            case "pause":
                self.venue.pause()
            case "resume":
                self.venue.resume()


NAMES = st.sampled_from(["a", "b", "c", "d"])
STEP = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from([50, 300, 2_000])),
    st.tuples(
        st.just("place"),
        st.sampled_from(list(Side)),
        st.integers(-3, 3),
        st.sampled_from([OrderType.LIMIT, OrderType.LIMIT, OrderType.LIMIT_MAKER, OrderType.MARKET, OrderType.FILL_OR_KILL]),
        st.one_of(NAMES, st.none()),
        st.sampled_from(list(StpMode)),
    ),
    st.tuples(st.just("cancel"), NAMES),
    st.tuples(st.just("gap"), st.sampled_from([Decimal("0.98"), Decimal("1.01")])),
    st.sampled_from([("pause",), ("resume",)]),
)
STEPS = st.lists(STEP, max_size=12)


@settings(max_examples=tries(40), deadline=None)
@given(before=STEPS, after=STEPS, model=st.sampled_from(list(FillModel)))
def test_a_restored_venue_equals_the_saved_one_and_continues_alike(
    tmp_path_factory: pytest.TempPathFactory, before: list[Any], after: list[Any], model: FillModel
) -> None:
    kept = VenueDriver(replace(CONFIG, fill_model=model))
    for step in before:
        kept.carry_out(step)
    restored = kept.saved(tmp_path_factory.mktemp("snapshots"))
    assert snapshot.encode(restored.venue) == snapshot.encode(kept.venue)
    for step in (*after, ("resume",), ("pass", 3_000)):
        kept.carry_out(step)
        restored.carry_out(step)
    assert restored.venue.engine.fills_digest() == kept.venue.engine.fills_digest()
    assert snapshot.encode(restored.venue) == snapshot.encode(kept.venue)


def test_the_market_continues_where_it_stopped_after_any_downtime(tmp_path: Path) -> None:
    kept = VenueDriver(CONFIG)
    kept.let_pass(5_000)
    restored = kept.saved(tmp_path)
    away = 3_600_000
    late = VenueDriver(restored.config, kept.clock.at + away)
    for driver in (kept, late):
        driver.let_pass(5_000)
    trades, later = (driver.venue.history.trades("BTCUSDT", 20) for driver in (kept, late))
    assert [replace(trade, at=Millis(trade.at + away)) for trade in trades] == later
    assert late.venue.market.records == kept.venue.market.records


@pytest.fixture
def furnished(tmp_path: Path) -> tuple[SimulatedVenue, SimulatedVenue]:
    """A venue with every kind of state, and the one restored from it."""
    driver = VenueDriver(CONFIG)
    venue = driver.venue
    driver.place(Side.BUY, -5, OrderType.LIMIT, "mine")
    venue.count_receipt("bot", "mine")
    group = venue.groups.create("bot", "one", driver.clock.at)
    venue.groups.add("bot", group.id, ["10000001"], driver.clock.at)
    venue.mx_fees.switch("bot", on=True)
    venue.listings.change(ListingChange(symbol="BTCUSDT", status=2), driver.clock.at)
    venue.listen_keys.create("bot", driver.clock.at)
    venue.arm(Fault.model_validate({"kind": "clock-skew", "params": {"ms": 250}}))
    venue.arm(Fault.model_validate({"kind": "lost-ack", "count": 3}))
    return venue, driver.saved(tmp_path).venue


def test_everything_but_connections_is_restored(furnished: tuple[SimulatedVenue, SimulatedVenue]) -> None:
    saved, restored = furnished
    assert {**restored.state(), **saved.instance.document()} == saved.state()
    assert restored.groups.saved() == saved.groups.saved()
    assert restored.mx_fees.is_on("bot")
    assert restored.listings["BTCUSDT"] == saved.listings["BTCUSDT"]
    assert not restored.engine.rules["BTCUSDT"].trading
    assert restored.listen_keys.of("bot", saved.clock.now()) == saved.listen_keys.of("bot", saved.clock.now())
    assert [(one.fault, one.struck) for one in restored.faults.armed()] == [(o.fault, o.struck) for o in saved.faults.armed()]
    assert (restored.clock.skew_ms, restored.receipt("bot", "mine").received) == (250, 1)


@settings(max_examples=tries(60), deadline=None)
@given(data=st.data())
def test_a_changed_file_is_refused(data: st.DataObject) -> None:
    whole = WHOLE
    cut = data.draw(st.integers(0, len(whole) - 1))
    put = data.draw(st.one_of(st.just(b""), st.binary(min_size=1, max_size=3)))
    damaged = whole[:cut] + put + (whole[cut + len(put) :] if put else b"")
    if damaged != whole and json_or_none(damaged) != json.loads(whole):
        with pytest.raises(IntegrityError) as refused:
            snapshot.decode(damaged)
        assert refused.value.code == "snapshot-damaged"


WHOLE = snapshot.encode(VenueDriver(CONFIG).venue)
ONLINE = {"status": 1, "trade_side_type": 1, "market_orders": True, "api_allowed": True, "since": None}


def json_or_none(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


@pytest.mark.parametrize("change", [{"seed": 2}, {"fill_model": FillModel.BASE}, {"speed": Decimal(2)}])
def test_a_snapshot_of_another_venue_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "saved.json"
    path.write_bytes(WHOLE)
    with pytest.raises(ConfigError) as refused:
        VenueDriver(replace(CONFIG, restore=path, **change))
    assert refused.value.code == "snapshot-of-another-venue"
    assert next(iter(change)) in refused.value.message


def test_a_missing_snapshot_is_reported(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError):
        VenueDriver(replace(CONFIG, restore=tmp_path / "none.json"))


async def test_a_venue_is_saved_over_http_and_started_from_the_file(trader: Any, tmp_path: Path) -> None:
    config = replace(CONFIG, snapshots=tmp_path)
    async with running_testnet(config) as running, http_at(running.base_url) as http:
        trader.http = http
        placed = (await trader.place(newClientOrderId="kept")).json()
        reply = await http.post("/__control/snapshot", headers=TOKEN, json={"path": "monday/one.json"})
    path = tmp_path / "monday" / "one.json"
    assert reply.json() == {"path": str(path), "sha256": json.loads(path.read_bytes())["sha256"]}
    again = running_testnet(replace(config, restore=path))
    async with again as running, http_at(running.base_url) as http:
        trader.http = http
        order = await trader.get("order", symbol="BTCUSDT", origClientOrderId="kept")
    assert (order["orderId"], order["status"]) == (placed["orderId"], "NEW")
    assert [one.name for one in path.parent.iterdir()] == ["one.json"]


async def test_a_pending_cancel_is_carried_out_after_a_restore(trader: Any, tmp_path: Path) -> None:
    config = replace(CONFIG, snapshots=tmp_path)
    async with running_testnet(config) as running, http_at(running.base_url) as http:
        trader.http = http
        await trader.place(newClientOrderId="late")
        running.venue.arm(Fault.model_validate({"kind": "late-fill-after-cancel", "params": {"ms": 60_000}}))
        await trader.send("DELETE", "order", {"symbol": "BTCUSDT", "origClientOrderId": "late"})
        (late,) = running.venue.saved().late_cancels
        snapshot.write(running.venue, "late.json")
    async with running_testnet(replace(config, restore=tmp_path / "late.json")) as running:
        assert running.venue.saved().late_cancels == (late,)


@pytest.mark.parametrize("path", ["", "/etc/x.json", "../x.json", "a/../../x.json", "\0"])
async def test_a_snapshot_cannot_leave_its_directory(changed: Callable[..., TestnetConfig], tmp_path: Path, path: str) -> None:
    config = changed(snapshots=tmp_path / "in")
    async with running_testnet(config) as running, http_at(running.base_url) as http:
        reply = await http.post("/__control/snapshot", headers=TOKEN, json={"path": path})
    assert (reply.status_code, reply.json()["error"]) == (400, "snapshot-path-invalid")
    assert not (tmp_path / "in").exists()


async def test_a_testnet_without_a_directory_writes_no_snapshots(http: httpx.AsyncClient) -> None:
    reply = await http.post("/__control/snapshot", headers=TOKEN, json={"path": "x.json"})
    assert (reply.status_code, reply.json()["error"]) == (400, "snapshots-off")


@pytest.mark.parametrize(
    ("part", "value"),
    [("draws", [1, 2]), ("listings", [{**ONLINE, "symbol": "NOPEUSDT"}]), ("engine", {}), ("skew_ms", "a lot"), ("at", None)],
)
def test_a_complete_file_with_an_impossible_state_is_refused(tmp_path: Path, part: str, value: object) -> None:
    document = snapshot.decode(WHOLE)
    document["state"][part] = value
    digest = hashlib.sha256(rfc8785.dumps(document)).hexdigest()
    path = tmp_path / "forged.json"
    path.write_bytes(rfc8785.dumps({"format": snapshot.FORMAT, "version": snapshot.VERSION, "sha256": digest, **document}))
    with pytest.raises(IntegrityError) as refused:
        VenueDriver(replace(CONFIG, restore=path))
    assert refused.value.code == "snapshot-damaged"
