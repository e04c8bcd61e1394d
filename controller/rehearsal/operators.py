"""The operators of a rehearsal: they look at the gates, and sign the next step up as soon as its gate passes.

They use the operator API of the local socket, as the command line does: propose, sign with two keys, submit.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.authority.envelope import Envelope
from controller.authority.signing import sign_with_file_key
from controller.rehearsal.folder import CONSOLE, Folder
from controller.rehearsal.network import InsideTransport, Sites
from exchange.mexc.http import Failure, Method
from policies.authority import Verb
from policies.rules import STATISTICS
from policies.stage import Stage

WITHIN_S = 30.0


class NoAnswer(Exception):
    """The controller does not answer now."""


@dataclass(slots=True)
class Signed:
    """One command that was submitted: its verb and id, the stage it led to, and the error's code when it was refused."""

    verb: str
    stage: str
    refused: str = ""
    command_id: str = ""


@dataclass(slots=True)
class Operators:
    """Both persons of the roster. ``signed`` is what they submitted."""

    transport: InsideTransport
    folder: Folder
    signed: list[Signed] = field(default_factory=list)

    async def status(self) -> dict[str, Any]:
        """The status. Raises ``NoAnswer``."""
        return dict((await self._ask(Method.GET, "/v1/status"))[1])

    async def gates(self) -> list[dict[str, Any]]:
        """The gates of the next steps up, evaluated now. Raises ``NoAnswer``."""
        return list((await self._ask(Method.GET, "/v1/gates"))[1])

    async def journal(self, after: int) -> list[dict[str, Any]]:
        """A page of entries after one. Raises ``NoAnswer``."""
        return list((await self._ask(Method.GET, "/v1/journal", query=f"after={after}&limit=1000"))[1])

    async def command(self, verb: Verb, **fields: Any) -> Signed:
        """Propose, sign with both keys, and submit. Raises ``NoAnswer``."""
        status, proposal = await self._ask(Method.POST, "/v1/propose", {"verb": verb.value, "reason": "rehearsal", **fields})
        if status != 200:
            return self._note(verb, "", proposal)
        envelope = Envelope(proposal["payload"].encode())
        for key in self.folder.persons.values():
            envelope = sign_with_file_key(envelope, key)
        status, receipt = await self._ask(Method.POST, "/v1/commands", envelope.text)
        stage, command_id = (
            str(receipt.get("position", receipt.get("stage", ""))),
            str(json.loads(proposal["payload"])["command_id"]),
        )
        return self._note(verb, stage, {} if status == 200 else receipt, command_id)

    def _note(self, verb: Verb, stage: str, error: Mapping[str, Any], command_id: str = "") -> Signed:
        refused = str(error.get("error", {}).get("code", "unknown")) if error else ""
        self.signed.append(Signed(verb.value, stage, refused, command_id))
        return self.signed[-1]

    async def climb(self, until: Stage, every_s: float) -> None:
        """Take every step up whose gate passes, until ``until`` is reached."""
        while True:
            await asyncio.sleep(every_s)
            try:
                for gate in await self.gates():
                    if _worth_asking(gate) and all(fact["ok"] for fact in gate["landing"]):
                        await self.command(Verb(gate["verb"]))
                        break
                if (await self.status())["stage"] == until.value:
                    return
            except NoAnswer:
                continue

    async def _ask(self, method: Method, path: str, document: object = None, query: str = "") -> tuple[int, Any]:
        body = document.encode() if isinstance(document, str) else b"" if document is None else json.dumps(document).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), "host": "gatehouse"}
        outcome = await self.transport.send(method, path, query, headers, body=body)
        if isinstance(outcome, Failure):
            raise NoAnswer(outcome.reason)
        return outcome.status, json.loads(outcome.body)


def _worth_asking(gate: Mapping[str, Any]) -> bool:
    """Whether everything passes but statistics, which are computed when a proposal asks for them."""
    missing = [rule for rule in gate["rules"] if rule["verdict"] != "PASS"]
    return all(rule["metric"] in STATISTICS and rule["verdict"] in {"NO_DATA", "STALE"} for rule in missing)


def open_operators(folder: Folder, sites: Sites) -> Operators:
    """The operators of this deployment."""
    return Operators(InsideTransport(sites.at(CONSOLE), WITHIN_S), folder)
