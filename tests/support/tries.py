"""How many examples hypothesis tries: few in ``dev``, the number a test is written for in ``ci``, many in ``proofs``.

A test without a number of its own follows the profile by itself. One whose examples cost more, or say less, gives its number::

    @settings(max_examples=tries(40))
    @given(...)
"""

from __future__ import annotations

from hypothesis import settings

PROFILES = {"mutation": 10, "dev": 25, "ci": 100, "proofs": 1_000}
"""Examples of a test that does not say how many."""

_FEWEST = 5


def tries(number: int) -> int:
    """What the loaded profile makes of ``number``, which is right for ``ci``."""
    assert settings.default is not None
    return max(min(number, _FEWEST), number * settings.default.max_examples // PROFILES["ci"])
