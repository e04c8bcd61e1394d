"""A testnet that signs statements for a ``Desk``: its key, its books, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.core.inputs import Asked, Tick
from controller.core.state import State
from controller.version import VERSION
from exchange.model import DataSource, Millis
from exchange.ports import VenueName
from exchange.statement import Books, Challenge, Statement, StreamCoverage, public_line
from policies.schema import Policy, Testnet
from tests.support.desk import SYMBOL, Desk, demo_policy

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = public_line(SIGNER.public_key())
OTHER = public_line(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key())
NONCE = "5" * 64


def keyed_policy(key: str | None = KEY) -> Policy:
    """The demo policy with a testnet's key."""
    return demo_policy().model_copy(update={"testnet": Testnet(key=key)})


def statement_of(state: State, at: Millis, books: Books | None = None) -> Statement:
    """What the true testnet says at this moment, of exactly the orders that the controller knows."""
    ours = state.ledger(VenueName.TESTNET).books
    books = ours.value if books is None else books
    return Statement(
        challenge=Challenge(NONCE, state.controller_id or "desk", "mx0testnet", state.order_prefix, ours.after),
        instance="a" * 32,
        run=1,
        began=Millis(at - 60_000),
        software=f"gatehouse {VERSION}",
        source=DataSource.RECORDED_L2,
        speed="1",
        streams={SYMBOL: StreamCoverage(60_000, 0, 0, at)},
        at=at,
        orders=books.orders,
        fills=books.fills,
        last_order="",
        books=books.digest,
    )


@dataclass
class Signing:
    """A desk and its testnet. ``asked`` is what the next ticks carry; ``None`` while the testnet was never asked."""

    desk: Desk = field(default_factory=lambda: Desk(keyed_policy()))
    asked: Asked | None = None

    def ask(self, books: Books | None = None) -> Asked:
        """Ask the testnet now."""
        at = self.desk.now
        self.asked = Asked(KEY, at, at, statement_of(self.desk.state, at, books))
        return self.asked

    def tick(self) -> Tick:
        """A tick a second later, which carries the last answer."""
        self.desk.pass_time(1000)
        self.desk.sweep_all()
        tick = replace(self.desk.seen(), testnet=self.asked)
        self.desk.give(tick)
        return tick

    def run(self, seconds: int, *, asking: bool = True) -> None:
        """Let time pass, with a question every five seconds."""
        for second in range(seconds):
            if asking and second % 5 == 0:
                self.ask()
            self.tick()
