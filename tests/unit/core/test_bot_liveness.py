"""Whose silence pauses the coverage."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from immutables import Map

from controller.core import events as e
from controller.core.decisions import bot_liveness
from exchange.model import Millis
from policies.document import Policy
from policies.schema import Bot
from policies.silence import Heard, HeardBy
from policies.values import replace
from tests.support.desk import BOT_KEYS, Desk, demo_policy


def desk_with(*bots: Bot) -> Desk:
    policy: Policy = demo_policy().model_copy(update={"bots": bots})
    return Desk(policy).arm()


def said(desk: Desk, **ago_ms: int) -> e.Sampled:
    """A sample a second later, of bots that were heard so long ago."""
    desk.pass_time(1_000)
    heard = {name.replace("_", "-"): Heard(Millis(desk.now - ago), HeardBy.REQUEST) for name, ago in ago_ms.items()}
    desk.give(replace(desk.seen(), bots=heard))
    sample = desk.events(e.Sampled)[-1]
    assert isinstance(sample, e.Sampled)
    return sample


def test_every_bot_with_a_key_has_to_be_connected() -> None:
    desk = desk_with()
    assert set(BOT_KEYS) == {"demo-bot", "other-bot"}
    assert said(desk, demo_bot=1, other_bot=1).covered
    assert said(desk, demo_bot=1).uncovered_reason == "the bot other-bot was not heard since this process started"


def test_a_bot_that_the_policy_does_not_name_does_not_count() -> None:
    desk = desk_with(Bot(name="demo-bot"))
    assert said(desk, demo_bot=1).covered
    assert said(desk, other_bot=1).uncovered_reason == "the bot demo-bot was not heard since this process started"


def test_a_named_bot_without_a_key_counts() -> None:
    sample = said(desk_with(Bot(name="elsewhere")), demo_bot=1, other_bot=1)
    assert sample.uncovered_reason == "the bot elsewhere was not heard since this process started"


def test_an_open_order_makes_its_bot_count() -> None:
    desk = desk_with(Bot(name="other-bot"))
    desk.placed(desk.order("0.00005", "59500"))
    assert said(desk, other_bot=1).uncovered_reason == "the bot demo-bot was not heard since this process started"


def test_an_open_order_shortens_the_allowed_silence_of_its_bot_alone() -> None:
    desk = desk_with()
    desk.placed(desk.order("0.00005", "59500"))
    assert said(desk, demo_bot=10_000, other_bot=100_000).covered
    assert said(desk, demo_bot=10_001, other_bot=1).uncovered_reason == "the bot demo-bot is silent for longer than 10000 ms"


def _revoked(desk: Desk) -> None:
    for key in BOT_KEYS.values():
        found = desk.state.bot_keys[key]
        desk.state = replace(desk.state, bot_keys=desk.state.bot_keys.set(key, replace(found, revoked=True)))


def _keyless(desk: Desk) -> None:
    desk.state = replace(desk.state, bot_keys=Map())


@pytest.mark.parametrize("lose", [_revoked, _keyless])
def test_without_a_key_that_counts_no_time_is_covered(lose: Callable[[Desk], None]) -> None:
    desk = desk_with()
    lose(desk)
    assert said(desk, demo_bot=1, other_bot=1).uncovered_reason == "no bot has a gateway key"


def test_the_status_lists_named_bots_and_bots_with_keys() -> None:
    desk = desk_with(Bot(name="elsewhere"), Bot(name="demo-bot"))
    found = bot_liveness.of_all(desk.state, desk.policy, {}, desk.now)
    assert [one.bot for one in found] == ["demo-bot", "elsewhere", "other-bot"]


def test_one_burst_of_requests_a_minute_covers_all_the_time() -> None:
    desk, heard_at = desk_with(), Millis(0)
    before = desk.state.tally
    assert before is not None
    for second in range(600):
        desk.pass_time(1_000)
        heard_at = desk.now if second % 60 == 0 else heard_at
        if second % 3 == 0:
            desk.sweep_all()
        desk.give(replace(desk.seen(), bots=dict.fromkeys(BOT_KEYS, Heard(heard_at, HeardBy.REQUEST))))
    after = desk.state.tally
    assert after is not None
    assert after.covered_ms - before.covered_ms == 600_000
    assert after.longest_gap_ms == before.longest_gap_ms


def test_a_bot_that_ends_leaves_a_gap_after_its_allowed_silence() -> None:
    desk = desk_with()
    desk.run(3_000)
    last = desk.now
    for _ in range(150):
        desk.pass_time(1_000)
        desk.sweep_all()
        desk.give(replace(desk.seen(), bots=dict.fromkeys(BOT_KEYS, Heard(last, HeardBy.REQUEST))))
    assert desk.state.tally is not None
    assert desk.state.tally.gap_ms == 30_000
