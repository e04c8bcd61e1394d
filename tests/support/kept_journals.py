"""Writes what a version of gatehouse leaves behind, to be kept in tests/fixtures/journals and opened by every later version.

``python -m tests.support.kept_journals`` writes the folder of the present version; ``make release`` refuses to release without it.
The folder of a released version is never written again: a later version that cannot read it would strand its deployments.

    journal.db.gz    a deployment that rose to LIVE_€10, was denied, halted by stale data and reset
    gatehouse.toml, policy.toml, roster.toml    its files, without secrets
    events.jsonl     one entry of every kind that the version knows
    team.json        a production policy as the journal holds it
    kept.json        what the journal says at its end
"""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
import types
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from controller.cli.setup.deployment import Ports, write_deployment
from controller.cli.shared import places
from controller.core import event_codec
from controller.core import events as e
from controller.core.lifecycle import Position
from controller.version import VERSION
from exchange.model import DataSource
from policies.authority import Verb
from policies.document import canonical_bytes, digest, load_policy
from policies.stage import Stage
from tests.support.cli_kit import write_journal
from tests.support.desk import Desk
from tests.support.desk_of import desk_of

KEPT = Path(__file__).parents[1] / "fixtures" / "journals"
FILES = ("gatehouse.toml", "policy.toml", "roster.toml")


def sample(kind: Any) -> Any:
    """One fixed value of a field's type."""
    plain = {str: "x", int: 1, bool: True, type(None): None, Decimal: Decimal("1.5"), DataSource: DataSource.RECORDED_L2}
    if kind in plain:
        return plain[kind]
    if hasattr(kind, "__supertype__"):
        return sample(kind.__supertype__)
    if hasattr(kind, "__metadata__"):
        return sample(kind.__origin__)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind.model_construct(**{name: sample(field.annotation) for name, field in kind.model_fields.items()})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        return sample(next(one for one in arguments if one is not type(None)))
    if origin is tuple:
        return tuple(sample(one) for one in arguments if one is not Ellipsis)
    return {sample(arguments[0]): sample(arguments[1])}


def every_kind() -> str:
    """One line for each kind of entry, as the journal has it."""
    kinds = sorted(e.Event.__subclasses__(), key=lambda kind: kind.kind)
    first = {e.DeploymentCreated: {"vocabulary": e.VOCABULARY}}
    bodies = [(kind.kind, event_codec.encode(sample(kind).model_copy(update=first.get(kind, {})))) for kind in kinds]
    return "".join(json.dumps({"kind": kind, "body": body.decode()}, sort_keys=True) + "\n" for kind, body in bodies)


def lived(directory: Path) -> Desk:
    """A deployment that rose to LIVE_€10, was denied an order, halted when the market data stopped, and was reset."""
    desk = desk_of(directory, version=VERSION).walk_to(Stage.LIVE_EUR10)
    desk.order("1")
    bought = desk.placed(desk.order("0.00006"))
    desk.fill(bought, "0.00006")
    for _ in range(40):
        desk.pass_time(10_000)
        desk.tick(age_ms=600_000)
    assert desk.state.position.stage is Stage.HALTED
    desk.sweep_all()
    reply = desk.submit(desk.command(Verb.RESET, Position(Stage.MOCK)), "alice")
    assert not reply.code, reply
    desk.boot()
    return desk


def write(directory: Path) -> None:
    """Write the folder of the present version into ``directory``."""
    directory.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "deployment"
        write_deployment(made, Ports())
        (made / "var").mkdir()
        desk = lived(made)
        write_journal(desk, made)
        (directory / "journal.db.gz").write_bytes(gzip.compress((made / "var" / "journal.db").read_bytes(), mtime=0))
        for name in FILES:
            shutil.copy(made / name, directory / name)
    team = load_policy(places.example_policy("team").read_bytes())
    (directory / "team.json").write_bytes(canonical_bytes(team))
    (directory / "events.jsonl").write_text(every_kind(), encoding="utf-8")
    at_end = {
        "entries": desk.state.seq,
        "head": desk.head.hash,
        "stage": str(desk.state.position),
        "commands": len(desk.state.commands),
        "orders": len(desk.state.orders),
        "kinds": sorted({event.kind for event, _ in desk.journal}),
        "team": digest(team),
    }
    (directory / "kept.json").write_text(json.dumps(at_end, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Write the folder of the present version, in place of what it had."""
    here = KEPT / VERSION
    shutil.rmtree(here, ignore_errors=True)
    write(here)
    print(f"{here.relative_to(KEPT.parents[2])}: {', '.join(path.name for path in sorted(here.iterdir()))}")


if __name__ == "__main__":
    main()
