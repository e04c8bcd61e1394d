"""A report says whether the bot offers a replay of its signals, and what came of it."""

from __future__ import annotations

import pytest

from policies.document import load_policy
from policies.stage import Stage
from tests.support.desk import EXAMPLES, Desk
from tests.support.reported import entries_of, report_of

SILENT = "[performance]\nlooks = 2\nvariants = 5\n"


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("", "not declared: the policy does not say"),
        (f"{SILENT}[performance.replay]\noffered = false\n", "not offered: the policy declares"),
        (f"{SILENT}[performance.replay]\noffered = true\ntolerance_ms = 2_000\n", "was not replayed to the bot in this run yet"),
    ],
    ids=["silent", "not-offered", "offered"],
)
def test_a_report_says_what_is_declared_of_a_replay(declared: str, said: str) -> None:
    desk = Desk(load_policy((EXAMPLES / "demo.toml").read_text() + "\n" + declared)).walk_to(Stage.TESTNET_VALIDATING)
    desk.run(3_000)
    rows = {row["name"]: row for row in report_of(entries_of(desk)).document["measured"]}
    assert said in rows["replay_parity_ratio"]["detail"]
    assert rows["replay_parity_ratio"]["value"] == ""
