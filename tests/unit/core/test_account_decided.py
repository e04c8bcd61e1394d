"""The live account is examined before anybody may go there, and what it failed is evidence."""

from controller.core import inputs as i
from controller.core.decisions.evidence import gather, judge
from controller.core.events import AccountChecked
from controller.core.lifecycle import Position
from exchange.ports import VenueName
from gates.engine import reevaluate, result_bytes
from gates.evidence import canonical_bytes as evidence_bytes
from policies.authority import Verb
from policies.document import canonical_bytes, load_policy
from policies.rules import GateName
from policies.stage import Stage
from tests.support.desk import EXAMPLES, Desk


def _validated() -> Desk:
    """At VALIDATED under the shipped demo policy, whose live-ready gate asks about the account."""
    desk = Desk(load_policy((EXAMPLES / "demo.toml").read_bytes())).walk_to(Stage.VALIDATED)
    desk.account_failed = None
    desk.run(6000)
    return desk


def _examined(desk: Desk, *failed: str) -> None:
    desk.give(i.AccountExamined(VenueName.LIVE, 9, failed))


def test_the_live_gate_fails_when_the_account_was_not_checked() -> None:
    desk = _validated()
    reply = desk.move(Verb.ADVANCE, Stage.LIVE_EUR10)
    assert reply.code == "gate-not-passed"
    assert "account_checks_failed was not measured in this run" in reply.message


def test_the_live_gate_fails_after_one_failed_account_check() -> None:
    desk = _validated()
    _examined(desk, "BTCUSDT open to this key")
    reply = desk.move(Verb.ADVANCE, Stage.LIVE_EUR10)
    assert (reply.code, "BTCUSDT open to this key" in reply.message) == ("gate-not-passed", True)
    assert desk.state.position == Position(Stage.VALIDATED)


def test_only_the_latest_account_check_counts() -> None:
    desk = _validated()
    _examined(desk, "clock")
    _examined(desk)
    assert not desk.move(Verb.ADVANCE, Stage.LIVE_EUR10).code
    assert [len(event.failed) for event in desk.events(AccountChecked) if isinstance(event, AccountChecked)] == [1, 0]


def test_the_refusal_names_every_failed_check_and_what_to_do() -> None:
    desk = _validated()
    failed, remedies = ("fees in MX", "key cannot withdraw"), ("on. Switch it off", "accepted. Use another key")
    desk.give(i.AccountExamined(VenueName.LIVE, 9, failed, remedies))
    message = desk.move(Verb.ADVANCE, Stage.LIVE_EUR10).message
    assert "fees in MX: on. Switch it off; key cannot withdraw: accepted. Use another key" in message


def test_the_detail_in_the_evidence_is_judged_again_to_the_same_bytes() -> None:
    desk = _validated()
    _examined(desk, "clock")
    policy = desk.state.policy
    assert policy is not None
    result = judge(desk.state, policy, GateName.LIVE_READY, desk.now)
    found = gather(desk.state, policy, GateName.LIVE_READY)
    assert found is not None
    again = reevaluate(canonical_bytes(policy), evidence_bytes(found), desk.now)
    assert again == result_bytes(result)
    assert b"must be == 0: clock" in again
