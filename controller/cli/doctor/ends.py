"""What ends at a known time: the EUR rate, and the exchange keys. ``doctor.checks`` calls this.

MEXC has no call that says when a key ends (mexc-spot-v3.md §5), so the owner writes it into ``gatehouse.toml``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from controller.cli.doctor.result import Warned
from controller.settings.key_ends import KEY_SOON_MS
from controller.settings.testnet import VenueSettings
from controller.settings.watchdog import WatchdogSettings
from exchange.errors import ConfigError
from exchange.model import Millis
from policies.eur import NO_RATES, band, sources
from policies.numbers import text
from policies.schema import Policy

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
_RATE_SOON_MS = 3 * DAY_MS

_RATE_FIX = (
    "Write today's rate, as_of and a later valid_until below [eur_rate] of policy.toml, or let the rate follow the ECB: a section "
    "[eur_rate.follow] never ends (ops/docs/eur-rate.md). Then sign `gatehouse set-policy policy.toml --key KEY --reason WHY`, and "
    "restart the controller."
)
_RENEW = (
    "Renew it on MEXC's page, under API management, for 90 more days, or bind it there to this host's address: then it never ends. "
    'Then correct api_key_ends below {table} in gatehouse.toml: a time as in 2027-01-31T00:00:00Z, or "never" for a bound key.'
)
_SAY = (
    "Look at the key on MEXC's page, under API management, and write its end below {table} in gatehouse.toml: "
    'api_key_ends = 2027-01-31T00:00:00Z, or api_key_ends = "never" if the key is bound to this host\'s address.'
)


def left(ms: int) -> str:
    """A remaining time in words: minutes below one hour, hours below two days, else days; always rounded down."""
    count, unit = (
        (ms // 60_000, "minute") if ms < HOUR_MS else (ms // HOUR_MS, "hour") if ms < 2 * DAY_MS else (ms // DAY_MS, "day")
    )
    return f"{count} {unit}{'' if count == 1 else 's'}"


def day(at: int) -> str:
    """An instant as UTC date and minute."""
    return datetime.fromtimestamp(at / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def check_rate(policy: Policy, now: Millis) -> str | Warned:
    """How long the policy's rate counts.

    Raises:
        ConfigError: it does not count today.
    """
    rate = policy.eur_rate
    if rate.follow is not None:
        low, high = (text(bound) for bound in band(rate, NO_RATES))
        return f"follows {' and '.join(sources(rate.follow))} from {low} to {high} {rate.asset} per EUR, and does not end"
    if rate.valid_until is None or not rate.as_of <= now < rate.valid_until:
        when = f"begins on {day(rate.as_of)}" if now < rate.as_of else f"ended on {day(rate.valid_until or 0)}"
        raise ConfigError(
            f"the EUR rate of the policy {when}: every order is denied",
            code="rate-stale",
            remedy=_RATE_FIX,
        )
    time_left = left(rate.valid_until - now)
    if rate.valid_until - now < _RATE_SOON_MS:
        found = f"the EUR rate of the policy ends in {time_left}, on {day(rate.valid_until)}, and then every order is denied"
        return Warned(found, _RATE_FIX)
    return f"{rate.quote_per_eur} {rate.asset} per EUR, good for {time_left}"


def check_key_end(table: str, key: VenueSettings | WatchdogSettings, now: Millis) -> str | Warned:
    """How long an exchange key counts, as its owner wrote it down.

    Raises:
        ConfigError: it has ended.
    """
    ends = key.api_key_ends
    if ends is None:
        return Warned("its end is unknown: MEXC ends a key that is bound to no address after 90 days", _SAY.format(table=table))
    if ends == "never":
        return "gatehouse.toml says that it is bound to an address and does not end"
    at, fix = int(ends.timestamp() * 1000), _RENEW.format(table=table)
    what = "no order and no cancel passes" if table == "[live]" else "the watchdog cannot cancel"
    if at <= now:
        raise ConfigError(f"gatehouse.toml says that it ended on {day(at)}: {what}", code="exchange-key-ended", remedy=fix)
    if at - now < KEY_SOON_MS:
        return Warned(f"it ends in {left(at - now)}, on {day(at)}, and then {what}", fix)
    return f"good for {left(at - now)}, until {day(at)}"
