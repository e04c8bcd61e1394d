"""A controller's role in its status: leader or standby (ADR 19). Part of ``controller.console.schema``."""

from __future__ import annotations

from enum import StrEnum

from pydantic import computed_field

from controller.console.view import View


class Role(StrEnum):
    """Whether this process writes the journal or follows it."""

    LEADER = "leader"
    STANDBY = "standby"


class StandbyView(View):
    """How far a standby is behind. ``quiet_ms``: time since it last saw the leader renew its lease.

    It takes over when ``quiet_ms`` reaches ``takes_over_after_ms``. ``problem`` says why it cannot follow now, or is empty;
    ``changes`` names what a takeover would change because this host's files differ from what is in force, or why it would fail.
    ``line`` is all of this in one line.
    """

    leader_epoch: int
    behind_entries: int
    quiet_ms: int
    takes_over_after_ms: int
    problem: str = ""
    changes: tuple[str, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def line(self) -> str:
        """All fields in one line, for a person."""
        text = (
            f"STANDBY of epoch {self.leader_epoch}, {self.behind_entries} entries behind; its lease was last seen renewed "
            f"{self.quiet_ms // 1000} s ago and is taken over after {self.takes_over_after_ms // 1000} s"
        )
        if self.problem:
            text += f"; CANNOT FOLLOW: {self.problem}"
        if self.changes:
            text += f"; a takeover would change: {', '.join(self.changes)}"
        return text
