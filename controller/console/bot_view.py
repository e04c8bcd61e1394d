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

    @computed_field  # type: ignore[prop-decorator]
    @property
    def remedy(self) -> str:
        """What a person does about it; empty while it is connected, and when nothing depends on it."""
        if self.live or not self.counts:
            return ""
        if self.silent_ms is None:
            return (
                "No time is covered until it is heard. Start it with its gateway key "
                f"(`gatehouse bot-config CLIENT {self.bot}` prints its configuration), "
                "or revoke the key of a bot that does not run."
            )
        if self.silent_ms <= self.silence_max_ms:
            return f"No time is covered until it is heard again: {self.why_not}. Correct this machine's clock."
        return (
            "No time is covered until it is heard again. See in its log whether it runs, and start it if it does not. If it works "
            "and may be quiet for longer, set silence_max_ms below its [[bots]] in the policy, or let it send "
            "GET /gatehouse/v1/heartbeat."
        )
