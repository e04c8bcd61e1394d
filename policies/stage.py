"""The stages of a deployment, from mock money to real money (architecture.md §3)."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Where a deployment stands. The value is the name a person reads; ``LIVE_EUR10`` is accepted wherever one is typed."""

    MOCK = "MOCK"
    TESTNET_VALIDATING = "TESTNET_VALIDATING"
    VALIDATED = "VALIDATED"
    LIVE_EUR10 = "LIVE_€10"
    RAMPING = "RAMPING"
    HALTED = "HALTED"

    @classmethod
    def parse(cls, text: str) -> Stage:
        """Read a stage as a person types it. Raises ``ValueError`` for anything else."""
        return cls.LIVE_EUR10 if text == "LIVE_EUR10" else cls(text)


RISK_ORDER = (Stage.MOCK, Stage.TESTNET_VALIDATING, Stage.VALIDATED, Stage.LIVE_EUR10, Stage.RAMPING)
"""The stages from least to most at risk; HALTED stands outside."""

LIVE_STAGES = frozenset({Stage.LIVE_EUR10, Stage.RAMPING})
"""The stages whose new orders go to the live venue."""


class Environment(StrEnum):
    """Whether real money can be reached at all. A rehearsal process refuses every host that is not loopback."""

    REHEARSAL = "rehearsal"
    PRODUCTION = "production"


class Mode(StrEnum):
    """How many people stand behind a deployment (architecture.md §5)."""

    SOLO = "solo"
    TEAM = "team"
