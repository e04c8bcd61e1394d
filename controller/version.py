"""The version of gatehouse and the folder of its source. Boot events, snapshots and the command line use them."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

VERSION = version("gatehouse")
SOURCE_ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds ``controller``, ``exchange``, ``gates`` and ``policies``: a checkout, or where they are installed."""
