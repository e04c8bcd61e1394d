"""Verbs that read a running controller: their output and their exit codes."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from controller.console.schema import HoldingsView
from controller.core.causes import HaltClass
from controller.journal.sqlite import open_journal
from exchange.errors import DeadlineExceeded, GatehouseError, Halted, IntegrityError, Refused, Unauthorised, Unreachable, UsageError
from policies.stage import Stage
from tests.support.cli_kit import Run, Served, printed, write_journal
from tests.support.desk import Desk


def test_status_shows_stage_exposure_and_what_comes_next(run: Run, served: Served) -> None:
    result = run("status", "--dir", served.directory)
    assert result.exit_code == 0
    for words in ("TESTNET_VALIDATING", "6.4213 of 10 EUR", "armed", "advance → VALIDATED", "recorded-l2"):
        assert words in result.stdout


def test_a_halted_deployment_is_never_shown_as_armed(run: Run, served: Served) -> None:
    served.port.view = served.port.view.model_copy(update={"stage": Stage.HALTED, "position": "HALTED", "armed": False})
    for reconciled, word in ((True, "reconciled"), (False, "not reconciled")):
        served.port.view = served.port.view.model_copy(update={"reconciled": reconciled})
        text = run("status", "-d", served.directory).stdout
        assert (word in text, "armed" in text) == (True, False)


def test_status_as_json_is_the_view_itself(run: Run, served: Served) -> None:
    result = run("status", "--dir", served.directory, "-o", "json")
    assert printed(result) == served.port.view.model_dump(mode="json")


def test_status_says_unknown_where_nothing_is_known(run: Run, served: Served) -> None:
    served.port.view = served.port.view.model_copy(update={"exposure_eur": None, "quote": None, "equity_eur": None})
    assert "unknown of 10 EUR" in run("status", "-d", served.directory).stdout


def test_status_says_why_and_since_when_no_time_counts(run: Run, served: Served) -> None:
    view = served.port.view
    assert view.coverage is not None
    assert "no time counts" not in run("status", "-d", served.directory).stdout
    paused = {"paused_because": "nothing new is seen for quote-stale", "paused_since_ms": view.now_ms - 45_000}
    served.port.view = view.model_copy(update={"coverage": view.coverage.model_copy(update=paused)})
    assert "for 00:00:45 no time counts: nothing new is seen for quote-stale" in run("status", "-d", served.directory).stdout


def test_status_says_why_an_unknown_order_is_not_given_up(run: Run, served: Served) -> None:
    sentence = "order gh-1: not proven absent because it can still arrive for 1 ms"
    served.port.view = served.port.view.model_copy(update={"unknown_orders": 1, "unproven": (sentence,)})
    assert sentence in run("status", "-d", served.directory).stdout


def test_status_shows_the_kind_of_halt_and_when_a_reset_is_needed(run: Run, served: Served) -> None:
    halted = {"stage": Stage.HALTED, "halt_reason": "0.5 EUR were lost", "halted_from": "VALIDATED"}
    void = {"halt_class": HaltClass.BREACH, "validation_void": "a breach at VALIDATED revoked it"}
    served.port.view = served.port.view.model_copy(update={**halted, **void})
    text = run("status", "-d", served.directory).stdout
    for words in ("breach: 0.5 EUR were lost (was at VALIDATED)", "reset needed", "the validation is void: a breach at VALIDATED"):
        assert words in text


def test_status_shows_that_live_eur10_is_being_left_and_why(run: Run, served: Served) -> None:
    served.port.view = served.port.view.model_copy(update={"pending_demotion": "the newest quote was 31000 ms old"})
    text = run("status", "-d", served.directory).stdout
    for words in ("leaving LIVE_€10", "only sell orders", "the newest quote was 31000 ms old"):
        assert words in text


def test_gates_show_measured_threshold_and_why_a_rule_does_not_pass(run: Run, served: Served) -> None:
    text = run("gates", "-d", served.directory).stdout
    for words in ("covered-time", "40.8 h", "≥ 72 h", "INCONCLUSIVE", "the run is not long enough yet"):
        assert words in text


def test_explain_gate_judges_the_next_gate_now(run: Run, served: Served) -> None:
    write_journal(Desk().walk_to(Stage.TESTNET_VALIDATING), served.directory)
    for name in ("gate", "validation"):
        text = run("explain", name, "-d", served.directory).stdout
        for words in ("covered-time", "40.8 h", "the run is not long enough yet"):
            assert words in text


@pytest.mark.parametrize("verb", [("gates",), ("explain", "gate")])
def test_where_no_gate_leads_up_from_a_halt_the_ways_out_are_named(run: Run, served: Served, verb: tuple[str, ...]) -> None:
    served.port.gate_views = []
    served.port.view = served.port.view.model_copy(update={"stage": Stage.HALTED, "position": "HALTED"})
    text = run(*verb, "-d", served.directory).stdout
    assert "No gate leads up from HALTED. `gatehouse status` lists the ways out" in text


def test_lists_respect_their_limit(run: Run, served: Served) -> None:
    assert len(printed(run("orders", "-d", served.directory, "-n", "3", "-o", "json"))) == 3


def test_balances_keep_every_decimal(run: Run, served: Served) -> None:
    assert "0.00007550" in run("balances", "-d", served.directory).stdout


@pytest.mark.parametrize(
    ("kind", "code"),
    [(UsageError, 2), (Refused, 3), (Unauthorised, 4), (Halted, 5), (Unreachable, 6), (DeadlineExceeded, 7), (IntegrityError, 1)],
)
def test_a_controller_error_keeps_its_exit_code_and_its_remedy(
    run: Run, served: Served, kind: type[GatehouseError], code: int
) -> None:
    served.port.error = kind("the matter", code="a-code", remedy="Do this.")
    result = run("status", "-d", served.directory)
    assert result.exit_code == code
    assert "[a-code] the matter" in result.stderr
    assert "Do this." in result.stderr
    assert result.stdout == ""


def test_an_error_as_json_goes_to_standard_error(run: Run, served: Served) -> None:
    served.port.error = Halted("it is halted", code="halted", remedy="Resume it.")
    result = run("status", "-d", served.directory, "-o", "json")
    assert printed(result, error=True) == {
        "error": {"code": "halted", "message": "it is halted", "remedy": "Resume it.", "exit_code": 5}
    }


def test_status_says_what_the_bot_has_and_what_the_owner_keeps(run: Run, served: Served) -> None:
    holdings = HoldingsView(bot={"USDT": Decimal("10.90")}, owner={"BTC": Decimal("0.3"), "USDT": Decimal("89.1")})
    served.port.view = served.port.view.model_copy(update={"holdings": holdings})
    assert "10.9 USDT; the owner keeps 0.3 BTC, 89.1 USDT" in run("status", "-d", served.directory).stdout


def test_a_halted_deployment_has_no_part_of_0_eur(run: Run, served: Served) -> None:
    halted = {"stage": Stage.HALTED, "position": "HALTED", "cap_eur": Decimal(0)}
    served.port.view = served.port.view.model_copy(update=halted)
    shown = run("status", "-d", served.directory).stdout
    assert "6.4213 EUR, and no new order is admitted" in shown
    assert "of 0 EUR" not in shown


def test_a_controller_that_does_not_run_is_unreachable(run: Run, deployment: Path) -> None:
    result = run("status", "--dir", deployment, "-o", "json")
    assert result.exit_code == 6
    assert printed(result, error=True)["error"]["code"] == "not-running"


def test_a_controller_that_starts_is_not_said_to_be_stopped(run: Run, deployment: Path) -> None:
    with closing(open_journal(deployment / "var" / "journal.db", "demo")):
        starting = run("status", "--dir", deployment, "-o", "json")
    stopped = run("status", "--dir", deployment, "-o", "json")
    assert [printed(one, error=True)["error"]["code"] for one in (starting, stopped)] == ["not-answering", "not-running"]
    assert (starting.exit_code, "waits for a venue" in starting.stderr) == (6, True)


def test_a_stale_socket_is_unreachable(run: Run, deployment: Path) -> None:
    (deployment / "var" / "gatehouse.sock").touch()
    result = run("status", "--dir", deployment)
    assert result.exit_code == 6
    assert "gatehouse run" in result.stderr


def test_a_directory_that_is_no_deployment_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    result = run("status", "--dir", tmp_path)
    assert result.exit_code == 2
    assert "gatehouse init" in result.stderr


def test_a_halt_is_shown_with_its_measured_times(run: Run, served: Served) -> None:
    from controller.console.schema import HaltView

    halt = HaltView(breach_to_latch_us=184, latch_to_cancelled_us=12_345, cancelled=2, verified_empty=True)
    served.port.view = served.port.view.model_copy(
        update={
            "halt": halt,
            "halt_reason": "daily-loss",
            "halted_from": "RAMPING step 1",
            "position": "HALTED",
            "cap_eur": Decimal(0),
        }
    )
    text = run("status", "-d", served.directory).stdout
    assert "breach → latch 184 µs" in text
    assert "latch → last cancel 12.3 ms" in text


@pytest.mark.parametrize("arguments", [("nosuch",), ("journal",), ("status", "-o", "yaml"), ("orders", "-n", "0"), ("init",)])
def test_a_mistyped_command_is_a_usage_error_that_names_the_help(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "--help" in result.stderr


def test_without_a_verb_the_help_is_shown(run: Run) -> None:
    result = run()
    assert result.exit_code == 0
    assert "testnet" in result.stdout
