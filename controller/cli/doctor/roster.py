"""The key checks of ``gatehouse doctor``: backups, expiry, number of signers and security keys. ``doctor.verb`` calls this."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from controller.authority.attestation import is_attested, problem
from controller.authority.roster import KeyStatus, Person, Roster, RosterKey, load_roster, parse_roster_json
from controller.cli.doctor.ends import day, left
from controller.cli.doctor.result import CheckResult
from controller.cli.journal.files import last_entries, place_in
from controller.cli.shared.output import short
from controller.settings.deployment import Settings
from controller.settings.policy_file import read_policy
from exchange.model import Millis
from policies.authority import SIGNERS, Verb, signers_needed
from policies.presence import touches_needed
from policies.schema import Policy
from policies.stage import Environment, Mode, Stage

_DAY_MS = 86_400_000
_SOON_MS = 30 * _DAY_MS
_LAST = Millis(253_402_300_799_000)
"""The end of the year 9999: ``datetime`` cannot show later dates."""
_SIGN = "add it to roster.toml, raise its version by 1, then sign `gatehouse set-roster roster.toml --key KEY --reason WHY`."
_ENROL = "Make {what} with `gatehouse keys new NAME.key`, or read one that exists with `gatehouse keys import KEY`, " + _SIGN

_ATTEST = (
    "Let `ssh-keygen -O challenge=… -O write-attestation=…` make the key, and list it with what it wrote: "
    "`gatehouse keys import KEY --attestation FILE --challenge FILE` (ops/docs/signing.md)."
)


def run_roster_checks(directory: Path, settings: Settings, now: Millis) -> list[CheckResult]:
    """Check the roster in force. Called when the policy, the roster file and the journal are readable."""
    policy = read_policy(directory / settings.policy)
    return check_roster(roster_in_force(directory, settings), policy, now)


def roster_in_force(directory: Path, settings: Settings) -> Roster:
    """The roster of the journal; before there is one, the roster of the file."""
    adopted = last_entries(directory, 1, frozenset({"roster-adopted"})) if place_in(directory).exists() else []
    if not adopted:
        return load_roster(directory / settings.roster)
    return parse_roster_json(str(json.loads(adopted[-1].body)["document"]).encode())


def check_roster(roster: Roster, policy: Policy, now: Millis) -> list[CheckResult]:
    """Backups, expiry, spare persons and hardware, one row each."""
    mode = roster.mode_under(policy.mode)
    return [
        _backups(roster, now),
        _expiry(roster, now),
        _spare_signers(roster, mode, now),
        _hardware(roster, policy, now),
        _mode(roster),
    ]


def _mode(roster: Roster) -> CheckResult:
    return _row(
        "roster mode",
        "the roster does not say whether one person or a team decides, so the policy in force does" if roster.mode is None else "",
        f"{roster.mode}: {signers_needed(roster.mode or Mode.TEAM)} must sign what adds risk",
        'Add mode = "team" or mode = "solo" to roster.toml, raise its version by 1, then sign '
        "`gatehouse set-roster roster.toml --key KEY --reason WHY`.",
    )


def _signers(roster: Roster, now: Millis) -> Iterator[tuple[Person, list[RosterKey]]]:
    """Every person whose signature can add risk, with the keys that can be used now."""
    for person in roster.persons:
        if person.role in SIGNERS:
            yield person, [key for key in person.keys if key.in_force(now)]


def _backups(roster: Roster, now: Millis) -> CheckResult:
    alone = [person.name for person, keys in _signers(roster, now) if len(keys) == 1]
    return _row(
        "roster backups",
        f"{_names(alone)} {_have(alone)} a single key: if it is lost, that person cannot sign" if alone else "",
        "every signer has a second key",
        _ENROL.format(what="a second key for each"),
    )


def _expiry(roster: Roster, now: Millis) -> CheckResult:
    ending = [
        f"{person.name}'s {short(key.id)} {_end(key.valid_until, now)}"
        for person in roster.persons
        for key in person.keys
        if key.status is KeyStatus.ACTIVE and key.valid_until is not None and key.valid_until < now + _SOON_MS
    ]
    return _row(
        "roster expiry", ", ".join(ending), "no key expires within 30 days", _ENROL.format(what="their successors before that day")
    )


def _spare_signers(roster: Roster, mode: Mode, now: Millis) -> CheckResult:
    able = [person.name for person, keys in _signers(roster, now) if keys]
    needed = signers_needed(mode)
    found = f"{len(able)} can sign ({_names(able) or 'nobody'}) and {needed} must"
    if len(able) < needed:
        return CheckResult("roster signers", ok=False, found=found, fix=_ENROL.format(what="a key for each person who is missing"))
    return _row(
        "roster signers",
        f"{found}: if one of them is away, no step up can be signed" if len(able) == needed else "",
        found,
        _ENROL.format(what="a key for one more person"),
    )


def _hardware(roster: Roster, policy: Policy, now: Millis) -> CheckResult:
    name, enrol = "roster hardware", _ENROL.format(what="a FIDO2 security key (ssh-keygen -t ed25519-sk)")
    if policy.environment is not Environment.PRODUCTION:
        return CheckResult(name, ok=True, found="a rehearsal needs no security key")
    touching = [person.name for person, keys in _signers(roster, now) if any(key.material.algorithm.hardware for key in keys)]
    if not touching and touches_needed(Verb.ADVANCE, Stage.LIVE_EUR10, roster.mode_under(policy.mode), policy.environment):
        return _row(name, "no one has a security key; going live needs a touched security key", "", enrol)
    if touching and (why := _unattested(roster, policy, now)):
        return _row(name, why, "", _ATTEST)
    touch = "attested" if policy.authority.attestation_roots else "claimed by the key and not attested"
    files = [person.name for person, _ in _signers(roster, now) if person.name not in touching]
    return _row(
        name,
        f"{_names(files)} {_sign(files)} without a security key: anyone who copies the key can sign" if files else "",
        f"{_names(touching)} {_sign(touching)} with a security key; its touch is {touch}",
        enrol,
    )


def _unattested(roster: Roster, policy: Policy, now: Millis) -> str:
    """Why no touch counts under a policy that asks for attested keys; empty where one does, or where the policy does not ask."""
    roots = policy.authority.attestation_roots
    keys = [(person.name, key) for person, keys in _signers(roster, now) for key in keys if key.material.algorithm.hardware]
    if not roots or any(is_attested(key, roots) for _, key in keys):
        return ""
    return f"the policy believes only attested touches: {'; '.join(f'{name}, {problem(key, roots)}' for name, key in keys)}"


def _row(name: str, problem: str, good: str, fix: str) -> CheckResult:
    return CheckResult(name, ok=True, found=problem, fix=fix, warns=True) if problem else CheckResult(name, ok=True, found=good)


def _names(names: list[str]) -> str:
    return ", ".join(names)


def _have(names: list[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _sign(names: list[str]) -> str:
    return "signs" if len(names) == 1 else "sign"


def _end(at: Millis, now: Millis) -> str:
    at = min(at, _LAST)
    return f"expired on {day(at)}" if at <= now else f"expires in {left(at - now)}, on {day(at)}"
