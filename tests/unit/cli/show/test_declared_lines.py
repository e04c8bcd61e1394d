"""`gatehouse gates` and `gatehouse explain gate` say how many declared looks and variants are left."""

from __future__ import annotations

from controller.cli.shared.gates import rule_lines
from controller.console.schema import GateView, RuleView
from policies.authority import Verb

LINE = "looks: 1 of 2 declared verdicts were asked for, 1 left in this run"


def test_what_is_left_stands_under_the_rules() -> None:
    rule = RuleView(
        id="psr", metric="psr", measured="0.4", op=">=", threshold="0.5", unit="ratio", verdict="FAIL", explanation="psr is 0.4"
    )
    gate = GateView(
        gate="validation",
        verb=Verb.ADVANCE,
        from_position="TESTNET_VALIDATING",
        to_position="VALIDATED",
        verdict="FAIL",
        evidence_digest="",
        rules=(rule,),
        declared=(LINE,),
    )
    assert str(rule_lines(gate)[-1]).strip() == LINE
