"""What tests of the command line share."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import Result

from tests.support.operator_port import FakePort

Run = Callable[..., Result]


@dataclass
class Served:
    """A deployment whose socket answers with ``port``'s values."""

    directory: Path
    port: FakePort


def told(result: Result, *, error: bool = False) -> Any:
    """The JSON a command printed."""
    return json.loads(result.stderr if error else result.stdout)
