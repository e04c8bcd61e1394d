"""Libraries of performance figures, for comparison: they warn while they load, and tests make warnings errors."""

from __future__ import annotations

import importlib
import warnings
from typing import Any


def _loaded(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


quantstats = _loaded("quantstats.stats")
empyrical = _loaded("empyrical")
