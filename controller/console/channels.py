"""The channels for alerts as the page Alerts shows them. Part of ``controller.console.inspection``."""

from __future__ import annotations

from controller.console.view import View


class ChannelView(View):
    """A channel since this process started: what waits for it, when it delivered, when and why it failed, when it is tried again.

    ``failing`` is the reason after several failures in a row, and empty before. ``works`` is absent until something was sent.
    """

    name: str
    severity: str
    step: int
    queued: int
    dropped: int
    failing: str = ""
    delivered_at_ms: int | None = None
    failed_at_ms: int | None = None
    failed_because: str = ""
    next_at_ms: int | None = None

    @property
    def works(self) -> bool | None:
        """Whether what was tried last was delivered."""
        if self.failing:
            return False
        if self.delivered_at_ms is None:
            return None if self.failed_at_ms is None else False
        return self.failed_at_ms is None or self.failed_at_ms <= self.delivered_at_ms
