"""What leads out of a halt: by the kind of halt, by what it left of the validation, and by the guards that still stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.causes import RULES, Cause, HaltClass
from controller.core.decisions import evidence
from controller.core.decisions import guards as guarding
from controller.core.decisions.draft import CommandReply
from controller.core.decisions.drills import HALT_DRILL
from controller.core.lifecycle import Position
from exchange.errors import Refused
from exchange.model import Millis
from exchange.ports import Rejected, VenueName
from policies.authority import Verb
from policies.guards import Breach, GuardName, Level
from policies.stage import LIVE_STAGES, Mode, Stage
from tests.support.desk import D, Desk, with_policy

MOCK, VALIDATED, LIVE = Position(Stage.MOCK), Position(Stage.VALIDATED), Position(Stage.LIVE_EUR10)
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def validated() -> Desk:
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.trade(2)
    desk.run(10_000)
    return desk


@pytest.fixture(scope="module")
def live() -> Desk:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.run(3_000)
    return desk


def refusal_of(desk: Desk, target: Position) -> Refused:
    with pytest.raises(Refused) as refusal:
        desk.command(Verb.RESUME, target)
    return refusal.value


def offered(desk: Desk) -> set[Position]:
    return {target for verb, target, _ in evidence.gated_moves(desk.state) if verb is Verb.RESUME}


def tick(desk: Desk, offset: int = 3, age_ms: int = 0) -> None:
    market = desk.market(age_ms=age_ms)
    markets = {VenueName.TESTNET: market, VenueName.LIVE: market}
    desk.give(i.Tick(markets, dict.fromkeys(VenueName, offset), desk.heard()))


# By kind of halt


def _operator(desk: Desk) -> None:
    desk.give(i.HaltAsked("local socket", "stop"))


def _operator_signed(desk: Desk) -> None:
    assert desk.move(Verb.HALT, Stage.HALTED, signers=("carol",)).code == ""


def _authority(desk: Desk) -> None:
    roster = desk.state.roster
    assert roster is not None
    assert desk.ask(Verb.REVOKE, roster.persons[1].keys[0].id, "alice").code == ""


def _journal(desk: Desk) -> None:
    desk.give(i.HaltAsked("controller", "the last process halted without a journal", Cause.JOURNAL))


def _controller(desk: Desk) -> None:
    desk.give(i.HaltAsked("controller", "background work failed", Cause.CONTROLLER))


def _restored(desk: Desk) -> None:
    desk.give(i.HaltAsked("controller", "put back from a copy", Cause.RESTORED))


def _restored_from_an_older_copy(desk: Desk) -> None:
    desk.give(i.HaltAsked("controller", "put back from an older copy", Cause.RESTORED_OLDER))


def _clock(desk: Desk) -> None:
    tick(desk, offset=5_000)


def _rejected(desk: Desk) -> None:
    for _ in range(20):
        desk.pass_time(100)
        desk.placed(desk.order("0.00002"), Rejected(30004, "no"))
    tick(desk)


def _integrity(desk: Desk) -> None:
    venue = desk.state.venue
    assert venue is not None
    for _ in range(2):
        desk.sweep(venue, balances={})


KINDS: list[tuple[Callable[[Desk], None], HaltClass, set[Position], set[Position]]] = [
    (_operator, HaltClass.OPERATOR, {VALIDATED, LIVE}, {VALIDATED}),
    (_operator_signed, HaltClass.OPERATOR, {VALIDATED, LIVE}, {VALIDATED}),
    (_authority, HaltClass.AUTHORITY, {VALIDATED, LIVE}, {VALIDATED}),
    (_journal, HaltClass.JOURNAL, {VALIDATED}, {VALIDATED}),
    (_controller, HaltClass.CONTROLLER, {VALIDATED}, {VALIDATED}),
    (_rejected, HaltClass.BREACH, {VALIDATED, LIVE}, set()),
    (_clock, HaltClass.CLOCK, {VALIDATED, LIVE}, set()),
    (_restored, HaltClass.RESTORED, {VALIDATED}, {VALIDATED}),
    (_restored_from_an_older_copy, HaltClass.INTEGRITY, {VALIDATED}, set()),
    (_integrity, HaltClass.INTEGRITY, {VALIDATED}, set()),
]
"""How it halts, what kind that is, and where a resume leads from LIVE_€10 and from VALIDATED."""


@pytest.mark.parametrize(("halts", "kind", "from_live", "from_validated"), KINDS)
def test_a_resume_leads_as_far_as_the_kind_of_halt_allows(
    live: Desk,
    validated: Desk,
    halts: Callable[[Desk], None],
    kind: HaltClass,
    from_live: set[Position],
    from_validated: set[Position],
) -> None:
    for desk, expected in ((live.fork(), from_live), (validated.fork(), from_validated)):
        halts(desk)
        assert desk.state.position.stage is Stage.HALTED
        assert desk.state.halt_class is kind
        assert offered(desk) == expected


def test_a_reconciliation_guard_halts_as_an_integrity_halt(live: Desk) -> None:
    desk = live.fork()
    differing = replace(desk.state.ledger(VenueName.LIVE), breaks=("BTC: ours 1, live 2",))
    desk.state = replace(desk.state, ledgers=desk.state.ledgers.set(VenueName.LIVE, differing))
    desk.tick()
    assert desk.state.halt_class is HaltClass.INTEGRITY
    assert offered(desk) == {VALIDATED}


def test_every_kind_of_halt_is_tested() -> None:
    assert {kind for _, kind, _, _ in KINDS} == set(HaltClass) == set(RULES)


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_makes_one_kind_of_halt(cause: Cause) -> None:
    assert HaltClass.of(cause) in RULES


def test_every_verb_is_a_cause() -> None:
    assert {Cause.of(verb).value for verb in Verb} == {verb.value for verb in Verb}


@pytest.mark.parametrize("kind", [HaltClass.INTEGRITY, HaltClass.JOURNAL, HaltClass.CONTROLLER])
def test_a_resume_too_high_is_refused_with_the_kind_of_halt(live: Desk, kind: HaltClass) -> None:
    desk = live.fork()
    next(halts for halts, named, _, _ in KINDS if named is kind)(desk)
    refusal = refusal_of(desk, LIVE)
    assert refusal.code == "edge-guard"
    assert f"after this kind of halt ({kind}:" in refusal.message
    assert refusal.remedy.startswith("Resume to VALIDATED and advance from there, or go to MOCK with `gatehouse reset ")


def test_no_kind_of_halt_leads_into_the_ramp() -> None:
    assert all(rule.ceiling is not Stage.RAMPING for rule in RULES.values())


# What a breach leaves of the validation


def test_a_halting_breach_at_validated_leaves_only_a_reset(validated: Desk) -> None:
    desk = validated.fork()
    _rejected(desk)
    desk.run(10_000)
    for target in (VALIDATED, LIVE):
        refusal = refusal_of(desk, target)
        assert refusal.code == "validation-void"
        assert "a breach at VALIDATED revoked it: the venue rejected 20 of the last 24" in refusal.message
        assert "gatehouse reset" in refusal.remedy
    assert desk.move(Verb.RESET, Stage.MOCK, signers=("alice",)).code == ""
    assert desk.state.validation_void == ""


@pytest.mark.parametrize(
    ("unseen_ms", "kind", "refused"), [(None, HaltClass.BREACH, "validation-void"), (1, HaltClass.OPERATOR, "")]
)
def test_a_soft_breach_in_a_drill_voids_it_if_something_was_seen(
    validated: Desk, monkeypatch: pytest.MonkeyPatch, unseen_ms: int | None, kind: HaltClass, refused: str
) -> None:
    desk = validated.fork()
    assert desk.ask(Verb.DRILL, HALT_DRILL, "alice").code == ""
    found = Breach(GuardName.QUOTE_STALE, Level.CANCEL_ALL, "1", "0", "it is broken", unseen_ms=unseen_ms)
    with monkeypatch.context() as patched:
        patched.setattr(guarding, "breached_guards", lambda *_: (found,))
        tick(desk)
    assert desk.state.halt_class is kind
    desk.run(10_000)
    reply = desk.move(Verb.RESUME, Stage.VALIDATED) if not refused else refusal_of(desk, VALIDATED)
    assert reply.code == refused


def test_a_resume_signed_offline_is_refused_the_same_way(validated: Desk) -> None:
    desk = validated.fork()
    desk.give(i.HaltAsked("test", "stop"))
    desk.run(10_000)
    resume = desk.command(Verb.RESUME, VALIDATED)
    desk.release = i.Release("bot", "2", "sha256:" + "e" * 64, "sha256:" + "f" * 64)
    desk.boot()
    forged = resume.model_copy(update={"journal_seq": desk.state.seq})
    assert desk.submit(forged, "alice", "bob").code == "validation-void"


def test_a_restart_does_not_restore_the_validation(validated: Desk) -> None:
    desk = validated.fork()
    _rejected(desk)
    desk.boot()
    desk.run(10_000)
    assert refusal_of(desk, VALIDATED).code == "validation-void"


def test_a_halt_by_hand_keeps_the_validation(validated: Desk) -> None:
    desk = validated.fork()
    desk.give(i.HaltAsked("test", "stop"))
    desk.run(10_000)
    assert desk.move(Verb.RESUME, Stage.VALIDATED).code == ""


def test_the_first_reason_why_the_validation_is_void_is_kept(validated: Desk) -> None:
    desk = validated.fork()
    _rejected(desk)
    void = desk.state.validation_void
    desk.release = i.Release("bot", "2", "sha256:" + "e" * 64, "sha256:" + "f" * 64)
    desk.boot()
    assert desk.state.validation_void == void


def test_a_change_while_halted_keeps_the_left_venue_guarded(live: Desk) -> None:
    desk = live.fork()
    desk.give(i.HaltAsked("test", "stop"))
    desk.release = i.Release("bot", "2", "sha256:" + "e" * 64, "sha256:" + "f" * 64)
    desk.boot()
    assert desk.state.halted_from == LIVE
    assert desk.state.watched is VenueName.LIVE


# Guards that still stand


@pytest.fixture
def lost(live: Desk) -> Desk:
    """Halted by a day's loss at LIVE_€10, and sold out since, so that nothing recovers."""
    desk = live.fork()
    desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    desk.price *= D("0.9")
    desk.tick()
    assert desk.state.halt_class is HaltClass.BREACH
    desk.run(10_000)
    return desk


