"""Shared helpers for tests of the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from typer.testing import Result

from controller.core.event_codec import encode
from controller.journal.chain import Record
from controller.journal.location import FILE_NAME
from controller.journal.sqlite import open_journal
from tests.support.desk import Desk
from tests.support.operator_port import FakePort

Run = Callable[..., Result]


@dataclass
class Served:
    """A deployment whose socket answers with ``port``'s values."""

    directory: Path
    port: FakePort


def printed(result: Result, *, error: bool = False) -> Any:
    """The JSON a command printed."""
    return json.loads(result.stderr if error else result.stdout)


def write_journal(desk: Desk, directory: Path) -> None:
    """The desk's journal as a deployment's file, its controller's id in the settings."""
    settings = directory / "gatehouse.toml"
    settings.write_text(settings.read_text().replace('controller_id = "demo"', f'controller_id = "{desk.state.controller_id}"'))
    journal = open_journal(directory / "var" / FILE_NAME, desk.state.controller_id)
    for at, events in groupby(desk.journal, key=lambda pair: pair[1]):
        journal.append([Record(event.kind, encode(event)) for event, _ in events], at)
    journal.close()
