"""The authority of the live account, as the signer itself verified it: what the last signed move up grants, and what is left of it.

The controller forwards signed commands; nothing else it says can raise a limit. Pinned at the start are the roster file, the
policy's mode, for rosters that name none, and who this deployment is. A roster changes only by a command that verifies against
the roster before it. An authority ends only by a newer one: the expiry of a command bounds how long the controller may accept it,
not how long it is in force. Lowering needs no signature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from controller.authority.attestation import attested_persons
from controller.authority.command import MAX_LIFETIME_MS, Command, VerifiedCommand
from controller.authority.envelope import parse_envelope
from controller.authority.roster import KeyStatus, Roster, parse_roster_json
from controller.authority.verify import count_quorum, read_command, verify
from controller.signer.ledger import Memory
from exchange.errors import Unauthorised
from exchange.model import Millis
from policies.authority import BY_ITSELF, CHANGES_ROSTER, MOVES_UP, Quorum, Verb, quorum
from policies.presence import touches_needed
from policies.schema import FIRST_STEP_MAX_EUR, LIVE_CAP_MAX_EUR, STEP_FACTOR_MAX
from policies.stage import LIVE_STAGES, Environment, Mode, Stage

_WAYS_UP: Mapping[Verb, frozenset[tuple[Stage, Stage]]] = MappingProxyType(
    {
        Verb.ADVANCE: frozenset(
            {
                (Stage.MOCK, Stage.TESTNET_VALIDATING),
                (Stage.TESTNET_VALIDATING, Stage.VALIDATED),
                (Stage.VALIDATED, Stage.LIVE_EUR10),
            }
        ),
        Verb.RAMP: frozenset({(Stage.LIVE_EUR10, Stage.RAMPING), (Stage.RAMPING, Stage.RAMPING)}),
        Verb.RESUME: frozenset({(Stage.HALTED, Stage.VALIDATED), (Stage.HALTED, Stage.LIVE_EUR10)}),
    }
)
"""The moves up. The quorum depends on the stage a command expects, so a command for another pair of stages grants nothing."""

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Pinned:
    """What the signer reads from the deployment's files at its start and takes from nobody else."""

    controller_id: str
    environment: Environment
    account: str
    mode: Mode
    roster: Roster
    attestation_roots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """What the last signed move up allows on the live account. ``stage`` is where it leads."""

    stage: Stage
    symbols: frozenset[str]


