"""A controller without a shell, for tests: the test gives the inputs, the journal is a list, and every step compares the fold."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.authority.command import Command, VerifiedCommand
from controller.authority.keys import generate_key, public_key
from controller.authority.roster import KeyType, Person, Roster, roster_key
from controller.authority.signing import propose, sign_with_file_key
from controller.authority.verify import verify
from controller.core import event_codec
from controller.core import events as e
from controller.core import inputs as i
from controller.core.decide import decide
from controller.core.decisions.bot_keys import secret_digest
from controller.core.decisions.draft import CommandReply, Decision, SealReply
from controller.core.decisions.governance import policy_after, target_of
from controller.core.effects import Place
from controller.core.fold.apply import apply
from controller.core.lifecycle import Position
from controller.core.order_state import OrderState
from controller.core.state import State, market_of
from controller.journal.chain import Head, genesis_hash
from exchange.model import (
    Balance,
    DataSource,
    Fill,
    Millis,
    OrderIntent,
    OrderReport,
    OrderStatus,
    OrderType,
    Quote,
    Side,
)
from exchange.ports import Ack, PlaceOutcome, VenueName
from policies import canonical
from policies.authority import Role, Verb
from policies.document import Policy, canonical_bytes, load_policy
from policies.guards import ClockOffset, Measured
from policies.numbers import text
from policies.ramp import cap_eur, symbols_at
from policies.silence import Heard, HeardBy
from policies.stage import Environment, Stage
from tests.support.desk_parts import RULES, grown

EXAMPLES = Path(__file__).parents[2] / "policies" / "examples"
SYMBOL = "BTCUSDT"
START = Millis(1_800_000_000_000)
D = Decimal
BOT_KEYS = {"demo-bot": "demobotkey", "other-bot": "otherbotkey"}


def demo_policy() -> Policy:
    return load_policy((EXAMPLES / "demo.toml").read_bytes())


class Desk:
    """One deployment in memory. ``usdt`` and ``btc`` are what every account starts with."""

    def __init__(self, policy: Policy | None = None, *, usdt: str = "100", btc: str = "0") -> None:
        self.policy = policy or demo_policy()
        self.account_failed: tuple[str, ...] | None = ()
        self.keys: dict[str, Ed25519PrivateKey] = {name: generate_key() for name in ("alice", "bob", "carol")}
        roles = {"alice": Role.OPERATOR, "bob": Role.APPROVER, "carol": Role.HALT_ONLY}
        self.roster = Roster(
            version=1,
            persons=tuple(
                Person(name=name, role=roles[name], keys=(roster_key(public_key(key).line, KeyType.FILE),))
                for name, key in self.keys.items()
            ),
        )
        self.state = State()
        self.now = START
        self.journal: list[tuple[e.Event, Millis]] = []
        self.decisions: list[Decision] = []
        self.price = D("60000")
        self.usdt, self.btc = D(usdt), D(btc)
        self.epoch = 0
        self.proposals = 0
        self._head = Head(0, genesis_hash("desk"), 1)
        self.trades: dict[VenueName, list[Fill]] = {name: [] for name in VenueName}
        self.outside: dict[VenueName, dict[str, Decimal]] = {name: {} for name in VenueName}
        self.read: dict[VenueName, i.AccountRead] = {}
        self.version = "0.1.0"
        self.accounts = {VenueName.TESTNET: "sha256:" + "1" * 64, VenueName.LIVE: "sha256:" + "2" * 64}
        self.bots = tuple(i.BotKeyFound(bot, key, secret_digest(key, "secret")) for bot, key in BOT_KEYS.items())
        self.release = i.Release("bot", "1", "sha256:" + "a" * 64, "sha256:" + "b" * 64)

    # Inputs

    def give(self, input_: i.Input) -> Decision:
        if isinstance(input_, i.AccountRead):
            self.read[input_.venue] = input_
        decision = decide(self.state, input_, self.now)
        folded = self.state
        for event in decision.events:
            assert event_codec.decode(event.kind, event_codec.encode(event)) == event
            folded = apply(folded, event, self.now)
            self.journal.append((event, self.now))
        assert folded == decision.after
        self.state = decision.after
        self.decisions.append(decision)
        return decision

    def fork(self) -> Desk:
        """Copy the desk; the copy continues independently."""
        other = copy(self)
        other.journal, other.decisions = list(self.journal), list(self.decisions)
        other.trades = {name: list(trades) for name, trades in self.trades.items()}
        other.outside = {name: dict(amounts) for name, amounts in self.outside.items()}
        other.read = dict(self.read)
        return other

    def pass_time(self, ms: int) -> None:
        self.now = Millis(self.now + ms)

    def boot(self) -> Decision:
        """Start a new process with a new mock executor."""
        start = replace(self.boot_input(), epoch=self.epoch + 1)
        decision = self.give(start)
        self.epoch = start.epoch
        self.trades[VenueName.MOCK] = []
        return decision

    def boot_input(self) -> i.Boot:
        return i.Boot(
            controller_id="desk",
            environment=Environment.REHEARSAL,
            gatehouse_version=self.version,
            epoch=self.epoch,
            policy=canonical_bytes(self.policy).decode(),
            roster=self.roster.canonical_bytes.decode(),
            release=self.release,
            accounts=self.accounts,
            bots=self.bots,
        )

    def quote(self, *, age_ms: int = 0) -> Quote:
        at = Millis(self.now - age_ms)
        return Quote(SYMBOL, self.price - D("0.5"), D(1), self.price + D("0.5"), D(1), 1, at, at)

    def market(self, *, age_ms: int = 0, quoted: bool = True) -> i.Market:
        quote = self.quote(age_ms=age_ms)
        return i.Market(
            source=DataSource.RECORDED_L2,
            accelerated=False,
            quotes={SYMBOL: quote} if quoted else {},
            seen_at={SYMBOL: quote.received_at},
            rules={SYMBOL: RULES},
        )

    def seen(self, *, age_ms: int = 0, quoted: bool = True) -> i.Tick:
        """Everything that is measured now."""
        market = self.market(age_ms=age_ms, quoted=quoted)
        return i.Tick(
            markets={VenueName.TESTNET: market, VenueName.LIVE: market},
            clock_offset_ms=dict.fromkeys(VenueName, 3),
            clock_good=dict.fromkeys(VenueName, Measured(ClockOffset(3, 0), self.now)),
            bots=self.heard(),
            accounts=dict(self.read),
        )

    def heard(self, *, ago_ms: int = 0) -> dict[str, Heard]:
        """Every bot with a key was last heard so long ago."""
        return {one.bot: Heard(Millis(self.now - ago_ms), HeardBy.REQUEST) for one in self.state.bot_keys.values()}

    def tick(self, *, age_ms: int = 0, quoted: bool = True) -> Decision:
        return self.give(self.seen(age_ms=age_ms, quoted=quoted))

    def balances(self, venue: VenueName) -> dict[str, Balance]:
        """The venue's balances of the account: the opening balance, what the owner moved, and every trade since."""
        totals = {"USDT": self.usdt, "BTC": self.btc}
        for asset, amount in self.outside[venue].items():
            totals[asset] = totals.get(asset, D(0)) + amount
        for fill in self.trades[venue]:
            sign = 1 if fill.side is Side.BUY else -1
            totals["BTC"] += sign * fill.quantity
            totals["USDT"] -= sign * fill.quote + fill.fee
        return {asset: Balance(asset, amount, D(0)) for asset, amount in totals.items() if amount}

    def owner_moves(self, venue: VenueName, asset: str, amount: str) -> None:
        """The owner pays in, or with a minus takes out."""
        self.outside[venue][asset] = self.outside[venue].get(asset, D(0)) + D(amount)

    def sweep(
        self, venue: VenueName, *, balances: dict[str, Balance] | None = None, orders: tuple[OrderReport, ...] = ()
    ) -> Decision:
        snapshot = i.AccountSnapshot(orders, tuple(self.trades[venue]), self.balances(venue) if balances is None else balances)
        return self.give(i.AccountRead(venue, snapshot, fills_before=self.state.ledger(venue).fills_booked, started_at=self.now))

    def sweep_all(self) -> None:
        for venue in VenueName:
            self.sweep(venue)

    def arm(self) -> Desk:
        self.boot()
        self.sweep_all()
        self.tick()
        return self

    def run(self, ms: int) -> None:
        """Let time pass: a tick every second, a sweep every three seconds, and at VALIDATED a check of the live account."""
        for second in range(ms // 1000):
            self.pass_time(1000)
            if second % 3 == 0:
                self.sweep_all()
            self.tick()
        if self.state.position.stage is Stage.VALIDATED and self.account_failed is not None:
            self.give(i.AccountExamined(VenueName.LIVE, 9, self.account_failed))

    # A bot

    def order(
        self,
        quantity: str,
        price: str | None = None,
        *,
        side: Side = Side.BUY,
        bot_id: str = "",
        type_: OrderType = OrderType.LIMIT,
    ) -> Decision:
        return self.give(self.requested(quantity, price, side=side, bot_id=bot_id, type_=type_))

    def requested(
        self,
        quantity: str,
        price: str | None = None,
        *,
        side: Side = Side.BUY,
        bot_id: str = "",
        type_: OrderType = OrderType.LIMIT,
        bot: str = "demo-bot",
        key: str = "",
    ) -> i.OrderRequested:
        limit = None if type_ is OrderType.MARKET else D(price) if price else self.price
        intent = OrderIntent(SYMBOL, side, type_, bot_id, quantity=D(quantity), price=limit)
        venue = self.state.venue or VenueName.MOCK
        return i.OrderRequested(
            bot=bot,
            intent=intent,
            quotes={SYMBOL: self.quote()},
            rules={SYMBOL: RULES},
            venue=venue,
            key=key or BOT_KEYS[bot],
        )

    def placed(self, decision: Decision, outcome: PlaceOutcome | None = None) -> str:
        (place,) = [effect for effect in decision.effects if isinstance(effect, Place)]
        client_id = place.intent.client_id
        self.give(i.PlacementAnswered(client_id, outcome or Ack(f"C02__{client_id}", self.now)))
        return client_id

    def fill(self, client_id: str, quantity: str, price: str | None = None) -> Fill:
        """A trade at the venue, reported to the controller."""
        order = self.state.orders[client_id]
        fill = self.trade_of(order, D(quantity), D(price) if price else None)
        self.give(i.VenueReported(order.venue, fill))
        return fill

    def trade_of(self, order: OrderState, quantity: Decimal, price: Decimal | None = None) -> Fill:
        """A trade of an order at the venue, which the controller does not know yet."""
        at = price or order.price or self.price
        fill = Fill(
            trade_id=f"T{self.state.seq}",
            order_id=order.order_id,
            client_id=order.client_id,
            symbol=SYMBOL,
            side=order.side,
            price=at,
            quantity=quantity,
            quote=quantity * at,
            fee=D(0),
            fee_asset="USDT",
            maker=True,
            at=self.now,
        )
        self.trades[order.venue].append(fill)
        return fill

    def report(self, client_id: str, status: OrderStatus, executed: str = "0") -> OrderReport:
        order = self.state.orders[client_id]
        assert order.quantity is not None
        return OrderReport(
            symbol=SYMBOL,
            order_id=order.order_id or f"C02__{client_id}",
            client_id=client_id,
            side=order.side,
            type=order.type,
            status=status,
            price=order.price or D(0),
            quantity=order.quantity,
            executed=D(executed),
            executed_quote=D(executed) * (order.price or self.price),
            created_at=self.now,
        )

    # Operators

    def command(self, verb: Verb, target: Position, *, subject: str = "", **changes: object) -> Command:
        decision = self.give(i.ProposalAsked(verb, target, subject, seen=self.seen()))
        self.proposals += 1
        seal = decision.reply
        assert isinstance(seal, SealReply)
        state = self.state
        assert state.policy is not None
        assert state.release is not None
        policy = policy_after(state.policy, verb, subject)
        base = Command(
            version=2 if subject else 1,
            command_id=f"{len(self.journal):016x}{self.proposals:016x}",
            controller_id=state.controller_id,
            environment=state.environment,
            account_fingerprint=state.accounts[VenueName.LIVE],
            verb=verb,
            expected_stage=state.position.stage,
            expected_step=state.position.step,
            target_stage=target.stage,
            target_step=target.step,
            cap_eur=text(cap_eur(policy, target.stage, target.step)),
            symbols=symbols_at(policy, target.stage),
            journal_seq=state.seq,
            journal_head=self.head.hash,
            release_digest=state.release.digest,
            policy_digest=state.policy_digest,
            roster_digest=state.roster_digest,
            evidence_digest=seal.evidence_digest,
            postmortem_digest="sha256:" + "d" * 64 if verb is Verb.RESUME else "",
            not_before_ms=self.now,
            expires_ms=self.now + 60_000,
            reason="because",
            subject=subject,
        )
        return Command.model_validate({**base.model_dump(), **changes})

    @property
    def head(self) -> Head:
        """The hash of the last entry, as in a journal written by one process."""
        self._head = grown(self._head, self.journal)
        return self._head

    def verified(self, command: Command, *signers: str) -> VerifiedCommand:
        envelope = propose(command)
        for name in signers:
            envelope = sign_with_file_key(envelope, self.keys[name])
        assert self.state.roster is not None
        return verify(envelope.text, self.state.roster, self.now)

    def submit(self, command: Command, *signers: str, anchored: bool = True) -> CommandReply:
        reply = self.give(i.CommandSubmitted(self.verified(command, *signers), anchored=anchored, seen=self.seen())).reply
        assert isinstance(reply, CommandReply)
        return reply

    def move(self, verb: Verb, stage: Stage, step: int = 0, *, signers: tuple[str, ...] = ("alice", "bob")) -> CommandReply:
        return self.submit(self.command(verb, Position(stage, step)), *signers)

    def ask(self, verb: Verb, subject: str, *signers: str, **changes: object) -> CommandReply:
        """Propose, sign and submit a verb that is not a move."""
        return self.submit(
            self.command(verb, target_of(self.state, verb), subject=subject, **changes), *(signers or ("alice", "bob"))
        )

    def trade(self, count: int) -> None:
        """Buy and sell a small amount, so that gates have orders and fills to judge."""
        for _ in range(count):
            self.pass_time(200)
            bought = self.placed(self.order("0.00003"))
            self.fill(bought, "0.00003")
            self.give(i.VenueReported(self.state.orders[bought].venue, self.report(bought, OrderStatus.FILLED, "0.00003")))
            sold = self.placed(self.order("0.00003", side=Side.SELL))
            self.fill(sold, "0.00003")
            self.give(i.VenueReported(self.state.orders[sold].venue, self.report(sold, OrderStatus.FILLED, "0.00003")))

    def walk_to(self, stage: Stage, step: int = 0) -> Desk:
        """Move up to a stage with trades, evidence and signatures."""
        if self.state.seq == 0:
            self.arm()
        target = Position(stage, step)
        while self.state.position != target:
            self.trade(6)
            self.run(40_000)
            here = self.state.position
            if here.stage in {Stage.LIVE_EUR10, Stage.RAMPING}:
                reply = self.move(Verb.RAMP, Stage.RAMPING, here.step + 1)
            else:
                order = (Stage.MOCK, Stage.TESTNET_VALIDATING, Stage.VALIDATED, Stage.LIVE_EUR10)
                reply = self.move(Verb.ADVANCE, order[order.index(here.stage) + 1])
            assert not reply.code, reply
            if reply.applies_at is not None:
                self.run(reply.applies_at - self.now)
        return self

    def events(self, kind: type[e.Event]) -> list[e.Event]:
        return [event for event, _ in self.journal if isinstance(event, kind)]

    @property
    def market_venue(self) -> VenueName:
        assert self.state.venue is not None
        return market_of(self.state.venue)


def with_policy(**changes: object) -> Policy:
    """The demo policy with some top-level sections changed, still validated."""
    return Policy.model_validate({**demo_policy().model_dump(), **changes})


def digest(data: str) -> str:
    return canonical.digest(data.encode())


__all__ = ["RULES", "START", "SYMBOL", "D", "Desk", "demo_policy", "digest", "replace", "with_policy"]
