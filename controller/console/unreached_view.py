"""A venue that does not answer, as the status shows it. Part of ``controller.console.schema``."""

from __future__ import annotations

from pydantic import computed_field

from controller.console.view import View
from exchange.ports import VenueName


class UnreachedView(View):
    """A venue that does not answer since ``since_ms``. ``line`` says why, and what waits for it.

    ``orders_wait``: orders wait for it now, and not only a later step.
    """

    venue: VenueName
    since_ms: int
    why: str
    line: str
    orders_wait: bool = True

    @computed_field  # type: ignore[prop-decorator]
    @property
    def remedy(self) -> str:
        """What a person does about it."""
        return (
            "gatehouse asks it again by itself, so nothing has to be restarted. If this lasts, run `gatehouse doctor`, and check "
            "the network, the venue's address in gatehouse.toml and whether the venue is down for maintenance."
        )
