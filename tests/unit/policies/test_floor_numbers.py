"""The floors as numbers. Changing one is a decision, so it has to be made twice: in the code and here."""

from __future__ import annotations

from policies.floors import DRILL_RULES, FLOORS, LIVE_RULES, REQUIRED_RULES, violations
from policies.numbers import text
from policies.required import REPLAY_RULES, VALIDATION_RULES
from policies.schema import FIRST_STEP_MAX_EUR, LIVE_CAP_MAX_EUR, STEP_FACTOR_MAX
from tests.unit.policies.policy_kit import example

BOUNDS = {
    "caps.live": "<= 10",
    "caps.testnet": "<= 10",
    "eur_rate.quote_per_eur": "<= 1.5",
    "eur_rate.valid_until": "<= 2678400000",
    "eur_rate.follow.band_percent": "<= 5",
    "eur_rate.follow.ecb_max_age_ms": "<= 518400000",
    "eur_rate.follow.venue_max_age_ms": "<= 3600000",
    "limits.order_notional_max_eur": "<= 25",
    "limits.price_collar_bps": "<= 500",
    "limits.quote_max_age_ms": "<= 5000",
    "limits.order_rate": "<= 6",
    "limits.order_rate.per_ms": "<= 10000",
    "limits.open_orders_max": "<= 10",
    "limits.min_order_factor": ">= 1.2",
    "limits.exit_stop_fraction": ">= 0.1",
    "guards.reduce.at": "<= 0.8",
    "flatten.give_up_after_ms": "<= 3600000",
    "guards.daily_loss.max_eur": "<= 5",
    "guards.daily_loss.max_cap_fraction": "<= 0.1",
    "guards.drawdown_fraction": "<= 0.2",
    "guards.quote_stale.no_entry_ms": "<= 5000",
    "guards.quote_stale.cancel_ms": "<= 30000",
    "guards.quote_stale.halt_ms": "<= 300000",
    "guards.reconciliation.tolerated_breaks": "<= 0",
    "guards.reconciliation.max_age_ms": "<= 60000",
    "guards.reject_rate.max_ratio": "<= 0.2",
    "guards.reject_rate.min_samples": "<= 20",
    "guards.reject_rate.window_ms": ">= 60000",
    "guards.unknown_order.max_age_ms": "<= 60000",
    "guards.clock_offset.no_entry_ms": "<= 500",
    "guards.clock_offset.halt_ms": "<= 900",
    "guards.blind_deadline_ms": "<= 30000",
    "guards.blind_halt_ms.mock": ">= 120000",
    "guards.blind_halt_ms.testnet_validating": ">= 120000",
    "guards.blind_halt_ms.validated": ">= 120000",
    "bots.silence_max_ms": "<= 900000",
    "settle.unknown_grace_ms": ">= 10000",
    "settle.lookups_min": ">= 3",
    "validation.covered_ms": ">= 259200000",
    "performance.looks": "<= 10",
    "evidence.ttl_ms": "<= 86400000",
    "authority.cooling_off_ms": ">= 600000",
    "shadow.fill_band": "<= 0.2",
    "shadow.price_band_bps": "<= 10",
    "shadow.latency_band_ms": "<= 1500",
    "shadow.orders_min": "<= 50",
}

