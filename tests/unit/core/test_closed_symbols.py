"""A symbol that closes while an order is open in it, or some of it is held, raises an alert and stays in the status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from immutables import Map
from rich.console import Console

from controller.cli.show.status_view import status_panel
from controller.console.schema import StatusView
from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import Decision
from controller.core.effects import Alert, AlertKind
from controller.runtime.api.views import status_view
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.venues.markets import Markets
from exchange.model import DataSource, OrderStatus, SymbolRules
from exchange.ports import VenueName
from policies.stage import Stage
from tests.support.desk import RULES, SYMBOL, D, Desk

GONE: dict[str, SymbolRules] = {}
OFFLINE = {SYMBOL: replace(RULES, trading=False)}
NO_API = {SYMBOL: replace(RULES, api_allowed=False)}
OPEN = {SYMBOL: RULES}


@pytest.fixture
def desk() -> Desk:
    made = Desk().walk_to(Stage.TESTNET_VALIDATING)
    made.tick()
    return made


def tick(desk: Desk, testnet: Mapping[str, SymbolRules], live: Mapping[str, SymbolRules] = OPEN) -> Decision:
    market = desk.market()
    markets = {VenueName.TESTNET: replace(market, rules=testnet), VenueName.LIVE: replace(market, rules=live)}
    return desk.give(i.Tick(markets=markets, clock_offset_ms=dict.fromkeys(VenueName, 3), bots=desk.heard()))


def alerts(decision: Decision) -> list[str]:
    return [one.title for one in decision.effects if isinstance(one, Alert) and one.kind is AlertKind.SYMBOL]


def open_alerts(desk: Desk) -> list[str]:
    return [one.title for one in desk.state.alerts if one.kind is AlertKind.SYMBOL]


def shown(desk: Desk) -> StatusView:
    no_feeds: Any = {name: NoFeed() for name in VenueName}
    fast = dict.fromkeys(VenueName, False)
    rules = {name: dict[str, SymbolRules]() for name in VenueName}
    inbox, clock = None, None
    markets = Markets(feeds=no_feeds, rules=rules, accelerated=fast, symbols=(), clock=clock, inbox=inbox, clocks={})  # type: ignore[arg-type]
    return status_view(desk.state, RecentHistory(), markets, "", desk.now, lambda _: "")


class NoFeed:
    """A market without a book."""

    source = DataSource.LIVE

    def quote(self, _: str) -> None:
        return None


@pytest.mark.parametrize(
    ("rules", "why"), [(GONE, "not listed there"), (OFFLINE, "paused or offline"), (NO_API, "closed to orders by API")]
)
def test_an_open_order_in_a_symbol_that_closed_raises_an_alert(desk: Desk, rules: Mapping[str, SymbolRules], why: str) -> None:
    desk.placed(desk.order("0.00003"))
    assert alerts(tick(desk, rules)) == ["BTCUSDT is closed on testnet"]
    (alert,) = [one for one in desk.state.alerts if one.kind is AlertKind.SYMBOL]
    assert why in alert.detail
    assert "1 open order and a holding of 0 " in alert.detail


def test_a_holding_in_a_symbol_that_closed_raises_an_alert(desk: Desk) -> None:
    order = desk.placed(desk.order("0.00003"))
    desk.fill(order, "0.00003")
    desk.give(i.VenueReported(VenueName.TESTNET, desk.report(order, OrderStatus.FILLED, "0.00003")))
    assert alerts(tick(desk, OFFLINE)) == ["BTCUSDT is closed on testnet"]
    assert "0 open orders and a holding of 0.00003 " in desk.state.closed_symbols["testnet BTCUSDT"].line


def test_a_closed_symbol_without_orders_and_holdings_raises_none(desk: Desk) -> None:
    decision = tick(desk, OFFLINE)
    assert (alerts(decision), open_alerts(desk)) == ([], [])


def test_a_symbol_of_the_policy_that_is_not_listed_raises_an_alert_once(desk: Desk) -> None:
    assert [alerts(tick(desk, GONE)) for _ in range(2)] == [["BTCUSDT is closed on testnet"], []]
    assert "because it is not listed there" in shown(desk).oversight.closed_symbols[0].line
    tick(desk, OPEN)
    assert not desk.state.closed_symbols


def test_an_open_symbol_raises_none(desk: Desk) -> None:
    desk.placed(desk.order("0.00003"))
    assert alerts(tick(desk, OPEN)) == []


def test_the_live_account_is_watched_at_every_stage(desk: Desk) -> None:
    held = replace(desk.state.ledger(VenueName.LIVE), totals=Map({"BTC": D("0.5")}))
    desk.state = replace(desk.state, ledgers=desk.state.ledgers.set(VenueName.LIVE, held))
    assert alerts(tick(desk, OPEN, GONE)) == ["BTCUSDT is closed on live"]


def test_it_is_told_once_and_again_only_for_another_reason(desk: Desk) -> None:
    desk.placed(desk.order("0.00003"))
    titles = [alerts(tick(desk, rules)) for rules in (OFFLINE, OFFLINE, GONE, GONE)]
    assert [len(one) for one in titles] == [1, 0, 1, 0]


def test_an_acknowledged_alert_does_not_come_back(desk: Desk) -> None:
    desk.placed(desk.order("0.00003"))
    tick(desk, OFFLINE)
    (alert,) = [one for one in desk.state.alerts if one.kind is AlertKind.SYMBOL]
    desk.give(i.AlertNoticed(AlertKind.DISK, "another", ""))
    desk.state = replace(desk.state, alerts=tuple(one for one in desk.state.alerts if one is not alert))
    tick(desk, OFFLINE)
    assert open_alerts(desk) == []
    assert shown(desk).oversight.closed_symbols


def test_status_shows_it_until_the_symbol_is_open_again(desk: Desk) -> None:
    desk.placed(desk.order("0.00003"))
    tick(desk, OFFLINE)
    (one,) = shown(desk).oversight.closed_symbols
    assert (one.venue, one.symbol, one.orders, one.held) == (VenueName.TESTNET, SYMBOL, 1, D(0))
    tick(desk, OPEN)
    assert shown(desk).oversight.closed_symbols == ()
    assert open_alerts(desk) == ["BTCUSDT is closed on testnet"]


def test_status_forgets_it_when_nothing_of_it_is_left(desk: Desk) -> None:
    order = desk.placed(desk.order("0.00003"))
    tick(desk, OFFLINE)
    desk.give(i.VenueReported(VenueName.TESTNET, desk.report(order, OrderStatus.CANCELED)))
    tick(desk, OFFLINE)
    assert not desk.state.closed_symbols
    event = desk.events(e.SymbolReopened)[-1]
    assert isinstance(event, e.SymbolReopened)
    assert event.why == "nothing of it is left; it is paused or offline"


def test_the_command_line_shows_the_line_in_the_status(desk: Desk) -> None:
    desk.placed(desk.order("0.00003"))
    tick(desk, OFFLINE)
    console = Console(width=250, file=StringIO())
    console.print(status_panel(shown(desk)))
    assert "BTCUSDT cannot be traded on testnet, because it is paused or offline" in console.file.getvalue()  # type: ignore[attr-defined]
