"""Deposits and withdrawals that the venue's history explains: booked once, neither gain nor loss. Everything else halts as ever."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions import account
from controller.core.decisions.draft import Decision
from controller.core.decisions.transfers import SLACK_MS
from exchange.model import CapitalMove, Millis
from exchange.ports import VenueName
from policies.stage import Stage
from tests.support.desk import SYMBOL, D, Desk
from tests.support.flattening import hold
from tests.unit.core.test_rebaseline_decided import day_result, results

LIVE = VenueName.LIVE


@pytest.fixture(scope="module")
def trading() -> Desk:
    """At LIVE_€10 with a holding that gatehouse bought."""
    desk = hold(Desk().walk_to(Stage.LIVE_EUR10), "0.00008")
    desk.run(7_000)
    return desk


@pytest.fixture
def desk(trading: Desk) -> Desk:
    desk = trading.fork()
    desk.pass_time(1_000)
    return desk


def move(desk: Desk, amount: str, asset: str = "USDT", *, id_: str = "W1", ago_ms: int = 500) -> CapitalMove:
    return CapitalMove(id_, asset, D(amount), Millis(desk.now - ago_ms))


def read(desk: Desk, *moves: CapitalMove, problem: str = "", refused: bool = False, quoted: bool = True) -> Decision:
    """One reading of the live account, with the history that the venue shows for it."""
    quotes = {SYMBOL: desk.quote()} if quoted else {}
    snapshot = i.AccountSnapshot((), tuple(desk.trades[LIVE]), desk.balances(LIVE))
    booked = desk.state.ledger(LIVE).fills_booked
    return desk.give(i.AccountRead(LIVE, snapshot, booked, desk.now, moved=i.MovesRead(moves, problem, quotes, refused)))


def read_twice(desk: Desk, *moves: CapitalMove) -> None:
    for _ in range(2):
        read(desk, *moves)


def booked(desk: Desk) -> list[str]:
    return [one.id for event in desk.events(e.CapitalMoved) if isinstance(event, e.CapitalMoved) for one in event.moves]


def is_trading(desk: Desk) -> bool:
    return desk.state.position.stage is Stage.LIVE_EUR10 and desk.state.ledger(LIVE).clean


# What is recognised


@pytest.mark.parametrize("amount", ["-20", "0.000001", "5000"])
def test_money_that_the_history_explains_halts_nothing(desk: Desk, amount: str) -> None:
    desk.owner_moves(LIVE, "USDT", amount)
    read_twice(desk, move(desk, amount))
    assert (is_trading(desk), booked(desk)) == (True, ["W1"])


def test_moves_of_several_assets_explain_each_its_own(desk: Desk) -> None:
    desk.owner_moves(LIVE, "USDT", "-20")
    desk.owner_moves(LIVE, "ETH", "2")
    read_twice(desk, move(desk, "-20"), move(desk, "2", "ETH", id_="D1"))
    assert (is_trading(desk), sorted(booked(desk))) == (True, ["D1", "W1"])


def test_a_move_after_the_reading_waits_for_the_next_one(desk: Desk) -> None:
    desk.owner_moves(LIVE, "USDT", "-20")
    later = move(desk, "-7", id_="W2", ago_ms=-100)
    read(desk, move(desk, "-20"), later)
    assert (is_trading(desk), booked(desk)) == (True, ["W1"])
    desk.owner_moves(LIVE, "USDT", "-7")
    read(desk, move(desk, "-20"), later)
    assert (is_trading(desk), booked(desk)) == (True, ["W1", "W2"])


def test_a_withdrawal_while_the_controller_was_down_is_recognised(desk: Desk) -> None:
    desk.owner_moves(LIVE, "USDT", "-20")
    gone = move(desk, "-20")
    desk.pass_time(3_600_000)
    desk.boot()
    read(desk, gone)
    assert (booked(desk), desk.state.ledger(LIVE).clean) == (["W1"], True)


def test_a_person_is_told_of_money_that_came_or_left(desk: Desk) -> None:
    desk.owner_moves(LIVE, "USDT", "-20")
    read(desk, move(desk, "-20"))
    (alert,) = [one for one in desk.state.alerts if one.title == "money came to or left live"]
    assert alert.detail == "-20 USDT"


def test_a_withdrawal_of_what_gatehouse_bought_is_named(desk: Desk) -> None:
    desk.owner_moves(LIVE, "BTC", "-0.00005")
    read(desk, move(desk, "-0.00005", "BTC"))
    policy = desk.state.policy
    assert policy is not None
    assert "gone of what gatehouse bought: 0.00005 BTC" in desk.state.alerts[-1].detail
    assert account.bought(desk.state, policy, LIVE, SYMBOL) == D("0.00003")
    desk.owner_moves(LIVE, "BTC", "1")
    read(desk, move(desk, "1", "BTC", id_="D1"))
    assert account.bought(desk.state, policy, LIVE, SYMBOL) == D("0.00003")


# What is not


def most_ms(desk: Desk) -> int:
    """How long ago the last agreement may be while a history is awaited."""
    assert desk.state.policy is not None
    return desk.state.policy.guards.reconciliation.max_age_ms


def halts(desk: Desk, *moves: CapitalMove, quoted: bool = True) -> str:
    """Read until the history is awaited no longer, and return why it halted; empty when it did not."""
    read(desk, *moves, quoted=quoted)
    assert not desk.state.halt_reason
    desk.pass_time(most_ms(desk) + 1)
    read(desk, *moves, quoted=quoted)
    return desk.state.halt_reason


def test_a_move_counts_once_by_its_id(desk: Desk) -> None:
    desk.owner_moves(LIVE, "USDT", "-20")
    first = move(desk, "-20")
    read(desk, first)
    desk.owner_moves(LIVE, "USDT", "-20")
    assert "USDT" in halts(desk, first)
    assert booked(desk) == ["W1"]


@pytest.mark.parametrize("amount", ["-19.999999", "-20.000001", "20"])
def test_a_move_of_another_amount_explains_nothing(desk: Desk, amount: str) -> None:
    desk.owner_moves(LIVE, "USDT", "-20")
    assert "USDT" in halts(desk, move(desk, amount))


def test_a_move_of_another_asset_explains_nothing(desk: Desk) -> None:
    desk.owner_moves(LIVE, "USDT", "-20")
    assert "USDT" in halts(desk, move(desk, "-20", "USDC"))


@pytest.mark.parametrize(("more_ms", "known"), [(0, ["W1"]), (1, [])])
def test_a_move_from_before_the_last_agreement_explains_nothing(desk: Desk, more_ms: int, known: list[str]) -> None:
    desk.owner_moves(LIVE, "USDT", "-20")
    agreed_at = desk.state.ledger(LIVE).agreed_at
    read(desk, move(desk, "-20", ago_ms=desk.now - agreed_at + SLACK_MS + more_ms))
    assert booked(desk) == known


@pytest.mark.parametrize(("ago_ms", "known"), [(400, ["W1"]), (401, [])])
def test_a_move_from_before_the_second_of_the_baseline_is_none(ago_ms: int, known: list[str]) -> None:
    desk = Desk()
    desk.pass_time(400)
    desk.arm()
    desk.owner_moves(LIVE, "USDT", "-20")
    read(desk, move(desk, "-20", ago_ms=ago_ms))
    assert booked(desk) == known


def test_two_moves_with_one_id_explain_nothing(desk: Desk) -> None:
    desk.owner_moves(LIVE, "USDT", "-20")
    assert "USDT" in halts(desk, move(desk, "-20"), move(desk, "-20"))


def test_an_explained_asset_does_not_excuse_another(desk: Desk) -> None:
    desk.owner_moves(LIVE, "USDT", "-20")
    desk.owner_moves(LIVE, "BTC", "-0.00001")
    reason = halts(desk, move(desk, "-20"))
    assert ("BTC: ours" in reason, "USDT" in reason, booked(desk)) == (True, False, ["W1"])


def test_a_move_without_a_quote_explains_nothing(desk: Desk) -> None:
    desk.owner_moves(LIVE, "BTC", "-0.00001")
    assert "BTC" in halts(desk, move(desk, "-0.00001", "BTC"), quoted=False)


def test_a_history_that_may_not_be_read_halts_and_says_what_to_do(desk: Desk) -> None:
    desk.owner_moves(LIVE, "USDT", "-20")
    for _ in range(2):
        read(desk, problem="MEXC 700007 (No permission to access the endpoint.)", refused=True)
    assert "was not read: MEXC 700007" in desk.state.halt_reason
    assert "gatehouse rebaseline --venue live" in desk.state.halt_reason


def test_without_a_difference_nothing_is_booked(desk: Desk) -> None:
    read_twice(desk, move(desk, "-20"))
    assert (booked(desk), is_trading(desk)) == ([], True)


# A history that is late


@pytest.mark.parametrize("amount", ["-20", "20"])
def test_a_history_that_is_seconds_late_halts_nothing(desk: Desk, amount: str) -> None:
    desk.owner_moves(LIVE, "USDT", amount)
    late = move(desk, amount)
    for _ in range(4):
        read(desk)
        desk.pass_time(3_000)
        desk.tick()
    assert (desk.state.halt_reason, is_trading(desk)) == ("", False)
    read(desk, late)
    assert (desk.state.halt_reason, is_trading(desk), booked(desk)) == ("", True, ["W1"])


def test_while_the_history_is_awaited_buys_are_denied(desk: Desk) -> None:
    def taken() -> bool:
        return any(isinstance(event, e.OrderAdmitted) for event in desk.order("0.00002").events)

    assert taken()
    desk.owner_moves(LIVE, "USDT", "-20")
    late = move(desk, "-20")
    read(desk)
    assert not taken()
    read(desk, late)
    assert taken()


def test_the_wait_for_the_history_ends_with_the_last_agreements_age(desk: Desk) -> None:
    agreed_at = desk.state.ledger(LIVE).agreed_at
    desk.owner_moves(LIVE, "USDT", "-20")
    for _ in range(2):
        read(desk)
    desk.pass_time(agreed_at + most_ms(desk) - desk.now)
    read(desk)
    assert not desk.state.halt_reason
    desk.pass_time(1)
    read(desk)
    assert "The venue's history does not explain it" in desk.state.halt_reason
    assert "gatehouse rebaseline --venue live" in desk.state.halt_reason


def test_a_history_that_was_not_answered_is_awaited(desk: Desk) -> None:
    desk.owner_moves(LIVE, "USDT", "-20")
    for _ in range(2):
        read(desk, problem="GET capital/withdraw/history: no answer")
    assert not desk.state.halt_reason
    read(desk, move(desk, "-20"))
    assert is_trading(desk)


# What is neutral

STEP = st.tuples(st.sampled_from(["USDT", "BTC", "ETH"]), st.integers(-8, 60))


@given(steps=st.lists(STEP, min_size=1, max_size=6), price=st.integers(59_990, 60_010))
def test_no_result_changes_with_any_moves(trading: Desk, steps: Sequence[tuple[str, int]], price: int) -> None:
    desk = trading.fork()
    desk.pass_time(1_000)
    desk.price = D(price)
    unit = {"USDT": D(1), "BTC": D("0.00001"), "ETH": D(1)}
    moves = [CapitalMove(f"M{number}", asset, n * unit[asset], desk.now) for number, (asset, n) in enumerate(steps)]
    for one in moves:
        desk.owner_moves(LIVE, one.asset, str(one.amount))
    tally, before, result = desk.state.tally, results(desk, LIVE), day_result(desk)
    assert tally is not None
    ours = desk.state.ledger(LIVE).bought["BTC"]
    read(desk, *moves)
    after = desk.state.tally
    assert after is not None
    assert desk.state.ledger(LIVE).clean
    assert (results(desk, LIVE), day_result(desk)) == (before, result)
    assert after.equity_last is not None
    assert tally.equity_last is not None
    assert tally.equity_start is not None
    assert tally.equity_peak is not None
    assert after.equity_start == tally.equity_start + after.equity_last - tally.equity_last
    assert after.equity_peak == tally.equity_peak + after.equity_last - tally.equity_last
    held = (desk.state.ledger(LIVE).totals or {}).get("BTC", D(0))
    assert desk.state.ledger(LIVE).bought["BTC"] == min(ours, max(held, D(0)))
    assert len(set(booked(desk))) == len(booked(desk))


def test_a_withdrawal_is_no_loss_and_the_run_goes_on(desk: Desk) -> None:
    before = desk.state.tally
    desk.owner_moves(LIVE, "USDT", "-60")
    read(desk, move(desk, "-60"))
    desk.run(5_000)
    assert desk.state.tally is not None
    assert before is not None
    assert (desk.state.guard_level, desk.state.position.stage) == ("", Stage.LIVE_EUR10)
    assert (desk.state.tally.started_at, desk.state.tally.drawdown) == (before.started_at, before.drawdown)
