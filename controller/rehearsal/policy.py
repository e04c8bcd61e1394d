"""The policy of a rehearsal: the demo's limits and guards, and gates that need as many covered hours as are rehearsed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from controller.rehearsal.folder import BOT
from controller.version import SOURCE_ROOT
from exchange.errors import ConfigError

_BASE = SOURCE_ROOT / "policies" / "examples" / "demo.toml"
_WARMUP_MOST_S, _WARMUP_PART = 600, 20
_SILENCE_MS = 90_000
_LOOKS = 10
_P50_MS, _P99_MS = 22, 175
"""The quantiles of the venues' latency (``exchange.testnet.conditions.latency``)."""

_MEASURED_FROM, _ANSWERED_FROM, _DAY = 0.25, 8, 24
"""From so many hours on a run measures its books and limits, has answers enough for a bound, and has midnights and rotations."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long everything takes, in virtual seconds: ``warmup_s`` at MOCK and at VALIDATED, ``covered_s`` in the validation."""

    hours: float

    @property
    def covered_s(self) -> int:
        """The covered time that the validation needs."""
        return int(self.hours * 3600)

    @property
    def warmup_s(self) -> int:
        """The covered time at MOCK, and again at VALIDATED."""
        return max(20, min(_WARMUP_MOST_S, self.covered_s // _WARMUP_PART))

    @property
    def look_every_s(self) -> float:
        """How often operators look at the gates: a look is many times the work of a tick."""
        return min(600.0, max(2.0, self.covered_s / 300))

    @property
    def most_s(self) -> int:
        """After this long the rehearsal ends wherever it is."""
        return self.covered_s + self.covered_s // 10 + 6 * self.warmup_s + 600


def policy_text(plan: Plan) -> str:
    """The policy, without the testnet's key."""
    text = _demo()
    head = text[: text.index("[gates]")].replace("covered_ms = 30_000", f"covered_ms = {plan.covered_s * 1000}")
    head = head.replace('name = "demo"', 'name = "rehearsal"').replace("ttl_ms = 600_000", "ttl_ms = 3_600_000")
    declared = f"[performance]\nlooks = {_LOOKS}\nvariants = 1\n\n"
    declared += f"[performance.latency]\np50_ms = {_P50_MS}\np99_ms = {_P99_MS}\n\n"
    return head + declared + f'[[bots]]\nname = "{BOT}"\nsilence_max_ms = {_SILENCE_MS}\n\n' + _gates(plan)


def _demo() -> str:
    try:
        return _BASE.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{_BASE} cannot be read: {error.strerror}",
            code="demo-file-missing",
            remedy="Rehearse from a complete checkout of gatehouse.",
        ) from None


def _rule(name: str, metric: str, op: str, threshold: object, unit: str, samples: int) -> str:
    what = f'id = "{name}", metric = "{metric}", op = "{op}", threshold = {threshold}, unit = "{unit}"'
    return f"  {{ {what}, min_samples = {samples} }},"


def _gates(plan: Plan) -> str:
    hours, warm_ms = max(1, int(plan.hours)), plan.warmup_s * 1000
    clean = _rule("clean-books", "reconciliation_breaks", "==", 0, "count", 1)
    known = _rule("no-unknown", "unknown_orders", "==", 0, "count", 1)
    covered = _rule("covered-time", "covered_ms", ">=", warm_ms, "ms", 1)
    fit = _rule("account-fit", "account_checks_failed", "==", 0, "count", 6)
    gates = {
        "testnet-ready": [covered, _rule("orders", "orders", ">=", 1, "count", 1), clean],
        "validation": [
            _rule("covered-time", "covered_ms", ">=", plan.covered_s * 1000, "ms", 1),
            _rule("coverage", "coverage_ratio", ">=", 0.95, "ratio", 1),
            _rule("longest-gap", "longest_gap_ms", "<=", 120_000, "ms", 1),
            _rule("orders", "orders", ">=", hours, "count", 1),
            _rule("fills", "fills", ">=", max(1, hours // 2), "count", 1),
            _rule("reject-ratio", "reject_ratio", "<=", 0.10, "ratio", 1),
            clean,
            known,
            _rule("longest-unknown", "longest_unknown_ms", "<=", 60_000, "ms", 1),
            _rule("clock", "clock_offset_max_ms", "<=", 900, "ms", 1),
            _rule("drawdown", "drawdown_fraction", "<=", 0.15, "ratio", 1),
            _rule("net-pnl", "net_pnl_eur", ">=", -1, "eur", 1),
            # Whether a strategy earns is not what a rehearsal tries; its result compares that with what production asks for.
            _rule("shortfall", "shortfall_median_bps", "<=", 8, "bps", 1),
            _rule("form-rejects", "form_rejects", "==", 0, "count", 1),
            _rule("ack-median", "ack_p50_ms", "<=", 300, "ms", 1),
            _rule("ack-p99", "ack_p99_ms", "<=", 1500, "ms", 1),
            _rule("unprotected", "longest_unprotected_ms", "<=", 60_000, "ms", 1),
            *_what_takes_time(plan),
        ],
        "live-ready": [covered, clean, known, fit],
        "ramp-step": [covered, clean, known],
        "resume": [_rule("covered-time", "covered_ms", ">=", 2000, "ms", 1), clean, known],
    }
    return "[gates]\n" + "".join(f"{name} = [\n" + "\n".join(rules) + "\n]\n" for name, rules in gates.items())


def _what_takes_time(plan: Plan) -> list[str]:
    """What a run of this length can measure. Each of the faults that a rehearsal may bring is within these bounds."""
    rules = []
    if plan.hours >= _MEASURED_FROM:
        rules += [
            _rule("book-crossed", "book_crossed_ratio", "<=", 0.0001, "ratio", 10),
            _rule("book-resync", "longest_resync_ms", "<=", 10_000, "ms", 10),
            _rule("book-as-rest", "book_divergences", "==", 0, "count", 1),
            _rule("rate-limited", "rate_limited", "<=", 10, "count", 10),
            _rule("address-banned", "address_bans", "<=", 10, "count", 10),
            _rule("limits-used", "rate_limit_use_ratio", "<=", 0.75, "ratio", 10),
        ]
    if plan.hours >= _ANSWERED_FROM:
        rules += [
            # A bot may trade once an hour, and with so few answers only what is proven to differ is held against it.
            _rule("ack-not-faster", "ack_p50_ratio_high", ">=", 0.75, "number", 1),
            _rule("ack-not-slower", "ack_p50_ratio_low", "<=", 1.25, "number", 1),
            _rule("tail-not-slower", "ack_p99_ratio_low", "<=", 1.25, "number", 1),
        ]
    if plan.hours >= _DAY:
        rules += [
            _rule("midnights", "midnights", ">=", int(plan.hours) // _DAY, "count", 1),
            _rule("rotations", "stream_rotations", ">=", int(plan.hours) // _DAY, "count", 1),
            _rule("rotation-gap", "longest_rotation_gap_ms", "<=", 30_000, "ms", 1),
            _rule("listen-keys", "listen_key_renewals", ">=", int(plan.hours), "count", 1),
        ]
    return rules


def policy_file(path: Path) -> str:
    """A policy of one's own. Raises ``ConfigError``."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", code="file-unusable", remedy="Check the path.") from None
