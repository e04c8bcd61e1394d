"""A signer's service in the test's own process, with commands that Alice and Bob sign."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from controller.authority.command import Command
from controller.authority.envelope import Envelope
from controller.authority.roster import Person, Roster
from controller.authority.signing import sign_with_file_key
from controller.signer import protocol
from controller.signer.grants import Grants, Pinned
from controller.signer.ledger import Buys, MemoryFile
from controller.signer.protocol import Kind, PermitFrame, Status
from controller.signer.service import Account, LiveAuthority, SignerService
from exchange.errors import Refused
from exchange.mexc.signer import SignerLimits
from exchange.model import Millis, OrderIntent, OrderType, Side
from exchange.wire.orders import order_params
from exchange.wire.signing import encode_params
from policies import canonical
from policies.authority import Role, Verb
from policies.stage import Environment, Mode, Stage
from tests.unit.authority.authority_kit import ALICE, BOB, CAROL, listed

ACCOUNT = "sha256:" + "1" * 64
SECRET = "the-secret-of-the-live-account"
SYMBOL, OTHER = "BTCUSDT", "ETHUSDT"
TESTNET, LIVE = 0, 1
EPOCH = 7
RATE = Decimal("1.1")

ROSTER = Roster(
    version=1,
    persons=(
        Person(name="alice", role=Role.OPERATOR, keys=(listed(ALICE),)),
        Person(name="bob", role=Role.APPROVER, keys=(listed(BOB),)),
        Person(name="carol", role=Role.APPROVER, keys=(listed(CAROL),)),
    ),
)


class SetClock:
    def __init__(self) -> None:
        self.ms = 1_800_000_000_000
        self.ns = 5_000_000_000_000

    def now(self) -> Millis:
        return Millis(self.ms)

    def monotonic_ns(self) -> int:
        return self.ns

    def pass_ms(self, ms: int) -> None:
        self.ms += ms
        self.ns += ms * 1_000_000


class Desk:
    """One signer with its memory file; ``restart`` makes a new one on the same file."""

    def __init__(
        self,
        path: Path,
        *,
        mode: Mode = Mode.TEAM,
        buys_most: int = 3,
        per_second: int = 1_000,
        most: str = "8",
        epoch: int = EPOCH,
    ) -> None:
        self.clock = SetClock()
        self.epoch = epoch
        self.path = path / "signer.json"
        self.mode, self.buys_most, self.per_second, self.most = mode, buys_most, per_second, Decimal(most)
        self.number = 0
        self.restart()

    def restart(self, roster: Roster = ROSTER, **changes: Any) -> None:
        file = MemoryFile(self.path)
        self.memory = memory = file.load()
        pinned = replace(Pinned("desk-1", Environment.REHEARSAL, ACCOUNT, self.mode, roster), **changes)
        self.grants = Grants(pinned, memory, partial(file.save, memory, durable=True))
        live = LiveAuthority(self.grants, Buys(memory, file), self.buys_most, RATE)
        limits = SignerLimits(frozenset({SYMBOL, OTHER}), self.most)
        accounts = [
            Account("mx0testnet", "the-testnet-secret", limits, self.per_second),
            Account("mx0live", SECRET, limits, self.per_second, live),
        ]
        self.service = SignerService(accounts, self.clock)
        self.ask(Kind.LEAD, LIVE, b"%d" % self.epoch)

    def ask(self, kind: Kind, venue: int, body: bytes) -> bytes:
        """The body of the answer. Raises ``Refused`` with the code of a refusal."""
        self.number += 1
        status, number, answer = protocol.read_answer(self.service.answer(protocol.request(kind, venue, self.number, body)))
        assert number == self.number
        if status == Status.DONE:
            return answer
        code, message, remedy = protocol.read_refusal(answer)
        raise Refused(message, code=code, remedy=remedy)

    def permit(self, **changes: Any) -> PermitFrame:
        return PermitFrame(**({"epoch": self.epoch, "serial": 1, "deadline_ns": self.clock.ns + 4_000_000_000} | changes))

    def order(self, intent: OrderIntent, venue: int = LIVE, **permit: Any) -> bytes:
        return self.ask(Kind.ORDER, venue, protocol.order_body(self.permit(**permit), payload_of(intent)))

    def command(self, *signers: Any, **changes: Any) -> str:
        """A signed command; without signers Alice and Bob sign."""
        self.number += 1
        fields: dict[str, Any] = {
            "version": 1,
            "command_id": f"{self.number:032x}",
            "controller_id": "desk-1",
            "environment": Environment.REHEARSAL,
            "account_fingerprint": ACCOUNT,
            "verb": Verb.ADVANCE,
            "expected_stage": Stage.VALIDATED,
            "expected_step": 0,
            "target_stage": Stage.LIVE_EUR10,
            "target_step": 0,
            "cap_eur": "10",
            "symbols": (SYMBOL,),
            "journal_seq": 41,
            "journal_head": "sha256:" + "2" * 64,
            "release_digest": "sha256:" + "3" * 64,
            "policy_digest": "sha256:" + "4" * 64,
            "roster_digest": ROSTER.digest,
            "evidence_digest": "",
            "postmortem_digest": "",
            "not_before_ms": self.clock.ms - 1000,
            "expires_ms": self.clock.ms + 900_000,
            "reason": "a test",
        }
        envelope = Envelope(canonical.encode(Command(**(fields | changes)).model_dump(mode="json")))
        for key in signers or (ALICE, BOB):
            envelope = sign_with_file_key(envelope, key)
        return envelope.text

    def grant(self, envelope: str) -> None:
        self.ask(Kind.COMMAND, LIVE, envelope.encode())

    def lower(self, cap: str) -> None:
        self.ask(Kind.LOWER, LIVE, cap.encode())

    def to_live(self, **changes: Any) -> str:
        """Grant the move to LIVE_€10; returns its envelope."""
        envelope = self.command(**changes)
        self.grant(envelope)
        return envelope


def buy(notional: str = "5", symbol: str = SYMBOL, client_id: str = "gh-1") -> OrderIntent:
    return OrderIntent(symbol, Side.BUY, OrderType.LIMIT, client_id, Decimal(notional), None, Decimal(1))


def sell(symbol: str = SYMBOL, client_id: str = "gh-2") -> OrderIntent:
    return OrderIntent(symbol, Side.SELL, OrderType.LIMIT, client_id, Decimal(5), None, Decimal(1))


def payload_of(intent: OrderIntent, extra: str = "&recvWindow=5000&timestamp=1790000000000") -> str:
    return encode_params(order_params(intent)) + extra
