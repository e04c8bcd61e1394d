"""Decisions about the policy and the release that a start reads from files (ADR 35). ``boot`` and ``commands`` call it.

Who can write to the deployment's folder can write these files, so a changed one is a proposal: it is shown, and comes into force
only by a signed ``set-policy`` or ``set-release``. A policy that is only stricter than the one in force is adopted at once.
"""

from __future__ import annotations

from controller.core import events as e
from controller.core.decisions import alerts
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind
from controller.core.inputs import Boot, Release
from controller.core.state import State
from exchange.errors import Refused
from policies import canonical
from policies.document import parse_canonical
from policies.tightening import differences, only_stricter

POLICY, RELEASE = "policy", "release"


def found_policy(draft: Draft, input_: Boot) -> bool:
    """Adopt the policy of the file, or propose it. Returns whether it came into force."""
    state, digest = draft.after, canonical.digest(input_.policy.encode())
    if state.policy is None or digest == state.policy_approved:
        draft.emit(e.PolicyAdopted(document=input_.policy, digest=digest))
        return True
    if digest in {state.policy_digest, state.policy_file}:
        _withdraw(draft, POLICY)
        return False
    new = parse_canonical(input_.policy.encode())
    changes = differences(state.policy, new)
    if only_stricter(state.policy, new):
        draft.emit(e.PolicyAdopted(document=input_.policy, digest=digest))
        _alert(draft, f"a stricter policy file was adopted at a start: {digest[7:19]}", "; ".join(changes))
        return True
    _propose(draft, POLICY, digest, changes, "gatehouse set-policy FILE")
    return False


def found_release(draft: Draft, release: Release) -> bool:
    """Adopt the first release of the settings, and propose every later one. Returns whether the bot is another one now."""
    state = draft.after
    if state.release is None:
        draft.emit(e.ReleaseAdopted(name=release.name, version=release.version, artifact=release.artifact, digest=release.digest))
        return True
    if release in {state.release, state.release_file}:
        return _withdraw(draft, RELEASE)
    changes = tuple(
        f"{field}: {before} → {now}"
        for field in ("name", "version", "artifact")
        if (before := getattr(state.release, field)) != (now := getattr(release, field))
    )
    return _propose(draft, RELEASE, release.digest, changes, "gatehouse set-release")


def check_release_settled(state: State) -> None:
    """Refuse a move up while the settings name another bot than the one in force. Raises ``Refused``."""
    if (proposal := state.proposals.get(RELEASE)) is not None:
        raise Refused(
            f"the settings name another release than the one in force: {'; '.join(proposal.changes)}",
            code="release-proposed",
            remedy="Sign `gatehouse set-release --name NAME --version VERSION --artifact DIGEST --key KEY --reason WHY`, or "
            "restore [release] in gatehouse.toml and restart.",
        )


def _propose(draft: Draft, document: str, digest: str, changes: tuple[str, ...], verb: str) -> bool:
    """Returns whether this proposal is new."""
    known = draft.after.proposals.get(document)
    if known is not None and known.digest == digest:
        return False
    draft.emit(e.DocumentProposed(document=document, digest=digest, changes=changes))
    title = f"the {document} in the file is a proposal and not in force: {digest[7:19]}"
    _alert(draft, title, f"sign `{verb}`, or restore the file: {'; '.join(changes)}")
    return True


def _withdraw(draft: Draft, document: str) -> bool:
    if document not in draft.after.proposals:
        return False
    draft.emit(e.ProposalWithdrawn(document=document))
    return True


def _alert(draft: Draft, title: str, detail: str) -> None:
    alerts.raise_once(draft, AlertKind.PROPOSAL, title, detail)
    draft.do(Alert(AlertKind.PROPOSAL, title, detail[:500]))
