"""How far a run is, as a person reads it: in `status`, in `gates` and in `explain gate`."""

from __future__ import annotations

import pytest

from tests.support.cli_kit import Run, Served, printed
from tests.support.operator_port import a_gate, a_lost_run, a_run

HOPELESS = "This run cannot pass any more: longest-gap. Waiting does not help."


@pytest.fixture(params=["status", "gates"])
def verb(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def plain(text: str) -> str:
    """A panel's text without its frame and its line breaks."""
    return " ".join(text.replace("│", " ").split())


def show(served: Served, **changes: object) -> None:
    served.port.view = served.port.view.model_copy(update={"coverage": a_run(**changes)})


def with_rule(served: Served, **changes: object) -> None:
    gate = a_gate()
    first = gate.rules[0].model_copy(update=changes)
    served.port.gate_views = [gate.model_copy(update={"rules": (first, *gate.rules[1:]), "hopeless": HOPELESS})]


def test_a_run_says_how_far_it_is_and_when_it_will_be_there(run: Run, served: Served, verb: str) -> None:
    show(served)
    text = plain(run(verb, "-d", served.directory).stdout)
    assert "40:47 / 72:00 h covered, coverage 99.4 %, longest gap 2 min 10 s (no valid order book for BTCEUR" in text
    assert "at the present pace" in text


def test_a_run_without_a_pace_says_that_there_is_none(run: Run, served: Served, verb: str) -> None:
    show(served, eta_ms=None, no_eta="no time is covered yet, so there is no pace")
    assert "no ETA: no time is covered yet" in plain(run(verb, "-d", served.directory).stdout)


def test_a_run_that_started_over_says_why_and_what_was_lost(run: Run, served: Served, verb: str) -> None:
    show(served, lost_run=a_lost_run())
    text = plain(run(verb, "-d", served.directory).stdout)
    assert "the release changed from meanrev 2.3.0 to meanrev 2.3.1; 38 h 20 min of covered time and 71 orders" in text


def test_status_shows_each_stream(run: Run, served: Served) -> None:
    show(served)
    text = plain(run("status", "-d", served.directory).stdout)
    assert "private: up 100.0 % of the run, no gaps, 1 rotation survived without a gap, 81 renewals of its key" in text


def test_status_says_that_a_run_cannot_pass_any_more(run: Run, served: Served) -> None:
    show(served, hopeless=HOPELESS, eta_ms=None, no_eta="this run cannot pass any more")
    assert HOPELESS in plain(run("status", "-d", served.directory).stdout)


def test_gates_say_what_is_missing_and_by_when(run: Run, served: Served) -> None:
    with_rule(served, outlook="31 h 13 min more; at 59 min an hour by Tue 14:20 UTC", chance="coming")
    text = plain(run("gates", "-d", served.directory).stdout)
    assert "31 h 13 min more;" in text
    assert HOPELESS in text


def test_gates_as_json_have_the_numbers_of_the_forecast(run: Run, served: Served) -> None:
    with_rule(served, missing="31.2", per_hour="0.98", by_ms=1_796_000_000_000, chance="coming")
    (gate,) = printed(run("gates", "-d", served.directory, "-o", "json"))
    assert (gate["rules"][0]["missing"], gate["rules"][0]["by_ms"], gate["hopeless"]) == ("31.2", 1_796_000_000_000, HOPELESS)


def test_explain_gate_names_what_one_rule_needs(run: Run, served: Served) -> None:
    changes = {"metric": "covered_ms", "measured": "146820000", "threshold": "259200000", "unit": "ms"}
    with_rule(served, **changes, outlook="31 h 13 min more", per_hour="3578400", chance="coming")
    text = plain(run("explain", "gate", "covered-time", "-d", served.directory).stdout)
    assert "It measures time with fresh market data" in text
    assert "covered_ms has to be at least 72 h; it is 40 h 47 min now. 31 h 13 min more." in text
    assert "The present pace is 59 min 38 s an hour" in text


def test_explain_gate_says_how_to_start_over(run: Run, served: Served) -> None:
    with_rule(served, metric="longest_gap_ms", chance="lost", verdict="FAIL", outlook="cannot pass in this run any more")
    assert HOPELESS in plain(run("explain", "gate", "covered-time", "-d", served.directory).stdout)


def test_an_unknown_rule_is_answered_with_the_known_ones(run: Run, served: Served) -> None:
    result = run("explain", "gate", "no-such-rule", "-d", served.directory)
    assert result.exit_code == 2
    assert "covered-time" in plain(result.stderr)


def test_gates_are_watched_only_on_a_terminal(run: Run, served: Served) -> None:
    assert "covered-time" in run("gates", "--watch", "-d", served.directory).stdout
