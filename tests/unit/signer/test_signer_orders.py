"""Which orders the signer signs: permit, limits, the signed authority and its own count. Refusals are told by their code."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from controller.signer.protocol import Kind
from exchange.errors import Refused
from exchange.model import OrderIntent, OrderType, Side
from exchange.wire.signing import signature
from policies.authority import Verb
from policies.stage import Stage
from tests.unit.signer.signer_kit import EPOCH, LIVE, OTHER, SECRET, TESTNET, Desk, buy, payload_of, sell


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        work()
    return caught.value.code


def test_an_order_within_the_signed_authority_is_signed_as_mexc_wants(desk: Desk) -> None:
    desk.to_live()
    assert desk.order(buy()).decode() == signature(SECRET, payload_of(buy()))


def test_without_a_signed_authority_no_live_order_is_signed(desk: Desk) -> None:
    assert code_of(lambda: desk.order(buy())) == "signer-no-authority"
    assert code_of(lambda: desk.order(sell())) == "signer-no-authority"


def test_the_testnet_account_needs_no_authority(desk: Desk) -> None:
    assert desk.order(buy(), TESTNET)


@pytest.mark.parametrize("payload", ["symbol=BTCUSDT&origClientOrderId=gh-1&timestamp=1", "recvWindow=5000&timestamp=1"])
def test_queries_and_cancels_need_nothing(desk: Desk, payload: str) -> None:
    assert desk.ask(Kind.QUERY, LIVE, payload.encode()).decode() == signature(SECRET, payload)


def test_an_order_is_not_signed_as_a_query(desk: Desk) -> None:
    desk.to_live()
    assert code_of(lambda: desk.ask(Kind.QUERY, LIVE, payload_of(buy()).encode())) == "signer-parameter"


@pytest.mark.parametrize(
    ("permit", "code"),
    [
        ({"epoch": EPOCH - 1}, "permit-epoch"),
        ({"epoch": EPOCH + 1}, "permit-epoch"),
        ({"deadline_ns": 5_000_000_000_000}, "permit-not-live"),
        ({"deadline_ns": 0}, "permit-not-live"),
        ({"deadline_ns": 5_006_000_000_000}, "permit-not-live"),
    ],
    ids=["an old epoch", "an unknown epoch", "expired", "revoked", "longer than a permit lives"],
)
def test_a_permit_that_is_not_good_signs_nothing(desk: Desk, permit: dict[str, Any], code: str) -> None:
    desk.to_live()
    assert code_of(lambda: desk.order(buy(), **permit)) == code


def test_a_permit_that_was_replaced_signs_nothing(desk: Desk) -> None:
    desk.to_live()
    desk.order(buy(), serial=2)
    assert code_of(lambda: desk.order(buy(), serial=1)) == "permit-not-live"


def test_a_controller_that_was_replaced_signs_nothing(desk: Desk) -> None:
    desk.to_live()
    desk.ask(Kind.LEAD, LIVE, b"%d" % (EPOCH + 1))
    assert code_of(lambda: desk.order(buy())) == "permit-epoch"
    assert code_of(lambda: desk.ask(Kind.LEAD, LIVE, b"%d" % EPOCH)) == "permit-epoch"


def test_the_symbols_that_were_signed_bound_the_buys(desk: Desk) -> None:
    desk.to_live()
    assert code_of(lambda: desk.order(buy(symbol=OTHER))) == "signer-symbol"


def test_a_holding_in_another_symbol_of_the_policy_can_be_sold(desk: Desk) -> None:
    desk.to_live()
    assert desk.order(sell(OTHER))


def test_a_symbol_of_no_policy_is_not_signed(desk: Desk) -> None:
    desk.to_live()
    assert code_of(lambda: desk.order(sell("DOGEUSDT"))) == "signer-symbol"


def test_the_largest_order_is_the_signers_own(desk: Desk) -> None:
    desk.to_live()
    desk.order(buy("8"))
    assert code_of(lambda: desk.order(buy("8.01"))) == "signer-notional"


def test_a_buy_is_at_most_the_cap_that_was_signed(tmp_path: Path) -> None:
    desk = Desk(tmp_path, most="100", buys_most=100)
    desk.to_live()
    desk.order(buy("11"))  # 10 EUR at 1.1
    assert code_of(lambda: desk.order(buy("11.01"))) == "signer-cap"


def test_a_buy_without_a_bound_is_not_signed(desk: Desk) -> None:
    desk.to_live()
    unbounded = OrderIntent("BTCUSDT", Side.BUY, OrderType.MARKET, "gh-1", Decimal("0.001"))
    assert code_of(lambda: desk.order(unbounded)) == "signer-notional"


def test_the_buys_of_a_day_are_bounded_whatever_became_of_them(desk: Desk) -> None:
    desk.to_live()
    signed = [desk.order(buy("8", client_id=f"gh-{number}")) for number in range(4)]  # 32 of 33
    assert len(signed) == 4
    assert code_of(lambda: desk.order(buy("8"))) == "signer-budget"
    assert desk.order(sell())


def test_the_buys_of_yesterday_no_longer_count(desk: Desk) -> None:
    desk.to_live()
    for _ in range(4):
        desk.order(buy("8"))
    desk.clock.pass_ms(23 * 3_600_000)
    assert code_of(lambda: desk.order(buy("8"))) == "signer-budget"
    desk.clock.pass_ms(2 * 3_600_000)
    assert desk.order(buy("8"))


def test_a_restart_does_not_forget_the_buys(desk: Desk) -> None:
    envelope = desk.to_live()
    for _ in range(4):
        desk.order(buy("8"))
    desk.restart()
    desk.grant(envelope)
    assert code_of(lambda: desk.order(buy("8"))) == "signer-budget"


@pytest.mark.parametrize("hours", [26, 7 * 24])
def test_a_clock_that_jumps_ahead_and_back_does_not_forget_the_buys(desk: Desk, hours: int) -> None:
    desk.to_live()
    for _ in range(4):
        desk.order(buy("8"))
    desk.clock.ms += hours * 3_600_000
    assert desk.order(buy("8"))
    desk.clock.ms -= hours * 3_600_000
    assert code_of(lambda: desk.order(buy("8"))) == "signer-budget"


def test_a_clock_that_goes_back_does_not_forget_the_buys(desk: Desk) -> None:
    desk.to_live()
    for _ in range(4):
        desk.order(buy("8"))
    desk.clock.ms -= 50 * 3_600_000
    assert code_of(lambda: desk.order(buy("8"))) == "signer-budget"


def test_a_count_that_cannot_be_saved_signs_no_buy(desk: Desk) -> None:
    desk.to_live()
    desk.path.with_suffix(".new").mkdir()
    assert code_of(lambda: desk.order(buy())) == "signer-memory"
    assert desk.order(sell())


def test_the_rate_of_orders_is_bounded_and_recovers(tmp_path: Path) -> None:
    desk = Desk(tmp_path, per_second=2)
    for _ in range(4):
        desk.order(sell(), TESTNET)
    assert code_of(lambda: desk.order(sell(), TESTNET)) == "signer-rate"
    assert desk.ask(Kind.QUERY, TESTNET, b"timestamp=1")
    desk.clock.pass_ms(500)
    assert desk.order(sell(), TESTNET)


def test_before_real_money_only_test_orders_are_signed(desk: Desk) -> None:
    desk.to_live(target_stage=Stage.VALIDATED, expected_stage=Stage.TESTNET_VALIDATING, cap_eur="10")
    assert code_of(lambda: desk.order(buy())) == "signer-no-authority"
    assert desk.order(buy("2", client_id="gh-check-buy-limit"))


def test_the_test_orders_are_few(desk: Desk) -> None:
    desk.to_live(target_stage=Stage.VALIDATED, expected_stage=Stage.TESTNET_VALIDATING)
    for _ in range(12):
        desk.order(buy("2", client_id="gh-check-buy-limit"))
    assert code_of(lambda: desk.order(buy("2", client_id="gh-check-buy-limit"))) == "signer-rate"


def test_no_test_order_is_signed_before_the_move_to_validated(desk: Desk) -> None:
    desk.to_live(target_stage=Stage.TESTNET_VALIDATING, expected_stage=Stage.MOCK)
    assert code_of(lambda: desk.order(buy("2", client_id="gh-check-buy-limit"))) == "signer-no-authority"


@pytest.mark.parametrize("stages", [(Stage.MOCK, Stage.TESTNET_VALIDATING), (Stage.TESTNET_VALIDATING, Stage.VALIDATED)])
def test_four_questions_a_minute_about_the_testnets_orders_are_signed(desk: Desk, stages: tuple[Stage, Stage]) -> None:
    desk.to_live(expected_stage=stages[0], target_stage=stages[1])
    for _ in range(4):
        desk.order(buy("2", client_id="gh-parity"))
    assert code_of(lambda: desk.order(buy("2", client_id="gh-parity"))) == "signer-rate"
    desk.clock.pass_ms(15_000)
    assert desk.order(buy("2", client_id="gh-parity"))


def test_an_id_of_a_question_escapes_no_limit_once_real_money_is_allowed(desk: Desk) -> None:
    desk.to_live()
    for _ in range(4):
        desk.order(buy("8", client_id="gh-parity"))
    assert code_of(lambda: desk.order(buy("8", client_id="gh-parity"))) == "signer-budget"


def test_an_id_of_a_test_order_escapes_no_limit_once_real_money_is_allowed(desk: Desk) -> None:
    desk.to_live()
    for _ in range(4):
        desk.order(buy("8", client_id="gh-check-buy-limit"))
    assert code_of(lambda: desk.order(buy("8", client_id="gh-check-buy-limit"))) == "signer-budget"


def test_after_a_halt_only_the_way_out_is_signed(desk: Desk) -> None:
    desk.to_live()
    desk.lower("0")
    assert code_of(lambda: desk.order(sell())) == "signer-no-authority"
    assert desk.order(sell(), exit_only=True, serial=0)
    assert code_of(lambda: desk.order(buy(), exit_only=True)) == "signer-exit"


def test_the_way_out_needs_an_authority_that_was_signed_once(desk: Desk) -> None:
    assert code_of(lambda: desk.order(sell(), exit_only=True)) == "signer-no-authority"


def test_a_ramp_step_raises_the_cap(tmp_path: Path) -> None:
    desk = Desk(tmp_path, most="100", buys_most=100)
    desk.to_live()
    step = desk.command(
        verb=Verb.RAMP,
        expected_stage=Stage.LIVE_EUR10,
        target_stage=Stage.RAMPING,
        target_step=1,
        cap_eur="15",
        symbols=("BTCUSDT", OTHER),
        journal_seq=99,
    )
    desk.grant(step)
    assert desk.order(buy("16.5", symbol=OTHER))
