"""The invariants of architecture.md §11 about authority and soft breaches, checked after every decision."""

from __future__ import annotations

import json
from base64 import b64decode

from controller.authority.roster import KeyStatus, Roster
from controller.core import events as e
from controller.core.causes import RULES, Cause
from controller.core.decisions.draft import Decision
from controller.core.lifecycle import Position
from controller.core.state import State
from exchange.model import Millis, Side
from exchange.ports import VenueName
from gates.registry import gate_for
from policies.authority import BY_ITSELF, SIGNERS, Verb, quorum
from policies.guards import Level
from policies.response import BREACH_CALM_MS, BREACH_WINDOW_MAX_MS
from policies.stage import LIVE_STAGES, Mode, Stage
from tests.support.adversary import Adversary
from tests.support.desk import RULES as SYMBOL_RULES
from tests.support.watchman import DECLARED_MOVES, Watchman

GOVERNING = {Verb.SET_POLICY, Verb.SET_ROSTER, Verb.SET_RELEASE, Verb.REVOKE}


def able(roster: Roster | None) -> set[str]:
    """The persons who can sign commands that add risk."""
    assert roster is not None
    return {
        person.name
        for person in roster.persons
        if person.role in SIGNERS and any(key.status is KeyStatus.ACTIVE for key in person.keys)
    }


def revoked(roster: Roster | None) -> set[str]:
    """The keys that are revoked."""
    return {key.id for person in (roster.persons if roster else ()) for key in person.keys if key.status is KeyStatus.REVOKED}


