"""A replay of the bot's signals is journalled for its run, release and policy, and compared with what the bot decided there."""

from __future__ import annotations

from typing import Any

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions import declared
from controller.core.decisions.evidence import gather
from controller.core.state import State
from controller.core.state_codec import pack, unpack
from exchange.model import Millis
from gates.metric import Metric
from gates.series import Decision
from gates.signals import DECISIONS_MOST, Compared
from policies.document import Policy, load_policy
from policies.rules import GateName, MetricName
from policies.stage import Stage
from tests.support.desk import EXAMPLES, SYMBOL, Desk

TOLERANCE_MS = 2_000


def policy(replay: str) -> Policy:
    source = (EXAMPLES / "demo.toml").read_text()
    return load_policy(source + f"\n[performance]\nlooks = 2\nvariants = 5\n\n[performance.replay]\n{replay}\n")


@pytest.fixture(scope="module")
def offering() -> Desk:
    return Desk(policy(f"offered = true\ntolerance_ms = {TOLERANCE_MS}")).walk_to(Stage.TESTNET_VALIDATING)


@pytest.fixture
def desk(offering: Desk) -> Desk:
    return offering.fork()


def replay(desk: Desk, *decisions: Decision, **changes: Any) -> Compared | None:
    """Let the writer take over a replay up to now, and return the comparison that the run has then."""
    state = desk.state
    assert state.tally is not None
    assert state.release is not None
    known = {
        "run_started_at": state.tally.series.started_at,
        "as_of_seq": state.seq,
        "as_of": desk.now,
        "release": state.release.digest,
        "policy": state.policy_digest,
        "spans": ((Millis(0), desk.now),),
        "decisions": decisions,
    }
    desk.give(i.SignalsReplayed(**{**known, **changes}))
    assert desk.state.tally is not None
    return desk.state.tally.signals.compared


def decisions(desk: Desk) -> tuple[Decision, ...]:
    assert desk.state.tally is not None
    return tuple(desk.state.tally.signals.decisions)


def metric(desk: Desk, name: MetricName = MetricName.REPLAY_PARITY_RATIO) -> Metric:
    bundle = gather(desk.state, desk.policy, GateName.VALIDATION)
    assert bundle is not None
    found = bundle.metric(name)
    assert found is not None
    return found


def test_orders_that_are_sent_and_orders_that_are_denied_are_decisions(desk: Desk) -> None:
    before = len(decisions(desk))
    desk.order("0.0001")
    desk.pass_time(100)
    desk.order("1000")
    assert isinstance(desk.decisions[-1].events[-1], e.OrderDenied)
    assert [(one.symbol, one.side) for one in decisions(desk)[before:]] == [(SYMBOL, "BUY")] * 2


def test_the_same_decisions_agree(desk: Desk) -> None:
    desk.order("0.0001")
    desk.pass_time(3_000)
    found = replay(desk, *decisions(desk))
    assert found is not None
    assert (found.agreed, found.only_run, found.only_replay) == (len(decisions(desk)), 0, 0)
    assert metric(desk).value == 1


def test_another_side_does_not_agree(desk: Desk) -> None:
    desk.order("0.0001")
    desk.pass_time(3_000)
    found = replay(desk, *(Decision(one.at, one.symbol, "SELL") for one in decisions(desk)))
    assert found is not None
    assert found.agreed == 0
    assert metric(desk).value == 0


def test_the_newest_replay_stands(desk: Desk) -> None:
    desk.order("0.0001")
    desk.pass_time(3_000)
    replay(desk)
    assert metric(desk).value == 0
    replay(desk, *decisions(desk))
    assert metric(desk).value == 1


@pytest.mark.parametrize(
    "changes",
    [{"run_started_at": Millis(1)}, {"release": "sha256:" + "c" * 64}, {"policy": "sha256:" + "c" * 64}, {"as_of_seq": 10**6}],
)
def test_a_replay_of_something_else_is_of_no_use(desk: Desk, changes: dict[str, Any]) -> None:
    desk.order("0.0001")
    assert replay(desk, *decisions(desk), **changes) is None
    assert "not replayed" in metric(desk).detail


def test_a_replay_is_void_when_the_run_starts_over(desk: Desk) -> None:
    desk.order("0.0001")
    desk.pass_time(3_000)
    assert replay(desk, *decisions(desk)) is not None
    desk.release = i.Release("bot", "2", "sha256:" + "d" * 64, "sha256:" + "e" * 64)
    desk.boot()
    assert desk.state.tally is None or desk.state.tally.signals.compared is None


def test_a_replay_that_failed_has_no_value(desk: Desk) -> None:
    found = replay(desk, error="it took longer than 300 s")
    assert found is not None
    assert metric(desk).error == "it took longer than 300 s"


def test_a_replay_without_end_is_an_error(desk: Desk) -> None:
    found = replay(desk, *(Decision(desk.now, SYMBOL, "BUY"),) * (DECISIONS_MOST + 1))
    assert found is not None
    assert "more than 10,000 decisions" in found.error


def test_a_snapshot_keeps_what_was_decided_and_compared(desk: Desk) -> None:
    desk.order("0.0001")
    desk.pass_time(3_000)
    replay(desk, *decisions(desk))
    assert unpack([State], memoryview(b"".join(pack(desk.state)))) == [desk.state]


def test_nothing_is_kept_of_a_bot_that_offers_no_replay() -> None:
    desk = Desk(policy("offered = false")).walk_to(Stage.TESTNET_VALIDATING)
    desk.order("0.0001")
    assert decisions(desk) == ()
    assert replay(desk, Decision(desk.now, SYMBOL, "BUY")) is None
    assert metric(desk).value is None
    assert "not offered" in metric(desk).detail
    assert "not offered" in declared.lines(desk.state, desk.policy, GateName.VALIDATION)[1]
