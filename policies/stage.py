"""The stages of a deployment, from mock money to real money (architecture.md §3). Nearly every module uses them."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """The stages. The value is the name that people read; ``LIVE_EUR10`` is accepted wherever a person types a stage."""

    MOCK = "MOCK"
    TESTNET_VALIDATING = "TESTNET_VALIDATING"
    VALIDATED = "VALIDATED"
    LIVE_EUR10 = "LIVE_€10"
    RAMPING = "RAMPING"
    HALTED = "HALTED"

    @classmethod
    def parse(cls, text: str) -> Stage:
        """Read a stage that a person typed. Raises ``ValueError`` for an unknown stage."""
        return cls.LIVE_EUR10 if text == "LIVE_EUR10" else cls(text)


RISK_ORDER = (Stage.MOCK, Stage.TESTNET_VALIDATING, Stage.VALIDATED, Stage.LIVE_EUR10, Stage.RAMPING)
"""The stages from the least to the most money at risk, without HALTED."""

WITHOUT_REAL_MONEY = (Stage.MOCK, Stage.TESTNET_VALIDATING, Stage.VALIDATED)
"""The stages whose new orders cost no real money, in the order of their risk."""

ON_THE_TESTNET = frozenset({Stage.TESTNET_VALIDATING, Stage.VALIDATED})
"""The stages whose new orders go to the testnet, and whose evidence it makes."""

LIVE_STAGES = frozenset({Stage.LIVE_EUR10, Stage.RAMPING})
"""The stages whose new orders go to the live venue."""


class Environment(StrEnum):
    """Whether real money can be traded at all. A rehearsal process refuses every host that is not loopback."""

    REHEARSAL = "rehearsal"
    PRODUCTION = "production"


class Mode(StrEnum):
    """Whether one person or a team operates the deployment (architecture.md §5)."""

    SOLO = "solo"
    TEAM = "team"
