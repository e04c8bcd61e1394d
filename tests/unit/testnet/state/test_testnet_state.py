"""A testnet's state directory: what was acknowledged is there after a kill, no id is given twice, and the market goes on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from time import sleep
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.errors import ConfigError, IntegrityError, Refused
from exchange.model import Millis, OrderType, Side
from exchange.testnet.conditions.faults import Fault
from exchange.testnet.conditions.listings import ListingChange
from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.server import build_venue, running_testnet
from exchange.testnet.state import store
from exchange.testnet.state.persistence import AHEAD_MS, Persistence
from exchange.testnet.state.store import STATE_FILE, Run, StateError, Store, holder, open_store
from exchange.testnet.venue import SimulatedVenue
from exchange.wire.errors import WireRefusal
from exchange.wire.orders import NewOrder, OrderRef
from tests.support.rig import TAPE
from tests.support.stopped_clock import StoppedClock
from tests.support.tries import tries

START = Millis(1_700_000_000_000)
SYMBOL = "BTCUSDT"
ACCOUNT = AccountConfig("bot", "mx0bot", "bot-secret", {"USDT": Decimal(10_000_000), "BTC": Decimal(1_000), "MX": Decimal(1)})
GENERATED = TestnetConfig(accounts=(ACCOUNT,), port=0, rate_limits=NO_RATE_LIMITS)
RECORDED = replace(GENERATED, tape=TAPE)


class Kept:
    """A venue that keeps its state, its clock, and the ends that a process can have."""

    def __init__(self, directory: Path, config: TestnetConfig = GENERATED, at: int = START) -> None:
        self.clock = StoppedClock(at)
        self.config = config
        self.directory = directory
        self.store: Store = open_store(directory, self.clock.now())
        try:
            self.persistence = Persistence(self.store)
            self.venue: SimulatedVenue = build_venue(config, self.clock, persistence=self.persistence)
        except BaseException:
            self.store.close()
            raise
        self.let_pass(0)

    def killed(self, away_ms: int = 1_000, config: TestnetConfig | None = None) -> Kept:
        """The venue of the next process, after one that ended without a word."""
        self.store.close()
        return Kept(self.directory, config or self.config, self.clock.at + away_ms)

    def ended(self, away_ms: int = 1_000) -> Kept:
        """The venue of the next process, after an orderly end."""
        self.persistence.close()
        return self.killed(away_ms)

    def let_pass(self, ms: int) -> None:
        self.clock.at = Millis(self.clock.at + ms)
        while records := self.venue.market.take_due():
            for record in records:
                self.venue.feed(record)

    def place(self, side: Side, away: int, kind: OrderType, name: str | None) -> str | None:
        """An order some tenths from the best price; its id, or ``None`` when the venue refuses it."""
        quote = self.venue.engine.quote(SYMBOL, self.clock.at)
        if quote is None:
            return None
        best = quote.bid if side is Side.BUY else quote.ask
        price = best + (away if side is Side.BUY else -away) * Decimal("0.1")
        try:
            return self.venue.place("bot", NewOrder(SYMBOL, side, kind, name, Decimal("0.5"), None, price)).order.report.order_id
        except WireRefusal:
            return None

    def carry_out(self, step: tuple[Any, ...]) -> None:
        action, *arguments = step
        match action:
            case "pass":
                self.let_pass(*arguments)
            case "place":
                self.place(*arguments)
            case "cancel":
                try:
                    self.venue.cancel("bot", OrderRef(SYMBOL, None, *arguments))
                except WireRefusal:
                    return
            case "cancel-all":
                self.venue.cancel_all("bot")
            case "deposit":
                self.venue.transfer("bot", "USDT", Decimal("12.5"), deposit=True)

    def shown(self) -> tuple[object, ...]:
        """Everything that a client can ask for about its account."""
        engine = self.venue.engine
        balances = engine.balances("bot")
        return engine.orders("bot", SYMBOL), engine.fills("bot", SYMBOL), balances, engine.fills_digest(), self.venue.transfers

    def ids(self) -> list[str]:
        """The ids of every order, fill and public trade that this process can show."""
        engine = self.venue.engine
        orders = [one.report.order_id for one in engine.orders("bot", SYMBOL)]
        return [*orders, *(one.trade_id for one in engine.fills("bot", SYMBOL))]

    def version(self) -> int:
        return self.venue.engine.depth(SYMBOL, 1)[0]

    def mid(self) -> Decimal:
        quote = self.venue.engine.quote(SYMBOL, self.clock.at)
        assert quote is not None
        return quote.mid


@contextmanager
def kept(directory: Path, config: TestnetConfig = GENERATED, at: int = START) -> Iterator[Kept]:
    first = Kept(directory, config, at)
    try:
        yield first
    finally:
        first.store.close()


NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
KINDS = [OrderType.LIMIT, OrderType.LIMIT, OrderType.LIMIT_MAKER, OrderType.MARKET, OrderType.IMMEDIATE_OR_CANCEL]
STEP = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from([50, 300, 2_000, 6_000])),
    st.tuples(
        st.just("place"), st.sampled_from(list(Side)), st.integers(-3, 3), st.sampled_from(KINDS), st.one_of(NAMES, st.none())
    ),
    st.tuples(st.just("cancel"), NAMES),
    st.sampled_from([("cancel-all",), ("deposit",)]),
)


@settings(max_examples=tries(60), deadline=None)
@given(runs=st.lists(st.lists(STEP, max_size=10), min_size=1, max_size=4))
def test_a_killed_venue_shows_the_same_account_again(tmp_path_factory: pytest.TempPathFactory, runs: list[list[Any]]) -> None:
    venue = Kept(tmp_path_factory.mktemp("state"))
    try:
        for steps in runs:
            for step in steps:
                venue.carry_out(step)
            before = venue.shown()
            # The first book of the next process may fill what it crosses: look before it comes.
            venue.store.close()
            venue = _unfed(venue)
            assert venue.shown() == before
            venue.let_pass(0)
    finally:
        venue.store.close()


def _unfed(before: Kept) -> Kept:
    """The next process, before its market has said anything."""
    paused = Kept.__new__(Kept)
    paused.clock, paused.config, paused.directory = StoppedClock(before.clock.at + 1_000), before.config, before.directory
    paused.store = open_store(paused.directory, paused.clock.now())
    paused.persistence = Persistence(paused.store)
    paused.venue = build_venue(paused.config, _Earlier(paused.clock), persistence=paused.persistence)
    return paused


class _Earlier:
    """The clock of a start at which nothing is due yet: the market begins one ms later than the venue asks for records."""

    def __init__(self, clock: StoppedClock) -> None:
        self._clock = clock
        self._asked = 0

    def now(self) -> Millis:
        self._asked += 1
        return Millis(self._clock.at + (1 if self._asked == 1 else 0))

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()


@pytest.mark.parametrize("config", [GENERATED, RECORDED], ids=["generated", "recorded"])
def test_no_order_fill_or_public_trade_has_the_id_of_an_earlier_one(tmp_path: Path, config: TestnetConfig) -> None:
    venue, ids, trades = Kept(tmp_path, config), set[str](), set[str]()
    for number in range(6):
        known, heard = len(ids), len(trades)
        for one in range(5):
            venue.place(Side.BUY, 1, OrderType.LIMIT, f"taker-{number}-{one}")
            venue.let_pass(1_300)
        ids |= set(venue.ids())
        trades |= {trade.trade_id for trade in venue.venue.history.trades(SYMBOL, 10_000)}
        assert len(venue.ids()) == len(ids) >= known + 10
        assert len(trades) == heard + len(venue.venue.history.trades(SYMBOL, 10_000)) > heard
        venue = venue.ended() if number == 3 else venue.killed()
    venue.store.close()


def test_ids_are_not_given_twice_although_the_last_second_was_lost(tmp_path: Path) -> None:
    """After a loss of power the file may be an older one: what was reserved in it must cover what was given since."""
    venue = Kept(tmp_path / "state")
    resting = venue.place(Side.BUY, -1, OrderType.LIMIT, "resting")
    assert resting is not None
    old = tmp_path / "old"
    shutil.copytree(tmp_path / "state", old)
    for one in range(30):
        venue.place(Side.BUY, 1, OrderType.LIMIT, f"lost-{one}")
    for _ in range(100):
        venue.let_pass(1_000)
        if venue.venue.engine.fills("bot", SYMBOL, order_id=resting):
            break
    lost = set(venue.ids()) - {resting}
    assert any(one.trade_id in lost for one in venue.venue.engine.fills("bot", SYMBOL, order_id=resting))
    venue.store.close()
    with kept(old, at=venue.clock.at) as again:
        for one in range(30):
            again.place(Side.BUY, 1, OrderType.LIMIT, f"new-{one}")
        while not again.venue.engine.fills("bot", SYMBOL, order_id=resting):
            again.let_pass(1_000)
        assert not lost & set(again.ids())


def test_a_venue_whose_state_was_deleted_is_another_one_with_other_ids(tmp_path: Path) -> None:
    with kept(tmp_path / "a") as first:
        order, instance = first.place(Side.BUY, 0, OrderType.LIMIT, "one"), first.venue.instance
    with kept(tmp_path / "a", at=START + 5_000) as same:
        assert (same.venue.instance.id, same.venue.instance.runs) == (instance.id, 2)
        assert same.venue.instance.seen_before == START
    shutil.rmtree(tmp_path / "a")
    with kept(tmp_path / "a", at=START + 9_000) as another:
        assert another.venue.instance.id != instance.id
        assert another.place(Side.BUY, 0, OrderType.LIMIT, "one") not in {None, order}


@pytest.mark.parametrize("config", [GENERATED, RECORDED], ids=["generated", "recorded"])
def test_the_market_goes_on_near_where_it_was_and_its_versions_rise(tmp_path: Path, config: TestnetConfig) -> None:
    venue = Kept(tmp_path, config)
    for number in range(3):
        venue.let_pass(4_000)
        mid, version, played = venue.mid(), venue.version(), venue.venue.market.played  # type: ignore[attr-defined]
        venue = venue.killed(3_600_000) if number % 2 else venue.ended(3_600_000)
        assert venue.version() > version
        assert abs(venue.mid() - mid) < mid / 1000
        assert played <= venue.venue.market.played <= played + 2 * AHEAD_MS  # type: ignore[attr-defined]
    venue.store.close()


def test_a_tape_in_its_third_round_goes_on_in_its_third_round(tmp_path: Path) -> None:
    config = replace(RECORDED, speed=Decimal(100), loop=True)
    venue = Kept(tmp_path, config)
    venue.let_pass(9_000)
    rounds, position = venue.venue.market.rounds, venue.venue.market.played  # type: ignore[attr-defined]
    assert rounds == 2
    venue = venue.ended()
    assert (venue.venue.market.rounds, venue.venue.market.played) == (rounds, position)  # type: ignore[attr-defined]
    assert venue.venue.engine.quote(SYMBOL, venue.clock.at) is not None
    venue.store.close()


def test_a_resting_order_goes_on_behind_what_is_displayed_and_then_fills(tmp_path: Path) -> None:
    venue = Kept(tmp_path)
    resting = venue.place(Side.BUY, 0, OrderType.LIMIT, "resting")
    assert resting is not None
    venue = venue.ended()
    order = venue.venue.engine.order_record(resting)
    assert order.ahead == venue.venue.engine.rules[SYMBOL].quantise_quantity(order.ahead or Decimal(0))
    for _ in range(300):
        venue.let_pass(1_000)
        if not venue.venue.engine.order_record(resting).is_open:
            break
    (fill, *_) = venue.venue.engine.fills("bot", SYMBOL, order_id=resting)
    assert fill.price == order.price
    venue.store.close()


def test_a_gap_of_prices_stays_in_force(tmp_path: Path) -> None:
    venue = Kept(tmp_path)
    before = venue.mid()
    venue.venue.arm(Fault.model_validate({"kind": "price-gap", "params": {"symbol": SYMBOL, "factor": "0.5"}}))
    venue.venue.keep(())
    for _ in range(2):
        venue = venue.killed()
        assert abs(venue.mid() - before / 2) < before / 1000
    venue.store.close()


def test_groups_keys_listings_and_mx_fees_are_kept(tmp_path: Path) -> None:
    venue = Kept(tmp_path)
    group = venue.venue.groups.create("bot", "one", venue.clock.at)
    venue.venue.mx_fees.switch("bot", on=True)
    venue.venue.listings.change(ListingChange(symbol=SYMBOL, status=2), venue.clock.at)
    key = venue.venue.listen_keys.create("bot", venue.clock.at)
    venue.venue.keep(())
    after = venue.killed().venue
    assert after.groups.named("bot") == [group]
    assert after.mx_fees.is_on("bot")
    assert not after.engine.rules[SYMBOL].trading
    assert after.listen_keys.of("bot", Millis(START + 1_000)) == [key]


async def test_a_cancel_that_was_answered_takes_effect_after_a_kill(tmp_path: Path) -> None:
    venue = Kept(tmp_path)
    order = venue.place(Side.BUY, -9, OrderType.LIMIT, "late")
    venue.venue.arm(Fault.model_validate({"kind": "late-fill-after-cancel", "params": {"ms": 3_600_000}}))
    venue.venue.cancel("bot", OrderRef(SYMBOL, None, "late"))
    venue.venue.close()
    venue = venue.killed()
    try:
        assert [(one.order_id, one.due) for one in venue.venue.late_cancels] == [(order, START + 3_600_000)]
    finally:
        venue.venue.close()
        venue.store.close()


def test_opening_balances_are_given_once_to_each_account(tmp_path: Path) -> None:
    venue = Kept(tmp_path)
    venue.venue.transfer("bot", "USDT", Decimal(1), deposit=False)
    more = AccountConfig("second", "mx0second", "second-secret", {"USDT": Decimal(7)})
    richer = replace(ACCOUNT, balances={"USDT": Decimal(99), "EUR": Decimal(5)})
    venue = venue.killed(config=replace(GENERATED, accounts=(richer, more)))
    assert venue.venue.engine.balances("bot")["USDT"].free == Decimal(9_999_999)
    assert "EUR" not in venue.venue.engine.balances("bot")
    assert venue.venue.engine.balances("second")["USDT"].free == Decimal(7)
    venue.venue.transfer("second", "USDT", Decimal(3), deposit=False)
    venue = venue.killed()
    assert venue.venue.engine.balances("second")["USDT"].free == Decimal(4)
    venue.store.close()


# What is refused


def test_a_state_that_another_process_has_open_is_refused(tmp_path: Path) -> None:
    with kept(tmp_path) as venue:
        assert holder(tmp_path) is not None
        with pytest.raises(Refused, match="another testnet"):
            open_store(tmp_path, START)
        venue.store.close()
        assert holder(tmp_path) is None


@pytest.mark.parametrize("change", [{"seed": 2}, {"tape": TAPE}], ids=["seed", "tape"])
def test_a_state_of_another_venue_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    venue = Kept(tmp_path)
    with pytest.raises(ConfigError, match="another market or seed"):
        venue.killed(config=replace(GENERATED, **change))


def test_an_open_order_keeps_its_symbol_listed(tmp_path: Path) -> None:
    listed = replace(GENERATED, symbols=(replace(_rules(), symbol="ETHUSDT", base="ETH"),), start_prices={"ETHUSDT": Decimal(3000)})
    venue = Kept(tmp_path, listed)
    venue.venue.place("bot", NewOrder("ETHUSDT", Side.BUY, OrderType.LIMIT, "e", Decimal(1), None, Decimal(2000)))
    with pytest.raises(ConfigError, match="open order for ETHUSDT"):
        venue.killed(config=GENERATED)
    venue = Kept(tmp_path, listed, START + 2_000)
    venue.venue.cancel_all("bot")
    assert venue.killed(config=GENERATED).venue.engine.orders("bot", SYMBOL) == []


def _rules() -> Any:
    return build_venue(GENERATED, StoppedClock(START)).engine.rules[SYMBOL]


@pytest.mark.parametrize("what", ["DROP TABLE placed", "UPDATE balance SET free = '-1'", "UPDATE placed SET body = '[1]'"])
def test_a_damaged_state_is_refused(tmp_path: Path, what: str) -> None:
    venue = Kept(tmp_path)
    venue.place(Side.BUY, 0, OrderType.LIMIT, "one")
    venue.store._connection.execute(what)
    with pytest.raises(IntegrityError):
        venue.killed()


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_bytes(b"not a database, and longer than its header would be " * 20)
    with pytest.raises(IntegrityError):
        open_store(tmp_path, START)
    assert holder(tmp_path) is None


def test_a_start_on_a_full_disk_asks_for_room_and_not_for_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(tmp_path, START).close()

    def full(*_: object) -> list[Run]:
        raise apsw.FullError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(store, "_begin_run", full)
        with pytest.raises(StateError, match="cannot be written: database or disk is full") as refused:
            open_store(tmp_path, START)
    assert (refused.value.code, holder(tmp_path)) == ("testnet-state-unwritable", None)


def test_a_link_to_nothing_is_named_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "state").symlink_to("nowhere")
    with pytest.raises(ConfigError, match="cannot be used: it is a link to nowhere, which does not exist"):
        open_store(tmp_path / "state", START)


def test_a_directory_that_cannot_be_looked_into_has_no_holder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    assert [holder(tmp_path / name) for name in ("file", "circle", "missing")] == [None, None, None]


def test_a_venue_whose_disk_is_full_acknowledges_nothing_more(tmp_path: Path) -> None:
    venue = Kept(tmp_path)
    venue.place(Side.BUY, -9, OrderType.LIMIT, "kept")
    venue.store._connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StateError, match="full"):
        _place_many(venue)
    with pytest.raises(StateError):
        venue.venue.keep(())
    taken = {one.report.client_id for one in venue.venue.engine.orders("bot", SYMBOL)}
    again = {one.report.client_id for one in venue.killed().venue.engine.orders("bot", SYMBOL)}
    assert len(taken - again) == 1
    assert "kept" in again


def test_a_venue_whose_disk_cannot_be_synced_acknowledges_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise apsw.IOError("the disk is gone")

    monkeypatch.setattr(Store, "_checkpoint", staticmethod(broken))
    venue = Kept(tmp_path)
    venue.store._syncing.join(60)
    with pytest.raises(StateError, match="cannot be synced: the disk is gone"):
        venue.place(Side.BUY, -9, OrderType.LIMIT, "two")
    venue.store.close()


def test_the_log_of_a_busy_venue_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a checkpoint of all of it, which needs a moment without orders, the log is written from its beginning again."""
    monkeypatch.setattr(store, "SYNC_EVERY_S", 0.0)
    venue, log = Kept(tmp_path), tmp_path / f"{STATE_FILE}-wal"
    venue.place(Side.BUY, -9, OrderType.LIMIT, "first")
    began = _salt(log)
    for turn in range(16):
        for number in range(20):
            venue.place(Side.BUY, -9, OrderType.LIMIT, f"busy-{turn}-{number}")
            venue.venue.cancel_all("bot")
        sleep(0.001 * 2**turn)
        venue.place(Side.BUY, -9, OrderType.LIMIT, f"next-{turn}")
        if _salt(log) != began:
            break
    assert _salt(log) != began, "the log grew to its end"
    venue.store.close()


def _salt(log: Path) -> bytes:
    """What changes when a log is written from its beginning again (the header in sqlite.org/fileformat2.html)."""
    return log.read_bytes()[16:24]


def _place_many(venue: Kept) -> None:
    for one in range(1_000):
        venue.place(Side.BUY, -9, OrderType.LIMIT, f"more-{one}")


async def test_a_running_venue_ends_when_its_state_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="the disk is gone"):
        await _run_until_the_disk_is_gone(replace(GENERATED, state=tmp_path))
    assert holder(tmp_path) is None


async def _run_until_the_disk_is_gone(config: TestnetConfig) -> None:
    async with running_testnet(config) as running:
        running.venue.keep.__self__._store._failure = "the disk is gone"  # type: ignore[attr-defined]
        await running.playing