REQUIRED = {
    "testnet-ready": {
        "reconciliation_breaks <= 0",
        "unknown_orders <= 0",
        "orders >= 10",
        "reject_ratio <= 0.05",
        "coverage_ratio >= 0.95",
    },
    "validation": {
        "reconciliation_breaks <= 0",
        "unknown_orders <= 0",
        "covered_ms >= 259200000",
        "coverage_ratio >= 0.995",
        "longest_gap_ms <= 120000",
        "orders >= 100",
        "fills >= 60",
        "reject_ratio <= 0.01",
        "reject_ratio_upper <= 0.03",
        "longest_unknown_ms <= 60000",
        "clock_offset_max_ms <= 900",
        "drawdown_fraction <= 0.05",
        "net_pnl_eur >= -0.1",
        "round_trips >= 30",
        "midnights >= 3",
        "drills_in_run >= 7",
        "stream_rotations >= 3",
        "listen_key_renewals >= 72",
        "longest_rotation_gap_ms <= 30000",
        "order_test_parity_ratio >= 0.999",
        "order_test_parity_lower >= 0.95",
        "shortfall_median_bps <= 8",
        "shortfall_upper_bps <= 11",
        "shortfall_p95_bps <= 16",
        "fill_ratio_excess >= -0.15",
        "fill_ratio_excess <= 0.15",
        "form_rejects <= 0",
        "ack_p50_ms <= 300",
        "ack_p99_ms <= 1500",
        "ack_p50_ratio >= 0.75",
        "ack_p50_ratio <= 1.25",
        "ack_p99_ratio >= 0.75",
        "ack_p99_ratio <= 1.25",
        "longest_unprotected_ms <= 5000",
        "book_crossed_ratio <= 0.0001",
        "longest_resync_ms <= 10000",
        "book_divergences <= 0",
        "rate_limited <= 0",
        "address_bans <= 0",
        "rate_limit_use_ratio <= 0.5",
        "stressed_pnl_eur >= 0",
        "stressed_return_lower >= -0.01",
        "claim_z >= -1.64",
        "psr >= 0.5",
        "drawdown_excess <= 0",
        "profit_factor >= 1.1",
        "expectancy_eur >= 0",
        "hit_rate_excess >= -0.05",
        "best_trade_share <= 0.5",
        "best_block_share <= 0.7",
        "behaviour_drift <= 2",
        "behaviour_ks_p >= 0.01",
        "replay_parity_ratio >= 1",
        "replay_parity_lower >= 0.95",
        "replay_coverage_ratio >= 0.995",
    },
    "live-ready": {
        "reconciliation_breaks <= 0",
        "unknown_orders <= 0",
        "covered_ms >= 600000",
        "coverage_ratio >= 0.995",
        "drawdown_fraction <= 0.05",
        "account_checks_failed <= 0",
        "drill_kill_age_ms <= 604800000",
        "drill_crash_age_ms <= 604800000",
        "drill_stale_age_ms <= 604800000",
        "drill_clock_age_ms <= 604800000",
        "drill_ratelimit_age_ms <= 604800000",
        "drill_ambiguous_age_ms <= 604800000",
        "drill_disk_age_ms <= 604800000",
        "drill_watchdog_age_ms <= 604800000",
        "drill_hang_age_ms <= 604800000",
        "drill_restore_age_ms <= 604800000",
        "order_tests >= 30",
        "order_test_parity_ratio >= 0.999",
        "order_test_parity_lower >= 0.9",
    },
    "ramp-step": {
        "reconciliation_breaks <= 0",
        "unknown_orders <= 0",
        "covered_ms >= 259200000",
        "coverage_ratio >= 0.995",
        "fills >= 30",
        "reject_ratio <= 0.01",
        "longest_unknown_ms <= 60000",
        "drawdown_fraction <= 0.1",
        "net_pnl_eur >= -1",
        "soft_breaches <= 0",
        "shadow_orders >= 30",
        "shadow_fill_bias_low >= -0.25",
        "shadow_fill_bias_high <= 0.25",
        "shadow_price_bias_bps_low >= -10",
        "shadow_price_bias_bps_high <= 10",
        "shadow_latency_bias_ms_low >= -1500",
        "shadow_latency_bias_ms_high <= 1500",
    },
    "resume": {
        "reconciliation_breaks <= 0",
        "unknown_orders <= 0",
        "covered_ms >= 60000",
    },
}


def test_the_floors_are_these() -> None:
    assert {floor.path: f"{floor.op} {text(floor.bound)}" for floor in FLOORS} == BOUNDS


def test_the_required_rules_of_each_gate_are_these() -> None:
    found: dict[str, set[str]] = {}
    for rule in (*REQUIRED_RULES, *DRILL_RULES, *VALIDATION_RULES, *LIVE_RULES, *REPLAY_RULES):
        found.setdefault(rule.gate, set()).add(f"{rule.metric} {rule.op} {text(rule.bound)}")
    assert found == REQUIRED


def test_the_caps_that_hold_everywhere_are_these() -> None:
    assert (LIVE_CAP_MAX_EUR, FIRST_STEP_MAX_EUR, STEP_FACTOR_MAX) == (10, 25, 2)


def test_the_production_examples_violate_nothing() -> None:
    assert violations(example("team")) == ()
    assert violations(example("solo")) == ()
