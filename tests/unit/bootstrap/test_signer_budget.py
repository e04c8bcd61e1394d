"""The signer's budget of buys: what bots and people are told of it before and after it is used up."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from decimal import Decimal
from pathlib import Path

import pytest

from controller.bootstrap.beside import run_beside
from controller.bootstrap.signer_budget import EVERY_S, RULE, STALE_AFTER_S, BudgetWatch
from controller.core.effects import Alert, AlertKind
from controller.gateway.denials import denial as shown_to_bots
from controller.runtime.loop import supervise
from controller.signer.protocol import Budget, Kind, read_budget
from exchange.errors import Refused
from exchange.ports import VenueName
from tests.unit.signer.signer_kit import LIVE, Desk, buy, sell


class Deployment:
    """A watch beside a real signer, whose budget is 33 in the quote asset."""

    def __init__(self, path: Path, *, asked: bool = True) -> None:
        self.desk = Desk(path)
        self.desk.to_live()
        self.budget_refusals = 0
        self.venue: VenueName | None = VenueName.LIVE
        self.alerts: list[Alert] = []
        self.failure: Exception | None = None
        self.now_ns = 0
        self.watch = BudgetWatch(self, lambda: self.venue, self.alerts.append, lambda: self.now_ns)
        if asked:
            self.watch.look()

    def budget(self) -> Budget | None:
        if self.failure is not None:
            raise self.failure
        return read_budget(self.desk.ask(Kind.BUDGET, LIVE, b""))

    def sign(self, *amounts: str) -> None:
        """Have buys signed, then ask for the budget."""
        for amount in amounts:
            self.desk.order(buy(amount))
        self.watch.look()

    def rule(self, intent: object = None, venue: VenueName = VenueName.LIVE) -> str:
        found = self.watch.denial(venue, intent or buy("8"))  # type: ignore[arg-type]
        return "" if found is None else found.rule


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


def test_a_buy_within_the_budget_is_not_denied(deployment: Deployment) -> None:
    deployment.sign("8", "8")
    view = deployment.watch.view()
    assert view is not None
    assert (view.spent, view.limit, view.low, view.sentence, deployment.rule()) == (Decimal(16), Decimal(33), False, "", "")


def test_a_buy_beyond_the_budget_is_denied_with_numbers(deployment: Deployment) -> None:
    deployment.sign("8", "8", "8", "8")
    denial = deployment.watch.denial(VenueName.LIVE, buy("8"))
    assert denial is not None
    text = str(shown_to_bots(denial))
    assert RULE in text
    assert "buys of 32 of 33 are signed in the last 25 hours" in text
    assert "32 more may be signed from 20" in text
    view = deployment.watch.view()
    assert view is not None
    assert view.used_up
    assert view.sentence.startswith("The signer signs no such buys: ")


def test_sales_and_other_venues_are_never_denied(deployment: Deployment) -> None:
    deployment.sign("8", "8", "8", "8")
    assert deployment.rule(sell()) == ""
    assert deployment.rule(venue=VenueName.TESTNET) == ""


def test_people_are_alerted_when_it_is_low_and_again_when_used_up(deployment: Deployment) -> None:
    deployment.sign("8", "8", "8", "7")
    deployment.watch.look()
    assert deployment.rule() == RULE
    deployment.watch.look()
    deployment.watch.look()
    assert [(one.kind, one.title) for one in deployment.alerts] == [
        (AlertKind.SIGNER, "the signer's budget of buys is nearly used up"),
        (AlertKind.SIGNER, "the signer's budget of buys is used up"),
    ]
    assert "buys_per_day" in deployment.alerts[0].detail


def test_a_refusal_denies_the_next_buys_until_the_signer_is_asked(deployment: Deployment) -> None:
    deployment.budget_refusals += 1
    assert deployment.rule(buy("1")) == RULE
    deployment.watch.look()
    assert deployment.rule(buy("1")) == ""


def test_buys_go_on_when_the_oldest_hour_no_longer_counts(deployment: Deployment) -> None:
    deployment.sign("8", "8", "8", "8")
    assert deployment.rule() == RULE
    budget = deployment.budget()
    assert budget is not None
    deployment.desk.clock.pass_ms(budget.frees_at - deployment.desk.clock.now())
    deployment.watch.look()
    view = deployment.watch.view()
    assert view is not None
    assert (deployment.rule(), view.used_up) == ("", False)


SILENT = Refused("nothing was signed", code="signer-silent", remedy="")


def test_a_silent_signer_leaves_what_was_known(deployment: Deployment) -> None:
    deployment.sign("8", "8", "8", "8")
    deployment.failure = SILENT
    deployment.watch.look()
    assert deployment.rule() == RULE


@pytest.mark.parametrize("failure", [SILENT, ValueError("a budget is four numbers")])
def test_one_answer_that_fails_to_come_stops_nothing(deployment: Deployment, failure: Exception) -> None:
    deployment.failure = failure
    deployment.now_ns = int(EVERY_S * 1e9)
    deployment.watch.look()
    view = deployment.watch.view()
    assert view is not None
    assert (deployment.rule(), view.known, deployment.alerts) == ("", True, [])


def test_a_budget_that_nobody_reads_any_more_is_not_known(deployment: Deployment) -> None:
    deployment.now_ns = int(STALE_AFTER_S * 1e9)
    assert deployment.rule() == ""
    deployment.now_ns += 1
    denial = deployment.watch.denial(VenueName.LIVE, buy("1"))
    assert denial is not None
    assert "was last read 20 s ago, so it is not known" in str(shown_to_bots(denial))
    view = deployment.watch.view()
    assert view is not None
    assert (view.known, view.spent, view.limit, view.low) == (False, None, None, True)
    assert view.sentence == f"No buy is sent: {view.line}"
    assert deployment.rule(sell()) == ""


@pytest.mark.parametrize("failure", [SILENT, RuntimeError("nobody expected it")])
def test_a_budget_that_is_not_known_is_one_alert_until_it_is_read(deployment: Deployment, failure: Exception) -> None:
    deployment.failure = failure
    for second in (5, 10, 15, 20, 25, 30, 35):
        deployment.now_ns = second * 10**9
        with suppress(RuntimeError):
            deployment.watch.look()
    (alert,) = deployment.alerts
    assert (alert.kind, alert.title) == (AlertKind.SIGNER, "the signer's budget of buys is not known")
    deployment.failure = None
    deployment.watch.look()
    view = deployment.watch.view()
    assert view is not None
    assert (deployment.rule(), view.known, len(deployment.alerts)) == ("", True, 1)


def test_a_budget_that_was_never_read_at_the_live_account_denies_buys(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, asked=False)
    assert deployment.rule() == RULE
    deployment.watch.follow()
    assert deployment.rule() == ""


async def test_a_watch_that_fails_is_run_again_with_an_alert(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "RUN_AGAIN_AFTER_S", 0.0)
    answered = asyncio.Event()

    def budget() -> Budget | None:
        if not deployment.alerts:
            raise RuntimeError("nobody expected it")
        answered.set()
        return None

    monkeypatch.setattr(deployment, "budget", budget)
    async with AsyncExitStack() as stack:
        run_beside("signer budget", deployment.watch.run, deployment.alerts.append, stack)
        await asyncio.wait_for(answered.wait(), 20)
    assert [alert.title for alert in deployment.alerts] == ["background work failed: signer budget"]


def test_no_budget_binds_away_from_the_live_account(deployment: Deployment) -> None:
    deployment.sign("8", "8", "8", "8")
    deployment.venue = VenueName.TESTNET
    deployment.watch.look()
    assert deployment.watch.view() is None
    assert deployment.rule(venue=VenueName.TESTNET) == ""