class GovernedWatchman(Watchman):
    """A watchman who also checks rosters, cooling-off periods, vetoes and soft breaches."""

    def __init__(self, venue: Adversary) -> None:
        super().__init__(venue)
        self.voided = {event.command_id for event in self.desk.events(e.CommandVoided) if isinstance(event, e.CommandVoided)}
        self.breached_at: Millis | None = None
        self.not_calm_at = self.desk.now
        self.tried: set[str] = set()

    def _check_orders(self, before: State, decision: Decision) -> None:
        super()._check_orders(before, decision)
        for event in decision.events:
            if not isinstance(event, e.OrderAdmitted):
                continue
            assert before.drill is None
            assert event.side is Side.SELL or before.pending_demotion is None
            usable = [key for key in before.bot_keys.values() if key.bot == event.bot and not key.revoked]
            assert usable, "a bot whose keys are all revoked has traded"

    def _check_stage(self, before: State, decision: Decision) -> None:
        after = self.desk.state
        accepted = [event for event in decision.events if isinstance(event, e.CommandAccepted)]
        moves = [event for event in decision.events if isinstance(event, e.StageChanged)]
        assert (after.position != before.position) <= bool(moves)
        for command in accepted:
            assert command.command_id not in self.accepted, "applied twice"
            assert command.command_id not in self.voided, "applied after it was withdrawn"
            self.accepted.append(command.command_id)
            self._check_signed(before, command)
            self.tried.add(command.verb.value)
        self.voided |= {event.command_id for event in decision.events if isinstance(event, e.CommandVoided)}
        for event in moves:
            self._check_move(before, event, accepted)
        if any(isinstance(event, e.CommandRefused) for event in decision.events) and before.pending is None:
            assert not moves
            assert decision.effects == ()
        self._check_documents(before, decision)
        self._check_breaches(before, decision, moves)
        assert self.lied or after.halt_cause is not Cause.INTEGRITY, after.halt_reason

    # Invariants 4 and 9: who decided

    def _check_signed(self, before: State, command: e.CommandAccepted) -> None:
        assert before.policy is not None
        needed = quorum(command.verb, before.position.stage, before.policy.mode)
        keys = {signature["keyid"] for signature in json.loads(command.envelope)["signatures"]}
        assert not keys & revoked(before.roster), "a revoked key counted"
        payload = json.loads(b64decode(json.loads(command.envelope)["payload"]))
        of_its_own = command.verb in BY_ITSELF and payload["subject"] in keys
        if needed.roles == SIGNERS and not of_its_own:
            assert len(able(before.roster) & set(command.persons)) >= needed.persons
        assert (needed.cooling_off, before.policy.mode) != (True, Mode.TEAM)
        if needed.cooling_off:
            pending = before.pending
            assert pending is not None
            assert pending.command_id == command.command_id
            assert self.desk.now - pending.since >= before.policy.authority.cooling_off_ms
        assert payload["roster_digest"] == before.roster_digest
        assert payload["policy_digest"] == before.policy_digest
        assert payload["expires_ms"] > self.desk.now

    def _check_move(self, before: State, event: e.StageChanged, accepted: list[e.CommandAccepted]) -> None:
        old, new = Position(event.from_stage, event.from_step), Position(event.stage, event.step)
        assert (old.stage, new.stage) in DECLARED_MOVES
        self.tried.add(f"{event.cause}:{old.stage}")
        if new.risk <= old.risk:
            return
        (command,) = accepted
        assert event.command_id == command.command_id
        if gate_for(command.verb, old.stage) is not None:
            assert json.loads(command.result)["verdict"] == "PASS"
        if old.stage is not Stage.HALTED:
            return
        if command.verb is Verb.RESET:
            assert new.stage is Stage.MOCK
            return
        assert not before.validation_void, "a void validation was restored"
        assert before.halted_from is not None
        assert before.halt_class is not None
        assert new.risk <= min(before.halted_from.risk, Position(RULES[before.halt_class].ceiling).risk)

    # What is proven dies with what it was proven of

    def _check_documents(self, before: State, decision: Decision) -> None:
        after = self.desk.state
        adopted = [event for event in decision.events if isinstance(event, e.PolicyAdopted | e.ReleaseAdopted)]
        if adopted:
            assert before.position.stage not in LIVE_STAGES or not any(event.command_id for event in adopted)
            assert after.position.stage in {Stage.MOCK, Stage.HALTED}
            assert bool(after.validation_void) == (after.position.stage is Stage.HALTED)
            assert not after.seals
            assert after.pending is None
        if after.roster_digest != before.roster_digest:
            assert after.roster is not None
            assert before.roster is not None
            assert after.roster.version == before.roster.version + 1
            assert revoked(before.roster) <= revoked(after.roster), "a revoked key became active again"
            assert after.pending is None

    # Soft breaches

    def _check_breaches(self, before: State, decision: Decision, moves: list[e.StageChanged]) -> None:
        state, now = self.desk.state, self.desk.now
        halted = any(event.stage is Stage.HALTED for event in moves)
        for event in decision.events:
            if halted or not isinstance(event, e.BreachDetected):
                continue
            assert event.level == Level.CANCEL_ALL.name
            self.tried.add(f"soft:{before.position.stage}")
            if self.breached_at is not None:
                window_is_over = now - self.breached_at >= BREACH_WINDOW_MAX_MS or now - self.not_calm_at >= BREACH_CALM_MS
                assert window_is_over, "a second demotion"
            self.breached_at = now
        for event in moves:
            old, new = Position(event.from_stage, event.from_step), Position(event.stage, event.step)
            if event.cause is Cause.SOFT_BREACH:
                assert new.risk < old.risk
                assert new.stage is not Stage.HALTED
                if old.stage is Stage.LIVE_EUR10:
                    assert not before.open_on(VenueName.LIVE), "live orders were left open"
                    assert self.desk.price * self.venue.base(VenueName.LIVE) < SYMBOL_RULES.min_notional * 2 or self.lied
            if new.risk > old.risk:
                self.breached_at = None
        restarted = any(isinstance(event, e.ControllerStarted) for event in decision.events)
        if restarted or (state.guard_level and Level[state.guard_level] >= Level.CANCEL_ALL):
            self.not_calm_at = now
