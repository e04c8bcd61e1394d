"""The in-process executor of MOCK."""

from exchange.mock.venue import MockVenue

__all__ = ["MockVenue"]