def test_a_resume_after_a_daily_loss_names_the_guard_and_its_end(lost: Desk) -> None:
    refusal = refusal_of(lost, LIVE)
    assert refusal.code == "guard-stands"
    assert refusal.message.startswith("guard daily-loss is still breached and would stop the deployment again at once: ")
    assert refusal.remedy == "It passes at 2027-01-16 00:00 UTC, when a new day begins, or earlier if the equity recovers."


def test_a_live_loss_does_not_refuse_a_resume_to_validated(lost: Desk) -> None:
    assert lost.move(Verb.RESUME, Stage.VALIDATED).code == ""
    lost.run(5_000)
    assert lost.state.position == VALIDATED


@pytest.mark.parametrize(("days_ago", "code"), [(0, "guard-stands"), (1, "")])
def test_a_loss_on_the_target_account_refuses_a_resume_that_day(live: Desk, days_ago: int, code: str) -> None:
    desk = live.fork()
    desk.give(i.HaltAsked("test", "stop"))
    desk.run(10_000)
    ledger = desk.state.ledger(VenueName.TESTNET)
    assert ledger.valued_eur is not None
    lost = replace(ledger, day=desk.now // DAY_MS - days_ago, day_start_eur=ledger.valued_eur + 1)
    desk.state = replace(desk.state, ledgers=desk.state.ledgers.set(VenueName.TESTNET, lost))
    if code:
        assert "guard daily-loss is still breached" in refusal_of(desk, VALIDATED).message
    else:
        assert desk.move(Verb.RESUME, Stage.VALIDATED).code == ""


def test_a_break_on_the_target_account_refuses_a_resume(live: Desk) -> None:
    desk = live.fork()
    desk.give(i.HaltAsked("test", "stop"))
    desk.run(10_000)
    for _ in range(2):
        desk.sweep(VenueName.TESTNET, balances={})
    assert "guard reconciliation is still breached" in refusal_of(desk, VALIDATED).message
    assert desk.move(Verb.RESUME, Stage.LIVE_EUR10).code == ""


def to_midnight(desk: Desk) -> None:
    desk.pass_time(DAY_MS - desk.now % DAY_MS - 1)
    desk.sweep_all()
    desk.tick()


def test_the_last_millisecond_of_the_day_still_refuses(lost: Desk) -> None:
    to_midnight(lost)
    assert refusal_of(lost, LIVE).code == "guard-stands"


def test_on_the_next_day_the_resume_is_applied(lost: Desk) -> None:
    to_midnight(lost)
    lost.run(10_000)
    assert lost.move(Verb.RESUME, Stage.LIVE_EUR10).code == ""
    lost.run(10_000)
    assert lost.state.position == LIVE


def test_a_recovered_equity_allows_the_resume(lost: Desk) -> None:
    lost.price = D("60000")
    lost.run(2_000)
    assert lost.move(Verb.RESUME, Stage.LIVE_EUR10).code == ""
    lost.run(5_000)
    assert lost.state.position == LIVE


def test_a_loss_after_the_proposal_refuses_the_resume(live: Desk) -> None:
    desk = live.fork()
    desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    desk.give(i.HaltAsked("test", "stop"))
    desk.run(10_000)
    resume = desk.command(Verb.RESUME, LIVE)
    desk.price *= D("0.9")
    desk.run(2_000)
    reply = desk.submit(resume, "alice", "bob")
    assert reply.code == "guard-stands"
    assert "2027-01-16 00:00 UTC" in reply.remedy
    assert [type(event) for event in desk.decisions[-1].events] == [e.CommandRefused]


def test_in_solo_mode_it_is_refused_after_the_cooling_off() -> None:
    desk = Desk(with_policy(mode=Mode.SOLO)).walk_to(Stage.LIVE_EUR10)
    desk.run(3_000)
    desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    desk.give(i.HaltAsked("test", "stop"))
    desk.run(10_000)
    reply = desk.move(Verb.RESUME, Stage.LIVE_EUR10, signers=("alice",))
    assert isinstance(reply, CommandReply)
    assert reply.applies_at is not None
    desk.price *= D("0.9")
    desk.run(Millis(reply.applies_at - desk.now) + 1_000)
    refused = desk.events(e.CommandRefused)[-1]
    assert isinstance(refused, e.CommandRefused)
    assert refused.code == "guard-stands"
    assert desk.state.position.stage is Stage.HALTED


@pytest.mark.parametrize(("offset", "age_ms", "guard"), [(5_000, 0, "clock-offset"), (3, 15_001, "quote-stale")])
def test_any_guard_that_would_act_at_once_refuses_the_resume(live: Desk, offset: int, age_ms: int, guard: str) -> None:
    desk = live.fork()
    desk.give(i.HaltAsked("test", "stop"))
    desk.run(10_000)
    tick(desk, offset=offset, age_ms=age_ms)
    refusal = refusal_of(desk, LIVE)
    assert (refusal.code, refusal.message.split()[1]) == ("guard-stands", guard)
    tick(desk)
    assert desk.move(Verb.RESUME, Stage.LIVE_EUR10).code == ""


def test_a_guard_that_only_restricts_does_not_refuse_a_resume(live: Desk) -> None:
    desk = live.fork()
    desk.give(i.HaltAsked("test", "stop"))
    desk.run(10_000)
    tick(desk, offset=501)
    assert desk.state.guard_level == "NO_ENTRY"
    assert desk.move(Verb.RESUME, Stage.LIVE_EUR10).code == ""


def test_the_drawdown_before_the_halt_does_not_refuse_a_resume(live: Desk) -> None:
    desk = live.fork()
    desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    desk.price *= D("0.5")
    desk.tick()
    desk.pass_time(DAY_MS)
    desk.run(10_000)
    assert desk.state.ledger(VenueName.LIVE).peak_eur is not None
    assert desk.move(Verb.RESUME, Stage.LIVE_EUR10).code == ""
    desk.run(5_000)
    assert desk.state.position == LIVE


def test_a_ceiling_of_validated_excludes_every_live_stage() -> None:
    assert {rule.ceiling for rule in RULES.values()} == {Stage.VALIDATED, Stage.LIVE_EUR10}
    assert Stage.VALIDATED not in LIVE_STAGES
