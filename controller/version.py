"""This program's version; validation binds to it."""

from __future__ import annotations

from importlib.metadata import version

VERSION = version("gatehouse")
