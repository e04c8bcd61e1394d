"""The evidence bundle: the metrics of one subject, as canonical bytes named by their digest (architecture.md §6).

``controller.core.decisions.evidence`` makes bundles; the gate engine and the CLI read them.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from exchange.errors import IntegrityError
from exchange.model import Millis
from gates.measure import Tally, attestation_of, metrics
from gates.metric import Attestation, Metric
from policies import canonical
from policies.document import Policy
from policies.document import digest as policy_digest
from policies.rules import GateName, MetricName
from policies.stage import Environment, Stage

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
_Instant = Annotated[int, Field(ge=0)]


class Subject(BaseModel):
    """What evidence is about. It is not valid for another release, policy, version, stage or step."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    controller_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    environment: Environment
    stage: Stage
    step: Annotated[int, Field(ge=0, le=64)]
    release_digest: Digest
    policy_digest: Digest
    gatehouse_version: Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$")]


class Evidence(BaseModel):
    """The metrics of one run for one gate. ``journal_seq``: the last journal entry that they include."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1]
    gate: GateName
    subject: Subject
    window_from_ms: _Instant
    window_to_ms: _Instant
    expires_at_ms: _Instant
    journal_seq: Annotated[int, Field(ge=0)]
    metrics: Annotated[tuple[Metric, ...], Field(max_length=128)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.window_from_ms <= self.window_to_ms <= self.expires_at_ms:
            raise ValueError("the window must end after its start and before the evidence expires")
        names = [metric.name for metric in self.metrics]
        if names != sorted(set(names)):
            raise ValueError("the metrics must be sorted by name, without duplicates")
        return self

    def metric(self, name: MetricName) -> Metric | None:
        """Return one metric, or ``None`` when it is not in the evidence."""
        return next((metric for metric in self.metrics if metric.name is name), None)

    @property
    def attestation(self) -> Attestation | None:
        """Whether the run is attested; ``None`` where no testnet made it, or where an earlier version did not say."""
        said = {metric.attestation for metric in self.metrics} - {None}
        return Attestation.UNATTESTED if Attestation.UNATTESTED in said else next(iter(said), None)


def bundle(
    gate: GateName, subject: Subject, tally: Tally, policy: Policy, journal_seq: int, more: tuple[Metric, ...] = ()
) -> Evidence:
    """Return the evidence of a run for ``gate``. It expires ``evidence.ttl_ms`` after its last sample.

    ``more`` are metrics that no run measures, such as the ages of drills.
    """
    attestation = attestation_of(tally, subject.stage)
    return Evidence(
        version=1,
        gate=gate,
        subject=subject,
        window_from_ms=tally.started_at,
        window_to_ms=tally.last_at,
        expires_at_ms=tally.last_at + policy.evidence.ttl_ms,
        journal_seq=journal_seq,
        metrics=tuple(sorted((*metrics(tally, subject.environment, attestation), *more), key=lambda metric: metric.name)),
    )


def subject_of(
    policy: Policy, *, controller_id: str, stage: Stage, step: int, release_digest: str, gatehouse_version: str
) -> Subject:
    """Return the present subject, to make a bundle for it or to compare with the subject of a bundle."""
    return Subject(
        controller_id=controller_id,
        environment=policy.environment,
        stage=stage,
        step=step,
        release_digest=release_digest,
        policy_digest=policy_digest(policy),
        gatehouse_version=gatehouse_version,
    )


def canonical_bytes(evidence: Evidence) -> bytes:
    """Return the bundle as RFC 8785 JSON. ``Metric`` leaves out what bundles of earlier versions did not have."""
    return canonical.encode(evidence.model_dump(mode="json"))


def digest(evidence: Evidence) -> str:
    """Return ``sha256:<hex>`` of the canonical bytes, which names the bundle."""
    return canonical.digest(canonical_bytes(evidence))


def parse(data: bytes) -> Evidence:
    """Read a bundle.

    Raises:
        IntegrityError: not the canonical form of an evidence bundle. NaN, floats and unknown fields are refused.
    """
    canonical.decode(data)
    try:
        evidence = Evidence.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise _not_evidence(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if canonical_bytes(evidence) != data:
        raise _not_evidence("a number is not in its canonical form")
    return evidence


def expired(evidence: Evidence, now: Millis) -> bool:
    """Whether the evidence has expired."""
    return now >= evidence.expires_at_ms


def _not_evidence(why: str) -> IntegrityError:
    return IntegrityError(
        f"not an evidence bundle: {why}",
        code="evidence-malformed",
        remedy="Use the evidence bundle exactly as gatehouse wrote it.",
    )
