"""``gatehouse doctor`` says how long the rate of the policy is good for, before it ends."""

from __future__ import annotations

import pytest

from controller.cli.doctor.ends import DAY_MS, HOUR_MS, check_rate
from controller.cli.doctor.result import Warned
from exchange.errors import ConfigError
from exchange.model import Millis
from policies.document import load_policy
from tests.support.rig import ROOT

DEMO = load_policy((ROOT / "policies" / "examples" / "demo.toml").read_bytes())
TEAM = load_policy((ROOT / "policies" / "examples" / "team.toml").read_bytes())
END = DEMO.eur_rate.valid_until
assert END is not None


def found(before_end_ms: int) -> str | Warned:
    assert END is not None
    return check_rate(DEMO, Millis(END - before_end_ms))


@pytest.mark.parametrize(
    ("before_end_ms", "left"),
    [(2 * DAY_MS + HOUR_MS, "2 days"), (20 * HOUR_MS, "20 hours"), (HOUR_MS, "1 hour"), (90_000, "1 minute")],
)
def test_a_rate_that_ends_soon_warns_with_what_is_left(before_end_ms: int, left: str) -> None:
    warned = found(before_end_ms)
    assert isinstance(warned, Warned)
    assert warned.found == (f"the EUR rate of the policy ends in {left}, on 2030-01-01 00:00 UTC, and then every order is denied")
    assert "[eur_rate.follow]" in warned.fix


def test_a_rate_that_is_good_for_longer_passes() -> None:
    assert found(3 * DAY_MS) == "1.09 USDT per EUR, good for 3 days"


@pytest.mark.parametrize(("before_end_ms", "says"), [(0, "ended on 2030-01-01"), (30_000 * DAY_MS, "begins on")])
def test_a_rate_that_does_not_count_today_fails(before_end_ms: int, says: str) -> None:
    assert END is not None
    with pytest.raises(ConfigError, match=says) as caught:
        check_rate(DEMO, Millis(max(0, END - before_end_ms)))
    assert caught.value.code == "rate-stale"


def test_a_rate_that_follows_a_source_does_not_end() -> None:
    assert check_rate(TEAM, Millis(0)) == "follows ecb from 1.0925 to 1.2075 USDT per EUR, and does not end"
