"""The signer's budget of buys: what bots and people are told of it before and after it is used up."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from controller.bootstrap.signer_budget import RULE, BudgetWatch
from controller.core.effects import Alert, AlertKind
from controller.gateway.denials import denial as shown_to_bots
from controller.signer.protocol import Budget, Kind, read_budget
from exchange.errors import Refused
from exchange.ports import VenueName
from tests.unit.signer.signer_kit import LIVE, Desk, buy, sell


class Deployment:
    """A watch beside a real signer, whose budget is 33 in the quote asset."""

    def __init__(self, path: Path) -> None:
        self.desk = Desk(path)
        self.desk.to_live()
        self.budget_refusals = 0
        self.venue: VenueName | None = VenueName.LIVE
        self.alerts: list[Alert] = []
        self.watch = BudgetWatch(self, lambda: self.venue, self.alerts.append)
        self.watch.look()

    def budget(self) -> Budget | None:
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


def test_a_silent_signer_leaves_what_was_known(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment.sign("8", "8", "8", "8")

    def silent() -> Budget | None:
        raise Refused("nothing was signed", code="signer-silent", remedy="")

    monkeypatch.setattr(deployment, "budget", silent)
    deployment.watch.look()
    assert deployment.rule() == RULE


def test_no_budget_binds_away_from_the_live_account(deployment: Deployment) -> None:
    deployment.sign("8", "8", "8", "8")
    deployment.venue = VenueName.TESTNET
    deployment.watch.look()
    assert deployment.watch.view() is None
    assert deployment.rule() == ""
