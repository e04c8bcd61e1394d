"""How long a bot may say nothing."""

from __future__ import annotations

import pytest

from exchange.errors import ConfigError
from exchange.model import Millis
from policies.document import canonical_bytes
from policies.schema import Policy
from policies.silence import BotLiveness, Heard, HeardBy, allowed_silence_ms, judge
from policies.tightening import only_stricter
from tests.unit.policies.policy_kit import NOW, changed, example

SOLO = example("solo")
STATED = [{"name": "candles", "silence_max_ms": 90_000}, {"name": "other"}]


@pytest.fixture
def stated() -> Policy:
    return changed(SOLO, "bots", STATED)


def heard(ago_ms: int, by: HeardBy = HeardBy.REQUEST, streams: int = 0) -> Heard:
    return Heard(Millis(NOW - ago_ms), by, streams)


def judged(found: Heard | None, *, policy: Policy = SOLO, orders: bool = False, bot: str = "candles") -> BotLiveness:
    return judge(policy, bot, found, has_open_orders=orders, now=NOW)


@pytest.mark.parametrize(("orders", "allowed"), [(True, 10_000), (False, 120_000)])
def test_without_a_policy_open_orders_decide_the_allowed_silence(orders: bool, allowed: int) -> None:
    assert allowed_silence_ms(SOLO, "candles", has_open_orders=orders) == allowed
    assert judged(heard(allowed), orders=orders).live
    late = judged(heard(allowed + 1), orders=orders)
    assert (late.live, late.allowed_ms) == (False, allowed)
    assert late.why_not == f"the bot candles is silent for longer than {allowed} ms"


@pytest.mark.parametrize("orders", [True, False])
def test_the_policys_silence_holds_with_and_without_orders(stated: Policy, orders: bool) -> None:
    assert judged(heard(90_000), policy=stated, orders=orders).live
    assert not judged(heard(90_001), policy=stated, orders=orders).live


def test_a_bot_without_a_silence_of_its_own_has_the_usual_one(stated: Policy) -> None:
    assert allowed_silence_ms(stated, "other", has_open_orders=False) == 120_000
    assert allowed_silence_ms(stated, "unnamed", has_open_orders=True) == 10_000


def test_a_bot_that_was_never_heard_is_not_live() -> None:
    assert judged(None).why_not == "the bot candles was not heard since this process started"


def test_an_open_stream_is_live_however_long_nothing_is_said() -> None:
    assert judged(heard(10_000_000, HeardBy.STREAM, 1)).live
    assert not judged(heard(10_000_000, HeardBy.STREAM, 0)).live


def test_a_time_that_the_clock_has_not_reached_is_not_live() -> None:
    assert judged(heard(0)).live
    assert judged(heard(-1)).why_not == (
        "the bot candles was last heard at a time that the clock has not reached: the clock was set back"
    )


def test_a_judgement_names_its_bot_and_what_was_heard() -> None:
    assert judged(heard(1)) == BotLiveness("candles", heard(1), 120_000, "")


@pytest.mark.parametrize(
    ("silence", "why"), [(900_001, "looser than the production floor"), (999, "greater than or equal to 1000")]
)
def test_a_silence_beyond_its_bounds_is_refused(silence: int, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        changed(SOLO, "bots", [{"name": "candles", "silence_max_ms": silence}])


def test_the_longest_silence_of_all_bots_is_held_against_the_ceiling() -> None:
    with pytest.raises(ConfigError, match=r"bots\.silence_max_ms is 900001"):
        changed(SOLO, "bots", [{"name": "one", "silence_max_ms": 900_001}, {"name": "two", "silence_max_ms": 1_000}])
    assert changed(SOLO, "bots", [{"name": "one", "silence_max_ms": 900_000}]).bots[0].silence_max_ms == 900_000


def test_a_bot_has_one_entry() -> None:
    with pytest.raises(ConfigError, match="two entries have the same name"):
        changed(SOLO, "bots", [{"name": "one"}, {"name": "one"}])


def test_a_policy_without_bots_keeps_its_digest() -> None:
    assert b'"bots"' not in canonical_bytes(SOLO)


def test_no_change_of_the_bots_is_only_stricter(stated: Policy) -> None:
    shorter = changed(SOLO, "bots", [{"name": "candles", "silence_max_ms": 60_000}, {"name": "other"}])
    assert not only_stricter(stated, shorter)
    assert not only_stricter(SOLO, stated)