class Grants:
    """The verified authority. ``save`` is called before a change takes effect."""

    def __init__(self, pinned: Pinned, memory: Memory, save: Callable[[], None]) -> None:
        self._pinned = pinned
        self._memory = memory
        self._save = save
        self._roster = pinned.roster
        self._rosters = {pinned.roster.digest: pinned.roster}
        self._grant: Grant | None = None

    @property
    def cap_eur(self) -> Decimal:
        """The cap on worst-case exposure that is granted now; 0 without a grant."""
        return self._memory.cap_eur if self._grant is not None else _NOTHING

    @property
    def grant(self) -> Grant | None:
        """The last verified move up; ``None`` while the signer has verified none."""
        return self._grant

    def command(self, envelope_text: str, now: Millis) -> None:
        """Verify a command and take over what it grants. A command that was taken over before changes nothing.

        Raises:
            Unauthorised: it does not verify, is not for this deployment, lacks its quorum, or is older than one that was seen.
        """
        if self._memory.problem:
            raise _unauthorised("signer-memory", self._memory.problem, "Check the file, remove it, and restart the controller.")
        command = read_command(parse_envelope(envelope_text).payload)
        self._check_bound(command)
        if not command.not_before_ms < command.expires_ms <= command.not_before_ms + MAX_LIFETIME_MS or now < command.not_before_ms:
            raise _unauthorised("signer-time", "the command is not valid yet, or for too long", "Correct the clocks.")
        roster = self._rosters.get(command.roster_digest)
        if roster is None:
            raise _unauthorised(
                "signer-roster",
                f"the command was signed under the roster {command.roster_digest}, which does not follow from the roster file",
                "Restore the roster file that the deployment began with, and restart the controller.",
            )
        # An expired command is judged at the last instant at which the controller could accept it.
        verified = verify(envelope_text, roster, min(now, Millis(command.expires_ms - 1)))
        self._check_quorum(verified, roster)
        if command.verb in CHANGES_ROSTER:
            self._change_roster(verified, roster)
        else:
            self._move_up(verified, roster)

    def lower(self, cap_eur: Decimal) -> None:
        """Lower what is left of the cap; a higher one changes nothing."""
        if cap_eur < self._memory.cap_eur:
            self._memory.cap_eur = cap_eur
            self._save()

    def _check_bound(self, command: Command) -> None:
        pinned = self._pinned
        for name, signed, here in (
            ("controller", command.controller_id, pinned.controller_id),
            ("environment", command.environment, pinned.environment),
            ("account", command.account_fingerprint, pinned.account),
        ):
            if signed != here:
                raise _unauthorised(
                    f"other-{name}", f"the command was signed for {name} {signed}, the signer is for {here}", _AGAIN
                )
        if command.verb not in MOVES_UP | CHANGES_ROSTER:
            raise _unauthorised("signer-verb", f"{command.verb} grants nothing", _AGAIN)

    def _check_quorum(self, verified: VerifiedCommand, roster: Roster) -> None:
        command, mode = verified.command, roster.mode_under(self._pinned.mode)
        if command.verb in BY_ITSELF and any(one.key_id == command.subject for one in verified.signatories):
            return
        needed = quorum(command.verb, command.expected_stage, mode)
        counts = [(verified.signatories, needed)]
        if command.verb is Verb.SET_ROSTER:
            incoming = parse_roster_json(command.subject.encode()).mode_under(self._pinned.mode)
            counts.append((verified.incoming, quorum(command.verb, command.expected_stage, incoming)))
        touched = self._touched(verified, roster, needed)
        if not all(count_quorum(signatories, wanted).satisfied for signatories, wanted in counts) or len(touched) < touches_needed(
            command.verb, command.target_stage, mode, self._pinned.environment
        ):
            raise _unauthorised("under-quorum", f"{command.verb} lacks the signatures that {mode} mode asks for", _AGAIN)

    def _touched(self, verified: VerifiedCommand, roster: Roster, needed: Quorum) -> frozenset[str]:
        """The persons whose touch counts: where the policy names makers, only of a key that one of them attests."""
        touched = [one for one in verified.signatories if one.touched and one.role in needed.roles]
        roots = self._pinned.attestation_roots
        if roots:
            return attested_persons(roster, (one.key_id for one in touched), roots)
        return frozenset(one.person for one in touched)

    def _change_roster(self, verified: VerifiedCommand, roster: Roster) -> None:
        if roster.digest != self._roster.digest:
            return
        command = verified.command
        after = roster.revoking(command.subject) if command.verb is Verb.REVOKE else parse_roster_json(command.subject.encode())
        if after.version != roster.version + 1 or not _revoked(roster) <= _revoked(after):
            raise _unauthorised("roster-version", "the new roster does not follow the one in force", _AGAIN)
        if after.version > self._memory.roster_version:
            self._memory.roster_version = after.version
            self._save()
        self._roster = after
        self._rosters[after.digest] = after

    def _move_up(self, verified: VerifiedCommand, roster: Roster) -> None:
        command, memory = verified.command, self._memory
        _check_move(command)
        cap = Decimal(command.cap_eur) if command.target_stage in LIVE_STAGES else _NOTHING
        seen = memory.grant == verified.payload_digest
        current = roster.digest == self._roster.digest and roster.version >= memory.roster_version
        if not seen and (command.journal_seq <= memory.grant_seq or not current):
            raise _unauthorised(
                "signer-replay",
                f"the signer has seen a newer authority than this {command.verb}, which names journal entry {command.journal_seq}",
                _AGAIN,
            )
        if not seen:
            memory.grant, memory.grant_seq, memory.cap_eur = verified.payload_digest, command.journal_seq, cap
            memory.roster_version = max(memory.roster_version, roster.version)
            self._save()
        self._grant = Grant(command.target_stage, frozenset(command.symbols))


_AGAIN = "Propose a new command and sign it."


def _check_move(command: Command) -> None:
    ends = (command.expected_stage, command.target_stage)
    step = command.target_step
    if ends not in _WAYS_UP[command.verb] or (command.verb is Verb.RAMP and step != command.expected_step + 1):
        raise _unauthorised("no-such-edge", f"{command.verb} does not lead from {ends[0]} to {ends[1]} {step}", _AGAIN)
    most = FIRST_STEP_MAX_EUR * STEP_FACTOR_MAX ** (step - 1) if command.target_stage is Stage.RAMPING else LIVE_CAP_MAX_EUR
    if command.target_stage in LIVE_STAGES and Decimal(command.cap_eur) > most:
        raise _unauthorised("other-limits", f"{command.target_stage} {step} may have a cap of at most {most} EUR", _AGAIN)


def _revoked(roster: Roster) -> set[str]:
    return {key.id for person in roster.persons for key in person.keys if key.status is KeyStatus.REVOKED}


def _unauthorised(code: str, message: str, remedy: str) -> Unauthorised:
    return Unauthorised(message, code=code, remedy=remedy)
