"""The age of the last copies in a controller's status (ADR 69). Part of ``controller.console.schema``."""

from __future__ import annotations

from controller.console.view import View

_HOUR_MS = 3_600_000


class BackupView(View):
    """The last copy that was opened and verified, and the last one that was made.

    ``age_ms``: how old the last entry of the verified copy is, absent when none was ever verified. ``made_age_ms``: how long ago
    the last copy was made, absent when none was.
    """

    age_ms: int | None
    made_age_ms: int | None

    @property
    def line(self) -> str:
        """Both in words."""
        made = f"the last was made {_hours(self.made_age_ms)} ago" if self.made_age_ms is not None else "none was made here"
        if self.age_ms is None:
            return f"no copy was ever verified; {made}"
        return f"the last verified copy ends {_hours(self.age_ms)} ago; {made}"


def _hours(ms: int) -> str:
    """A time in hours, in days from two days on."""
    hours = ms // _HOUR_MS
    if hours >= 48:
        return f"{hours // 24} days"
    return f"{hours} h" if hours >= 1 else f"{ms // 60_000} min"
