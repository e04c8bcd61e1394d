"""This program's version, which validation binds to, and where its source is."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

VERSION = version("gatehouse")
SOURCE_ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds ``controller``, ``exchange``, ``gates`` and ``policies``: a checkout, or where they are installed."""
