"""Writes and verifies the evidence bundle of an applied command: journal entry, policy and roster. ``show.report`` calls it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.authority.roster import parse_roster_json
from controller.authority.verify import verify
from controller.cli.journal.files import opened
from controller.core.event_codec import decode
from controller.core.events import CommandAccepted, PolicyAdopted, RosterAdopted, Sampled, StageChanged
from controller.journal.chain import Entry, entry_hash
from exchange.errors import ConfigError, IntegrityError, UsageError
from exchange.model import Millis
from gates.engine import reevaluate
from policies import canonical

FORMAT = "gatehouse-evidence-v1"


@dataclass(frozen=True, slots=True)
class Case:
    """One applied command and its evidence. ``samples`` are those of the run that the evidence covers, oldest first."""

    entry: Entry
    accepted: CommandAccepted
    policy: str
    roster: str
    samples: tuple[tuple[Millis, Sampled], ...]
    stages: tuple[tuple[Millis, StageChanged], ...]

    @property
    def command_id(self) -> str:
        """The command's id."""
        return self.accepted.command_id

    @property
    def verb(self) -> str:
        """The command's verb."""
        return self.accepted.verb.value

    @property
    def result(self) -> dict[str, Any]:
        """The gate's result as it was journalled."""
        result: dict[str, Any] = json.loads(self.accepted.result)
        return result

    @property
    def evidence(self) -> dict[str, Any]:
        """The evidence bundle the gate judged."""
        evidence: dict[str, Any] = json.loads(self.accepted.evidence)
        return evidence


@dataclass(frozen=True, slots=True)
class Verified:
    """A verified bundle."""

    seq: int
    persons: tuple[str, ...]
    result: dict[str, Any]


def collect(directory: Path, command_id: str | None) -> Case:
    """Find an applied command with its evidence in the journal.

    Raises:
        UsageError: there is none, or it passed no gate.
    """
    policy = roster = ""
    case: Case | None = None
    samples: list[tuple[Millis, Sampled]] = []
    stages: list[tuple[Millis, StageChanged]] = []
    with opened(directory) as reader:
        after = reader.readable_after
        for entry in reader.read(after):
            match decode(entry.kind, entry.body):
                case PolicyAdopted(document=document):
                    policy = document
                case RosterAdopted(document=document):
                    roster = document
                case Sampled() as sample:
                    samples.append((entry.at, sample))
                case StageChanged() as change:
                    stages.append((entry.at, change))
                    samples = []
                case CommandAccepted() as accepted if accepted.evidence and command_id in {None, accepted.command_id}:
                    case = Case(entry, accepted, policy, roster, tuple(samples), ())
                case _:
                    continue
    if after and (case is None or not case.policy or not case.roster):
        # The command, or the policy and the roster it was judged by, may be in the archive: say which one that is.
        with opened(directory) as reader:
            next(reader.read(), None)
    if case is None:
        raise UsageError(
            f"command {command_id} passed no gate" if command_id else "no command has passed a gate yet",
            code="no-evidence",
            remedy="List applied commands with `gatehouse journal tail --kind command-accepted`.",
        )
    return Case(case.entry, case.accepted, case.policy, case.roster, case.samples, tuple(stages))


def canonical_bundle(case: Case) -> bytes:
    """RFC 8785 JSON of the bundle."""
    entry = case.entry
    return canonical.encode(
        {
            "format": FORMAT,
            "entry": {
                "seq": entry.seq,
                "epoch": entry.epoch,
                "at": int(entry.at),
                "kind": entry.kind,
                "body": entry.body.decode(),
                "prev": entry.prev,
                "hash": entry.hash,
            },
            "policy": case.policy,
            "roster": case.roster,
        }
    )


def verify_bundle(path: Path) -> Verified:
    """Check a bundle offline.

    Raises:
        ConfigError: the file cannot be read.
        IntegrityError: a part does not match the rest; the code says which.
    """
    try:
        document = canonical.decode(path.read_bytes(), limit=16 << 20)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}",
            code="file-unreadable",
            remedy="Pass a bundle that `gatehouse report` wrote.",
        ) from None
    try:
        entry, policy, roster = document["entry"], document["policy"].encode(), document["roster"].encode()
        body = entry["body"].encode()
        fields = {name: entry[name] for name in ("seq", "epoch", "at", "kind", "prev")}
        supported = document["format"] == FORMAT and entry["kind"] == CommandAccepted.kind
    except (KeyError, TypeError, AttributeError):
        supported = False
    if not supported:
        raise _broken("its format is not known")
    if entry_hash(**fields, body=body) != entry["hash"]:
        raise _broken("the entry's hash is wrong")
    accepted = decode(entry["kind"], body)
    if not isinstance(accepted, CommandAccepted):
        raise _broken("the entry is not an applied command")
    _check_signatures(accepted, roster, Millis(entry["at"]), canonical.digest(policy))
    result = json.loads(accepted.result)
    if reevaluate(policy, accepted.evidence.encode(), Millis(result["as_of"])) != accepted.result.encode():
        raise _broken("the gate's verdict from this evidence is another one")
    if canonical.digest(accepted.evidence.encode()) != accepted.evidence_digest:
        raise _broken("the evidence does not match the digest in the command")
    return Verified(entry["seq"], accepted.persons, result)


def _check_signatures(accepted: CommandAccepted, roster_bytes: bytes, at: Millis, policy_digest: str) -> None:
    roster = parse_roster_json(roster_bytes)
    verified = verify(accepted.envelope, roster, at)
    command = verified.command
    if command.command_id != accepted.command_id or command.evidence_digest != accepted.evidence_digest:
        raise _broken("the signed command is not the applied command")
    if command.roster_digest != roster.digest or command.policy_digest != policy_digest:
        raise _broken("the roster or the policy does not match the digests in the command")
    if {one.person for one in verified.signatories} != set(accepted.persons):
        raise _broken("the listed persons are not the signers")


def _broken(why: str) -> IntegrityError:
    return IntegrityError(
        f"the bundle is not valid: {why}",
        code="bundle-broken",
        remedy="Write the bundle again with `gatehouse report`.",
    )
