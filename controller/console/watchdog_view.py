"""The watchdog in a controller's status (ADR 27). Part of ``controller.console.schema``."""

from __future__ import annotations

from pydantic import computed_field

from controller.console.view import View

NONE = "no watchdog: if this controller dies or freezes, its open orders stay open; see [watchdog] in gatehouse.toml"
"""What a status without a watchdog says."""


class WatchdogView(View):
    """What the controller knows of its watchdog. ``problem`` says what is wrong, or is empty; ``line`` is all of it in one line.

    ``read_age_ms``: how long before its last answer it last read the open orders; ``venues``: where it watches.
    """

    connected: bool
    phase: str
    lease_ms: int
    answer_age_ms: int | None
    read_age_ms: int | None
    venues: tuple[str, ...]
    required: bool
    problem: str = ""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def line(self) -> str:
        """All fields in one line, for a person."""
        if not self.connected or self.answer_age_ms is None:
            return f"NOT CONNECTED: {self.problem}"
        where = ", ".join(self.venues) or "no venue yet"
        read = f", open orders read {self.read_age_ms // 1000} s ago" if self.read_age_ms is not None else ""
        text = f"{self.phase}, {where}; answered {self.answer_age_ms} ms ago, lease {self.lease_ms // 1000} s{read}"
        return f"{text}; {self.problem}" if self.problem else text
