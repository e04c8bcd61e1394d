"""Approvals: what waits, what can be signed and how, who signed, and handing in a command that was signed elsewhere.

A signature never comes from here: a browser holds no key. A signed command is first read and shown, then handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from controller.authority.wordcode import word_code
from controller.console.boundary import read_form
from controller.console.inspection import Topic
from controller.console.pages.frame import Rows, rows_of, show
from controller.console.port import GateRefused, OperatorPort
from controller.console.schema import EntryView, StatusView
from policies.authority import Verb
from policies.stage import Stage

FORM_LIMIT = 512 * 1024


@dataclass(frozen=True, slots=True)
class Move:
    """A move that can be proposed: what it needs and the commands that do it. ``refused`` says why it would be refused now."""

    title: str
    gate: str
    persons: int
    refused: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Signed:
    """A command in the journal: who signed it, and its word code where the journal has the digest."""

    seq: int
    at_ms: int
    what: str
    persons: tuple[str, ...]
    words: str
    summary: str


class ApprovalPage:
    """Renders the page and takes the form on it."""

    def __init__(self, port: OperatorPort) -> None:
        self._port = port

    async def show(self, _request: Request) -> Response:
        """What waits, what can be signed, and what was signed."""
        status = await self._port.status()
        found: Rows[EntryView] = await rows_of(self._commands())
        return await show(
            self._port,
            "approvals.html",
            "/approvals",
            s=status,
            moves=moves(status),
            signed=Rows([_signed(entry) for entry in found.rows], found.missing),
        )

    async def check(self, request: Request) -> Response:
        """Show what a signed command says and who signed it."""
        envelope = (await read_form(request, FORM_LIMIT)).get("envelope", "")
        checked = await self._port.inspector.check(envelope)
        return await show(self._port, "checked.html", "/approvals", posted=True, checked=checked, envelope=envelope)

    async def submit(self, request: Request) -> Response:
        """Hand a signed command in."""
        envelope = (await read_form(request, FORM_LIMIT)).get("envelope", "")
        try:
            receipt = await self._port.submit(envelope)
        except GateRefused as refused:
            return await show(self._port, "refused.html", "/approvals", code=409, posted=True, error=refused, gate=refused.gate)
        return await show(self._port, "receipt.html", "/approvals", posted=True, receipt=receipt)

    async def _commands(self) -> Sequence[EntryView]:
        return (await self._port.inspector.newest(Topic.COMMANDS)).entries


def moves(status: StatusView) -> tuple[Move, ...]:
    """Every signed move from here, with the exact commands."""
    found = [
        Move(
            title=f"{edge.verb} to {edge.target}{f' step {edge.step}' if edge.target is Stage.RAMPING else ''}",
            gate=edge.gate,
            persons=edge.persons_needed,
            refused=edge.blind,
            commands=_commands_for(edge.verb, _where(edge.target, edge.step)),
        )
        for edge in status.next_edges
        if edge.verb is not Verb.HALT
    ]
    found += [
        Move(
            title=f"{way.verb}{f' to {way.target}' if way.target else ''}",
            gate=way.gate,
            persons=way.persons_needed,
            refused=f"{way.refused}. {way.remedy}" if way.refused else "",
            commands=(way.command,),
        )
        for way in status.ways_out
    ]
    return tuple(found)


def _where(target: Stage, step: int) -> str:
    name = "LIVE_EUR10" if target is Stage.LIVE_EUR10 else str(target)
    return f"--to {name}{f' --step {step}' if target is Stage.RAMPING else ''}"


def _commands_for(verb: Verb, where: str) -> tuple[str, ...]:
    return (
        f"gatehouse propose {verb} {where} --file command.json --reason WHY",
        "gatehouse sign command.json --key KEY",
        "gatehouse submit command.json",
    )


def _signed(entry: EntryView) -> Signed:
    body = entry.body
    digest = str(body.get("payload_digest", ""))
    persons = body.get("persons", ())
    return Signed(
        seq=entry.seq,
        at_ms=entry.at_ms,
        what=f"{body.get('verb') or ''} {entry.kind.removeprefix('command-')}".strip(),
        persons=tuple(map(str, persons)) if isinstance(persons, list | tuple) else (),
        words=word_code(digest) if digest.startswith("sha256:") else "",
        summary=entry.summary,
    )
