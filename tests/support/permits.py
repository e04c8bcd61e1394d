"""What every permit of a test shares: an order leaves if the permit is live."""

from __future__ import annotations

from collections.abc import Callable


class Leaving:
    """Base of a test's own permit, which says in ``is_live`` whether it may be used."""

    def is_live(self) -> bool:
        """Whether it may be used now."""
        raise NotImplementedError

    def leave(self, write: Callable[[], None]) -> bool:
        """As ``exchange.ports.Permit.leave``."""
        if not self.is_live():
            return False
        write()
        return True
