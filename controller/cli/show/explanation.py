"""The form of every answer of ``gatehouse explain``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class Explanation:
    """One answer: ``document`` for programs, ``parts`` for people."""

    document: Any
    parts: tuple[RenderableType, ...]
