"""architecture.md §11 with everybody who may decide: rosters, policies, releases, revocations and vetoes, in a team and alone.

The venue, the bot and time are those of ``test_core_invariants``; here processes also die between remembering and acting, and the
state is folded from the journal in the middle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from controller.authority.command import Command
from controller.authority.keys import generate_key, public_key
from controller.authority.roster import KeyStatus, KeyType, Person, Roster, roster_key
from controller.authority.signing import propose, sign_with_file_key
from controller.authority.verify import verify
from controller.core import event_codec
from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.bot_keys import key_document, secret_digest
from controller.core.decisions.draft import Decision
from controller.core.decisions.drills import HALT_DRILL
from controller.core.decisions.evidence import gated_moves
from controller.core.decisions.governance import release_document, target_of
from controller.core.lifecycle import Position
from controller.core.state import State
from exchange.errors import Refused, Unauthorised
from exchange.model import OrderIntent, OrderType, Side
from exchange.ports import VenueName
from policies.authority import Role, Verb
from policies.document import canonical_bytes
from policies.response import BREACH_CALM_MS
from policies.stage import LIVE_STAGES, Mode, Stage
from tests.simulation.test_core_invariants import SELDOM, STARTS, Deployment, index, played
from tests.support.adversary import Adversary, Truth
from tests.support.desk import BOT_KEYS, RULES, SYMBOL, D, Desk, with_policy
from tests.support.folding import fold
from tests.support.governed_watchman import GovernedWatchman, able
from tests.support.proofs import sizes

PEOPLE = ("alice", "bob", "carol", "dave", "erin")
SIGNERS = st.sampled_from((("alice", "bob"), ("alice", "bob"), ("alice", "bob", "dave"), ("bob", "dave"), ("alice",), ("carol",)))
COLLARS = (50, 60, 70)
HALTED = Position(Stage.HALTED)
STALE_MS = 6_000
NOW_AND_THEN = st.integers(min_value=0, max_value=4).map(lambda drawn: drawn == 2)
UNGATED = (
    Verb.DEMOTE,
    Verb.SET_POLICY,
    Verb.SET_RELEASE,
    Verb.SET_ROSTER,
    Verb.VETO,
    Verb.ISSUE_BOT_KEY,
    Verb.REVOKE_BOT_KEY,
)
SPARE_KEYS = ("sparekey1", "sparekey2")


@cache
def walked(mode: Mode, start: Position) -> Desk:
    """A deployment of this mode that stands there and may go on."""
    desk = Desk(with_policy(mode=mode))
    desk.keys = {**desk.keys, "dave": generate_key(), "erin": generate_key()}
    walked_to = Position(Stage.LIVE_EUR10) if start == HALTED else start
    desk.walk_to(walked_to.stage, walked_to.step)
    desk.trade(6)
    if start == HALTED:
        desk.give(i.HaltAsked("test", "stop"))
    desk.run(40_000)
    return desk


class Governed(Deployment):
    """One deployment whose rules change while it runs."""

    mode: Mode
    watchman: GovernedWatchman

    @initialize(start=st.sampled_from((*STARTS, HALTED)))
    def begin(self, start: Position) -> None:
        self.desk = walked(self.mode, start).fork()
        self.venue = Adversary(self.desk)
        self.watchman = GovernedWatchman(self.venue)

    @invariant()
    def a_command_that_waits_can_still_be_withdrawn(self) -> None:
        state = self.desk.state
        if state.pending is not None:
            assert self.mode is Mode.SOLO
            assert state.commands[state.pending.command_id] == "pending"

    @invariant()
    def what_is_owed_is_owed_where_real_money_is_held(self) -> None:
        state = self.desk.state
        assert state.pending_demotion is None or state.position.stage is Stage.LIVE_EUR10

    # People

    def _submit(self, command: Command, signers: tuple[str, ...]) -> Decision:
        """As the shell does it: what does not verify never becomes a command."""
        envelope = propose(command)
        for name in signers:
            envelope = sign_with_file_key(envelope, self.desk.keys[name])
        assert self.desk.state.roster is not None
        try:
            verified = verify(envelope.text, self.desk.state.roster, self.desk.now)
        except Unauthorised as error:
            return self.give(i.SubmissionInvalid(envelope.text, error.code, error.message, error.remedy, error.exit_code))
        return self.give(i.CommandSubmitted(verified, anchored=True, seen=self.desk.seen()))

    def _ask(self, verb: Verb, subject: str, signers: tuple[str, ...]) -> None:
        try:
            command = self.desk.command(verb, target_of(self.desk.state, verb), subject=subject)
        except Refused:
            return
        self.signed.append((command, signers))
        self._submit(command, signers)

    @rule(verb=st.sampled_from((Verb.SET_POLICY, Verb.SET_RELEASE)), which=index, signers=SIGNERS, really=SELDOM)
    def somebody_changes_what_is_traded(self, verb: Verb, which: int, signers: tuple[str, ...], really: bool) -> None:
        if not really:
            return
        if verb is Verb.SET_RELEASE:
            self._ask(verb, release_document("bot", f"v{which % 5}", f"sha256:{which % 5:064x}"), signers)
            return
        limits = self.desk.policy.limits.model_copy(update={"price_collar_bps": D(COLLARS[which % len(COLLARS)])})
        self._ask(verb, canonical_bytes(with_policy(mode=self.mode, limits=limits.model_dump())).decode(), signers)

    @rule(name=st.sampled_from(PEOPLE), role=st.sampled_from((Role.OPERATOR, Role.APPROVER, Role.HALT_ONLY)), signers=SIGNERS)
    def somebody_changes_the_roster(self, name: str, role: Role, signers: tuple[str, ...]) -> None:
        """Someone joins, leaves, or gets another role."""
        old = self.desk.state.roster
        assert old is not None
        key = roster_key(public_key(self.desk.keys[name]).line, KeyType.FILE)
        others = tuple(person for person in old.persons if person.name != name)
        joins = len(others) == len(old.persons) or role is not Role.OPERATOR
        persons = (*others, Person(name=name, role=role, keys=(key,))) if joins else others
        self._ask(Verb.SET_ROSTER, Roster(version=old.version + 1, persons=persons).canonical_bytes.decode(), signers)

    @rule(which=index, signer=st.sampled_from(PEOPLE), really=NOW_AND_THEN)
    def somebody_revokes_a_key(self, which: int, signer: str, really: bool) -> None:
        roster = self.desk.state.roster
        assert roster is not None
        keys = [key.id for person in roster.persons for key in person.keys if key.status is KeyStatus.ACTIVE]
        if really and keys:
            self._ask(Verb.REVOKE, keys[which % len(keys)], (signer,))

    @rule(signer=st.sampled_from(PEOPLE), right=st.booleans())
    @precondition(lambda self: self.desk.state.pending is not None)
    def somebody_vetoes(self, signer: str, right: bool) -> None:
        pending = self.desk.state.pending
        assert pending is not None
        self._ask(Verb.VETO, pending.command_id if right else "0" * 32, (signer,))

    @rule(which=index)
    def entitled_persons_go_on(self, which: int) -> None:
        """Live until a gate is open, ask for what it guards with all who are able to, and wait if one has to."""
        ways = gated_moves(self.desk.state)
        if not ways:
            return
        self.live_quietly(3)
        verb, aim, _ = ways[which % len(ways)]
        try:
            command = self.desk.command(verb, aim)
        except Refused:
            return
        signers = tuple(sorted(able(self.desk.state.roster)))[:2]
        self.signed.append((command, signers))
        self._submit(command, signers)
        if self.desk.state.pending is not None and which % 5 == 0:
            self._ask(Verb.VETO, self.desk.state.pending.command_id, ("carol",) if which % 2 else signers)
        if self.desk.state.pending is not None and which % 3:
            self.live_quietly(6)
            self.live_quietly(6)

    @rule(verb=st.sampled_from(UNGATED), which=index)
    def entitled_persons_do_it(self, verb: Verb, which: int) -> None:
        """Something that needs no gate, signed by all it takes."""
        state, roster = self.desk.state, self.desk.state.roster
        assert roster is not None
        signers = tuple(sorted(able(roster)))[:2]
        match verb:
            case Verb.DEMOTE if state.position.stage not in {Stage.MOCK, Stage.HALTED}:
                lower = [place for place in STARTS if place.risk < state.position.risk]
                self._submit(self.desk.command(verb, lower[which % len(lower)]), signers)
            case Verb.SET_POLICY | Verb.SET_RELEASE:
                really = which % 2 == 0 or state.position.stage in LIVE_STAGES
                self.somebody_changes_what_is_traded(verb, which, signers, really=really)
            case Verb.VETO if state.pending is not None:
                self._ask(verb, state.pending.command_id, signers)
            case Verb.SET_ROSTER:
                gone = [one.name for one in roster.persons if any(key.status is KeyStatus.REVOKED for key in one.keys)]
                self.somebody_changes_the_roster((gone or PEOPLE[2:])[which % len(gone or PEOPLE[2:])], Role.HALT_ONLY, signers)
            case Verb.ISSUE_BOT_KEY | Verb.REVOKE_BOT_KEY:
                self.somebody_issues_or_revokes_a_key_of_another_bot(verb, SPARE_KEYS[which % 2], signers)

    @rule(resets=st.booleans())
    @precondition(lambda self: self.desk.state.position.stage is Stage.HALTED)
    def entitled_persons_end_the_halt(self, resets: bool) -> None:
        if not resets:
            self.live_quietly(6)
            self.entitled_persons_go_on(0)
            return
        command = self.desk.command(Verb.RESET, Position(Stage.MOCK))
        self._submit(command, tuple(sorted(able(self.desk.state.roster)))[:1])

    # Bot keys, alerts, drills

    @rule(verb=st.sampled_from((Verb.ISSUE_BOT_KEY, Verb.REVOKE_BOT_KEY)), key=st.sampled_from(SPARE_KEYS), signers=SIGNERS)
    def somebody_issues_or_revokes_a_key_of_another_bot(self, verb: Verb, key: str, signers: tuple[str, ...]) -> None:
        issues = verb is Verb.ISSUE_BOT_KEY
        self._ask(verb, key_document("other-bot", key, secret_digest(key, "secret")) if issues else key, signers)

    @rule(key=st.sampled_from(SPARE_KEYS), side=st.sampled_from(Side))
    def another_bot_orders(self, key: str, side: Side) -> None:
        issued = self.desk.state.bot_keys.get(key)
        intent = OrderIntent(SYMBOL, side, OrderType.LIMIT, "", D("0.00003"), None, self.desk.price)
        market = ({SYMBOL: self.desk.quote()}, {SYMBOL: RULES}, self.desk.state.venue or VenueName.MOCK)
        decision = self.give(i.OrderRequested("other-bot", intent, *market, key))
        if decision.effects:
            assert issued is not None
            assert not issued.revoked
            self.placement_ends(-1, times_out=False, accepts=True)

    @rule(which=index, signers=SIGNERS)
    @precondition(lambda self: bool(self.desk.state.alerts))
    def somebody_acknowledges_an_alert(self, which: int, signers: tuple[str, ...]) -> None:
        before = self.desk.state
        self._ask(Verb.ACK_ALERT, before.alerts[which % len(before.alerts)].id, signers)
        assert self.desk.state.position == before.position
        assert self.desk.state.governance_seq == before.governance_seq

    @rule(signers=SIGNERS, ends=st.sampled_from(("empty", "empty", "not empty", "never")))
    def somebody_practises_a_halt(self, signers: tuple[str, ...], ends: str) -> None:
        self._ask(Verb.DRILL, HALT_DRILL, signers)
        drill = self.desk.state.drill
        if drill is None or ends == "never":
            return
        while self.venue.cancels:
            self.venue.cancel(self.venue.cancels.pop())
        empty = ends == "empty" and not [order for order in self.venue.resting() if order.venue is drill.venue]
        self.give(i.DrillMeasured(drill.command_id, 1, 1 if empty else -1, 0, verified_empty=empty))
        assert self.desk.state.drill is None

    # Guards

    @rule(again=st.booleans())
    def the_market_is_out_of_sight_for_a_while(self, again: bool) -> None:
        for _ in range(2 if again else 1):
            self.desk.pass_time(100)
            self.tick(0, STALE_MS, True, 3)

    @rule(really=SELDOM)
    def nothing_happens_for_a_long_time(self, really: bool) -> None:
        if really:
            self.desk.pass_time(BREACH_CALM_MS)
            self.live_quietly(3)

    @rule()
    @precondition(lambda self: self.desk.state.venue is VenueName.LIVE and self.venue.base(VenueName.LIVE) >= D("0.00002"))
    def the_bot_sells_what_it_holds(self) -> None:
        """A way out of LIVE_€10 that a soft breach has asked for."""
        self.live_quietly(1)
        self._order_of_the_bot(Side.SELL, int(self.venue.base(VenueName.LIVE) * 100_000), -90, "accepted, filled late")
        self.live_quietly(1)

    # Misfortune

    @rule()
    def the_state_is_folded_from_the_journal(self) -> None:
        read = [(event_codec.decode(event.kind, event_codec.encode(event)), at) for event, at in self.desk.journal[-50:]]
        assert read == self.desk.journal[-50:]
        again = fold(State(), self.desk.journal)
        assert again == self.desk.state
        self.desk.state = again

    @rule(side=st.sampled_from(Side), accepted=st.integers(min_value=0, max_value=255))
    def the_process_dies_between_remembering_and_acting(self, side: Side, accepted: int) -> None:
        """The decision is durable, and none of its effects were carried out."""
        before, venue = self.desk.state, self.desk.state.venue
        intent = OrderIntent(SYMBOL, side, OrderType.LIMIT, "", D("0.00003"), None, self.desk.price)
        market = ({SYMBOL: self.desk.quote()}, {SYMBOL: RULES}, venue or VenueName.MOCK)
        decision = self.desk.give(i.OrderRequested("demo-bot", intent, *market, BOT_KEYS["demo-bot"]))
        self.watchman.check(before, decision)
        for event in decision.events:
            if isinstance(event, e.OrderAdmitted):
                sent = replace(intent, client_id=event.client_id)
                self.venue.orders[event.client_id] = Truth(event.venue, sent, D("0.00003"), accepted=False, answered=True)
        self.restart(accepted, really=True, new_release=False, waits=False)


class Team(Governed):
    """Two persons at least."""

    mode = Mode.TEAM


class Alone(Governed):
    """One person, a cooling-off period, and a veto for every key."""

    mode = Mode.SOLO


@pytest.mark.parametrize("examples", sizes(short=4, long=40))
@pytest.mark.parametrize("kind", [Team, Alone])
def test_one_deployment_and_all_who_may_decide(kind: type[Governed], examples: int) -> None:
    played(kind, examples=examples, steps=40)


def _moves_on(machine: Governed) -> None:
    machine.entitled_persons_go_on(0)


def _does(verb: Verb) -> Callable[[Governed], None]:
    return lambda machine: machine.entitled_persons_do_it(verb, 0)


def _loses_sight(machine: Governed) -> None:
    machine.tick(0, STALE_MS, True, 3)


# What chance reaches in one run and not in another, by hand: a walk that cannot do this would prove nothing about it.
BY_HAND: tuple[tuple[str, type[Governed], Position, Callable[[Governed], None]], ...] = (
    ("advance", Team, Position(Stage.VALIDATED), _moves_on),
    ("ramp", Team, Position(Stage.LIVE_EUR10), _moves_on),
    ("demote", Team, Position(Stage.VALIDATED), _does(Verb.DEMOTE)),
    ("reset", Team, HALTED, lambda machine: machine.entitled_persons_end_the_halt(True)),
    ("resume", Team, HALTED, lambda machine: machine.entitled_persons_end_the_halt(False)),
    ("veto", Alone, Position(Stage.VALIDATED), _moves_on),
    ("revoke", Team, Position(Stage.VALIDATED), lambda machine: machine.somebody_revokes_a_key(0, "alice", True)),
    ("set-roster", Team, Position(Stage.VALIDATED), _does(Verb.SET_ROSTER)),
    ("set-policy", Team, Position(Stage.VALIDATED), _does(Verb.SET_POLICY)),
    ("set-release", Team, Position(Stage.VALIDATED), _does(Verb.SET_RELEASE)),
    ("issue-bot-key", Team, Position(Stage.VALIDATED), _does(Verb.ISSUE_BOT_KEY)),
    ("drill", Team, Position(Stage.VALIDATED), lambda machine: machine.somebody_practises_a_halt(("alice",), "empty")),
    ("soft:LIVE_€10", Team, Position(Stage.LIVE_EUR10), _loses_sight),
    ("soft:RAMPING", Team, Position(Stage.RAMPING, 1), _loses_sight),
)


@pytest.mark.parametrize(("what", "kind", "start", "act"), BY_HAND, ids=[one[0] for one in BY_HAND])
def test_the_state_machine_reaches_every_kind_of_move(
    what: str, kind: type[Governed], start: Position, act: Callable[[Governed], None]
) -> None:
    machine = kind()
    machine.begin(start)
    act(machine)
    assert what in machine.watchman.tried


@pytest.mark.parametrize(("whose", "is_revoked"), [("alice", False), ("carol", True)])
def test_a_person_who_may_only_halt_revokes_no_key_but_their_own(whose: str, is_revoked: bool) -> None:
    machine = Team()
    machine.begin(Position(Stage.TESTNET_VALIDATING))
    assert machine.desk.state.roster is not None
    owners = [person.name for person in machine.desk.state.roster.persons]
    machine.somebody_revokes_a_key(owners.index(whose), "carol", True)
    assert ("revoke" in machine.watchman.tried) is is_revoked
