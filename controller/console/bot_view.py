"""One bot as the status shows it: whether it counts as connected, when it was last heard and by what."""

from __future__ import annotations

from pydantic import computed_field

from controller.console.view import View
from controller.console.wording import duration


class BotView(View):
    """Whether one bot is connected. ``counts``: no time is covered while it is not. ``silent_ms`` is absent if it was not heard."""

    bot: str
    live: bool
    counts: bool
    silent_ms: int | None
    heard_by: str
    streams: int
    silence_max_ms: int
    why_not: str

    @computed_field  # type: ignore[prop-decorator]
    @property
    def line(self) -> str:
        """What a person reads about it."""
        if self.silent_ms is None:
            heard = "not heard since this process started"
        else:
            heard = f"heard {self.silent_ms // 1000} s ago by {self.heard_by}"
        streams = f", {self.streams} open stream{'' if self.streams == 1 else 's'}" if self.streams else ""
        counts = "" if self.counts else "; the policy's [[bots]] do not name it"
        state = "connected" if self.live else "NOT connected"
        return f"{self.bot} is {state}: {heard}{streams}; it may be silent for {duration(self.silence_max_ms)}{counts}"
