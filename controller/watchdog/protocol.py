"""What a controller and its watchdog say to each other: one JSON object on a line, in both directions (ADR 27).

Over a unix socket the file's mode keeps others out. Over TCP every line carries a code made from a secret that both know, a number
drawn by each side for this connection, and a count: a line that is forged, repeated, left out or sent to the other side is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from controller.watchdog.lease import Phase, Targets
from exchange.errors import GatehouseError
from exchange.ports import VenueName

LONGEST_LINE = 1 << 20
LINES_AT_ONCE = 100

_Seq = Annotated[int, Field(ge=0)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Hello(_Message):
    """The first line of each side: its number for this connection. The controller's also says whose it is."""

    type: Literal["hello"] = "hello"
    nonce: str
    controller_id: str = ""


class BeatSent(_Message):
    """The controller decided something ``age_ms`` ago. ``venues``: where it may have orders, and in which symbols."""

    type: Literal["beat"] = "beat"
    epoch: _Seq
    seq: _Seq
    age_ms: _Seq
    venues: dict[str, list[str]]

    def targets(self, served: frozenset[VenueName]) -> Targets:
        """The places of it that a watchdog serves. Raises ``ValueError`` for a venue that does not exist."""
        named = {VenueName(name): symbols for name, symbols in self.venues.items()}
        return tuple((venue, tuple(sorted(named[venue]))) for venue in sorted(named) if venue in served)


class GoodbyeSent(_Message):
    """The controller ends in an orderly way."""

    type: Literal["goodbye"] = "goodbye"
    epoch: _Seq


class LogAsked(_Message):
    """The controller asks for the entries after a number."""

    type: Literal["log"] = "log"
    after: _Seq


class AbsorbedSent(_Message):
    """The controller's journal holds the log up to this entry."""

    type: Literal["absorbed"] = "absorbed"
    epoch: _Seq
    seq: _Seq
    hash: str


class Answer(_Message):
    """The watchdog's own heartbeat: it answers every beat, goodbye and absorption.

    ``beat``: the number of the last beat it took. ``served``: the venues it has a key for. ``problem``: why its last reading of the
    open orders failed, or empty; ``read_age_ms``: how long ago one last succeeded.
    """

    type: Literal["answer"] = "answer"
    phase: Phase = Field(strict=False)
    beat: _Seq
    lease_ms: _Seq
    head_seq: _Seq
    head_hash: str
    fired_seq: _Seq
    served: list[str]
    read_age_ms: int | None
    problem: str


class LogLines(_Message):
    """Entries of the watchdog's log, oldest first; ``more``: further ones follow."""

    type: Literal["lines"] = "lines"
    lines: list[str]
    more: bool


Message = Hello | BeatSent | GoodbyeSent | LogAsked | AbsorbedSent | Answer | LogLines
_ADAPTER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


class ProtocolError(GatehouseError):
    """A line that the other side cannot have meant. The connection ends."""

    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            code="watchdog-protocol",
            remedy="Check that both sides have the same token file and the same version of gatehouse.",
        )


def new_nonce() -> str:
    """A number for one side of one connection."""
    return secrets.token_hex(16)


@dataclass(slots=True)
class Wire:
    """Writes and reads the lines of one side of one connection. ``token`` is empty over a unix socket.

    ``label`` is this side, ``peer`` the other one, so that no line can be sent back to its sender.
    """

    token: str
    label: str
    peer: str
    nonces: str = ""
    _sent: int = field(default=0)
    _received: int = field(default=0)

    def line(self, message: Message) -> bytes:
        """The next line to send."""
        body = message.model_dump_json()
        code = self._code(self.label, self._sent, body)
        self._sent += 1
        return f"{code} {body}\n".encode()

    def read(self, line: bytes) -> Message:
        """The message in the next line received. Raises ``ProtocolError``."""
        code, _, body = line.decode("utf-8", "replace").rstrip("\n").partition(" ")
        if not hmac.compare_digest(code.encode(), self._code(self.peer, self._received, body).encode()):
            raise ProtocolError("a line does not carry the code that only the other side can make")
        self._received += 1
        try:
            decoded: Any = json.loads(body)
            return _ADAPTER.validate_python(decoded)
        except (ValidationError, ValueError, RecursionError):
            raise ProtocolError("a line is no message of this protocol") from None

    def _code(self, sender: str, count: int, body: str) -> str:
        if not self.token:
            return "-"
        said = f"{sender}\0{self.nonces}\0{count}\0{body}".encode()
        return hmac.new(self.token.encode(), said, hashlib.sha256).hexdigest()
