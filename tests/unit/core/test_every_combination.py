"""Every stage, verb, verdict, set of signatures and mode, against architecture.md §3 written down again, as people read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import pytest

from controller.authority.command import VerifiedCommand
from controller.authority.envelope import Envelope
from controller.authority.roster import Roster
from controller.authority.signing import sign_with_file_key
from controller.authority.verify import verify
from controller.core import events as e
from controller.core import inputs as i
from controller.core.decide import decide
from controller.core.decisions import commands, evidence, rebaseline
from controller.core.decisions.archiving import archive_document
from controller.core.decisions.bot_keys import key_document
from controller.core.decisions.drills import HALT_DRILL
from controller.core.decisions.flatten import ALL
from controller.core.decisions.governance import policy_after, release_document
from controller.core.decisions.rates import rate_document
from controller.core.effects import AlertKind
from controller.core.lifecycle import Position
from exchange.errors import Refused
from exchange.ports import VenueName
from gates.engine import GateResult, evaluate
from gates.verdict import Verdict
from policies import canonical
from policies.authority import Verb
from policies.document import canonical_bytes
from policies.numbers import text
from policies.ramp import cap_eur, symbols_at
from policies.stage import Mode, Stage
from tests.support.desk import BOT_KEYS, D, Desk, with_policy
from tests.support.flattening import hold
from tests.support.rates import following, read

MOCK, TESTNET, VALIDATED, LIVE, HALTED = map(
    Position, (Stage.MOCK, Stage.TESTNET_VALIDATING, Stage.VALIDATED, Stage.LIVE_EUR10, Stage.HALTED)
)
FIRST, LAST = Position(Stage.RAMPING, 1), Position(Stage.RAMPING, 2)
PLACES = (MOCK, TESTNET, VALIDATED, LIVE, FIRST, LAST, HALTED)
REAL_MONEY = (LIVE, FIRST, LAST)
SIGNERS = (("alice",), ("carol",), ("alice", "carol"), ("alice", "bob"))

LEADS: dict[Verb, dict[Position, Position]] = {
    Verb.ADVANCE: {MOCK: TESTNET, TESTNET: VALIDATED, VALIDATED: LIVE},
    Verb.RAMP: {LIVE: FIRST, FIRST: LAST},
    Verb.DEMOTE: {TESTNET: MOCK, VALIDATED: TESTNET, LIVE: VALIDATED, FIRST: LIVE, LAST: FIRST},
    Verb.HALT: dict.fromkeys((MOCK, TESTNET, VALIDATED, *REAL_MONEY), HALTED),
    Verb.RESUME: {HALTED: LIVE},
    Verb.RESET: {HALTED: MOCK},
    Verb.VETO: {},
    Verb.REVOKE: {place: place for place in PLACES},
    Verb.SET_ROSTER: {place: place for place in PLACES},
    Verb.SET_POLICY: {MOCK: MOCK, TESTNET: MOCK, VALIDATED: MOCK, HALTED: HALTED},
    Verb.SET_RELEASE: {MOCK: MOCK, TESTNET: MOCK, VALIDATED: MOCK, HALTED: HALTED},
    Verb.ISSUE_BOT_KEY: {place: place for place in PLACES},
    Verb.REVOKE_BOT_KEY: {place: place for place in PLACES},
    Verb.ACK_ALERT: {place: place for place in PLACES},
    Verb.DRILL: {place: place for place in (MOCK, TESTNET, VALIDATED)},
    Verb.FLATTEN: {place: place for place in PLACES},
    Verb.SET_RATE: {place: place for place in PLACES},
    Verb.REBASELINE: {place: place for place in PLACES},
    Verb.ARCHIVE: {place: place for place in PLACES},
}
"""Where each verb leads. Nothing waits for a cooling-off here, so there is nothing to veto."""

GATED = {Verb.ADVANCE, Verb.RAMP, Verb.RESUME}
OPEN_TO_CAROL = {Verb.HALT, Verb.VETO, Verb.REVOKE, Verb.REVOKE_BOT_KEY, Verb.ACK_ALERT}
"""What a key that may only halt can sign alone; the key that is revoked here is that key itself."""


def two_persons(verb: Verb, here: Position) -> bool:
    """In a team; alone one person waits instead."""
    where = {Verb.ADVANCE: (VALIDATED,), Verb.ISSUE_BOT_KEY: REAL_MONEY}
    return verb in {Verb.RAMP, Verb.RESUME, Verb.SET_ROSTER, Verb.SET_POLICY, Verb.SET_RATE} or here in where.get(verb, ())


def expected(verb: Verb, here: Position, verdict: Verdict, signers: tuple[str, ...], mode: Mode) -> str:
    if here not in LEADS[verb] or (verb in GATED and verdict is not Verdict.PASS):
        return "refused"
    counting = set(signers) if verb in OPEN_TO_CAROL else set(signers) - {"carol"}
    needed = 2 if two_persons(verb, here) and mode is Mode.TEAM else 1
    if len(counting) < needed:
        return "refused"
    return "waits" if two_persons(verb, here) and mode is Mode.SOLO else "applied"


@cache
def desk_at(mode: Mode, here: Position) -> Desk:
    walked = LAST if here == HALTED else here
    desk = Desk(with_policy(mode=mode, eur_rate=following())).arm()
    read(desk)
    desk.walk_to(walked.stage, walked.step)
    hold(desk, "0.00003")
    if here == HALTED:
        desk.give(i.HaltAsked("test", "stop"))
    desk.give(i.AlertNoticed(AlertKind.VENUE_LOCKOUT, "locked out", "HTTP 429"))
    desk.run(10_000)
    return desk


def subject_of(desk: Desk, verb: Verb) -> str:
    roster = desk.state.roster
    assert roster is not None
    match verb:
        case Verb.VETO:
            return "0" * 32
        case Verb.REVOKE:
            return roster.persons[2].keys[0].id
        case Verb.SET_ROSTER:
            return Roster(version=roster.version + 1, persons=roster.persons[:2]).canonical_bytes.decode()
        case Verb.SET_POLICY:
            limits = desk.policy.limits.model_copy(update={"price_collar_bps": D(50)}).model_dump()
            return canonical_bytes(with_policy(mode=desk.policy.mode, limits=limits)).decode()
        case Verb.SET_RELEASE:
            return release_document("other", "2", "sha256:" + "7" * 64)
        case Verb.ISSUE_BOT_KEY:
            return key_document("third-bot", "thirdbotkey", "sha256:" + "7" * 64)
        case Verb.REVOKE_BOT_KEY:
            return BOT_KEYS["demo-bot"]
        case Verb.ACK_ALERT:
            return desk.state.alerts[-1].id
        case Verb.DRILL:
            return HALT_DRILL
        case Verb.FLATTEN:
            return ALL
        case Verb.SET_RATE:
            return rate_document(D("1.1"))
        case Verb.REBASELINE:
            return differing(desk)
        case Verb.ARCHIVE:
            return archive_document(1, "sha256:" + "7" * 64)
        case _:
            return ""


def differing(desk: Desk) -> str:
    """Let the owner take money out of an account that is not in use, and describe what it shows."""
    venue = VenueName.LIVE if desk.state.watched is not VenueName.LIVE else VenueName.TESTNET
    desk.owner_moves(venue, "USDT", "-20")
    for _ in range(2):
        desk.sweep(venue)
    assert desk.state.policy is not None
    return rebaseline.subject_now(desk.state, desk.state.policy, venue, desk.seen(), desk.now)


def payload_of(desk: Desk, verb: Verb, target: Position, subject: str) -> bytes:
    """The signed command; where no proposal is possible, a forged one."""
    try:
        return canonical.encode(desk.command(verb, target, subject=subject).model_dump(mode="json"))
    except Refused:
        safe = (Verb.RESET, MOCK) if desk.state.position == HALTED else (Verb.HALT, HALTED)
        document: dict[str, Any] = desk.command(*safe).model_dump(mode="json")
    policy = policy_after(desk.policy, verb, subject)
    document |= {
        "verb": verb.value,
        "target_stage": target.stage.value,
        "target_step": target.step,
        "cap_eur": text(cap_eur(policy, target.stage, target.step)),
        "symbols": list(symbols_at(policy, target.stage)),
        "postmortem_digest": "sha256:" + "d" * 64,
    }
    return canonical.encode(document | ({"version": 2, "subject": subject} if subject else {}))


def signed(desk: Desk, payload: bytes, signers: tuple[str, ...]) -> VerifiedCommand:
    envelope = Envelope(payload)
    for name in signers:
        envelope = sign_with_file_key(envelope, desk.keys[name])
    assert desk.state.roster is not None
    return verify(envelope.text, desk.state.roster, desk.now)


def targets(verb: Verb, here: Position) -> Iterator[Position]:
    """Where it leads; where it leads nowhere, everywhere that policy has limits for."""
    if here in LEADS[verb]:
        yield LEADS[verb][here]
    else:
        yield from PLACES


@pytest.fixture
def the_gate(monkeypatch: pytest.MonkeyPatch) -> Callable[[Verdict], None]:
    """Makes every gate give one verdict, on present and on sealed evidence."""
    judge = evidence.judge

    def says(verdict: Verdict) -> None:
        def speak(result: GateResult) -> GateResult:
            rules = tuple(replace(rule, verdict=verdict) for rule in result.rules)
            return replace(result, verdict=verdict, rules=rules)

        monkeypatch.setattr(evidence, "judge", lambda *arguments: speak(judge(*arguments)))
        monkeypatch.setattr(commands, "evaluate", lambda *arguments: speak(evaluate(*arguments)))

    return says


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("here", PLACES, ids=str)
@pytest.mark.parametrize("verb", Verb)
def test_every_verb_at_every_stage_has_its_declared_outcome(
    mode: Mode, here: Position, verb: Verb, the_gate: Callable[[Verdict], None]
) -> None:
    desk = desk_at(mode, here).fork()
    for target in targets(verb, here):
        payload = payload_of(desk, verb, target, subject_of(desk, verb))
        envelopes = [(signers, signed(desk, payload, signers)) for signers in SIGNERS]
        for (signers, verified), verdict in product(envelopes, Verdict):
            the_gate(verdict)
            decision = decide(desk.state, i.CommandSubmitted(verified, anchored=True, seen=desk.seen()), desk.now)
            case = (str(target), signers, verdict, decision.reply)
            kinds = [type(event) for event in decision.events]
            match expected(verb, here, verdict, signers, mode):
                case "refused":
                    assert kinds == [e.CommandRefused], case
                    assert (decision.after.position, decision.effects) == (here, ()), case
                case "waits":
                    assert kinds == [e.CommandPending], case
                    assert decision.after.position == here, case
                case _:
                    assert kinds[0] is e.CommandAccepted, case
                    assert decision.after.position == target, case


def test_every_verb_and_every_stage_is_in_the_table() -> None:
    assert set(LEADS) == set(Verb)
    assert {place.stage for place in PLACES} == set(Stage)
