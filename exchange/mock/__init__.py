"""The in-process executor of the stage MOCK."""

from exchange.mock.venue import MockVenue

__all__ = ["MockVenue"]
