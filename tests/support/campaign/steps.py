"""What can happen in a campaign: every step as a name and plain numbers, drawn from a seed, and carried out on a world.

A step has everything it needs, so that a list of steps can be shortened, printed as JSON, and replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from functools import cache
from random import Random
from typing import Any

from immutables import Map

from controller.core import inputs as i
from controller.core.lifecycle import Position
from exchange.errors import Refused
from exchange.model import OrderIntent, OrderType, Side
from exchange.ports import VenueName
from policies.authority import Verb
from policies.document import load_policy
from policies.stage import RISK_ORDER, Stage
from policies.values import replace as evolve
from tests.support.campaign.dialect import KINDS, Dialect, drawn_dialect
from tests.support.campaign.venue import CampaignVenue
from tests.support.campaign.world import Fate, World
from tests.support.desk import Desk
from tests.support.desk_parts import SYMBOL
from tests.support.rig import quick_policy

Step = tuple[str, tuple[Any, ...]]
D = Decimal

STARTS = (
    (Stage.MOCK, 0),
    (Stage.TESTNET_VALIDATING, 0),
    (Stage.VALIDATED, 0),
    (Stage.LIVE_EUR10, 0),
    (Stage.RAMPING, 1),
    (Stage.RAMPING, 2),
)
START_WEIGHTS = (8, 16, 8, 40, 16, 12)

WAYS = ("ack", "lost-ack", "late-ack", "late-arrival", "never", "503-before", "503-after", "refused", "429", "reset")
WAY_WEIGHTS = (50, 9, 8, 8, 5, 4, 6, 4, 3, 3)
LAGS = (0, 0, 4_000, 9_000, 15_000, 20_000, 30_000)
AT_THE_TOUCH = 1
"""The distance of a limit at the best price of the other side: the rest of what trades there at once is equal to it."""

DISTANCES = (0, 0, 5, 30, -5, -20, -60, -90, 150, AT_THE_TOUCH)
TYPES = (
    OrderType.LIMIT,
    OrderType.LIMIT,
    OrderType.LIMIT,
    OrderType.LIMIT_MAKER,
    OrderType.IMMEDIATE_OR_CANCEL,
    OrderType.FILL_OR_KILL,
    OrderType.MARKET,
)


@cache
def base(start: int) -> Desk:
    """A deployment that stands at one of ``STARTS``."""
    stage, step = STARTS[start]
    desk = Desk(load_policy(quick_policy().encode())).walk_to(stage, step)
    desk.run(4_000)
    desk.sweep_all()
    # The desk's venues number trades alike; those of a campaign may not, and the deployment has to learn it again.
    ledgers = {name: evolve(ledger, one_numbering=False) for name, ledger in desk.state.ledgers.items()}
    desk.state = evolve(desk.state, ledgers=Map(ledgers))
    return desk


# What is drawn


def _fate(dice: Random) -> tuple[str, int, int, int]:
    (way,) = dice.choices(WAYS, WAY_WEIGHTS)
    connect = dice.choice((0, 0, 0, 0, 40, 300, 1_500, 2_500))
    hidden = dice.choice((0, 0, 0, 0, 0, 800, 6_000, 20_000))
    return way, connect, hidden, dice.choice((200, 900, 2_500, 4_900))


def _order(dice: Random) -> tuple[Any, ...]:
    side = "SELL" if dice.random() < 0.3 else "BUY"
    bot_id = dice.choice(("", "", "", "", "a", "b", "c"))
    return side, dice.randrange(len(TYPES)), dice.randint(2, 11), dice.choice(DISTANCES), bot_id, _fate(dice)


def _burst(dice: Random) -> tuple[Any, ...]:
    return dice.randint(3, 6), dice.randint(5, 10), dice.choice((0, -5, -30)), dice.choice((0, 1, 30, 900, 1_700)), _fate(dice)


ODD = ("symbol", "negative", "huge", "tiny", "no price", "both", "wrong key", "other bot", "by quote")
SIGNED = ("advance", "ramp", "demote", "halt", "one signature", "expired", "again")


def _doubt(dice: Random) -> tuple[Any, ...]:
    stuck, hidden = dice.choice(((False, 0), (False, 20_000), (True, 0), (True, 0)))
    return stuck, hidden, dice.randint(2, 9), dice.choice((-30, -30, 5)), dice.choice((11_500, 13_000)), dice.random() < 0.5


def _equal_trades(dice: Random) -> tuple[Any, ...]:
    size, apart = dice.choice((10, 10, 20, 50)), dice.choice((0, 0, 1, 300, 900, 2_100))
    return dice.randint(0, 9), size, dice.randint(1, 3), apart, dice.choice((0, 0, 0, 1, 1, 2))


def _fault(dice: Random) -> tuple[Any, ...]:
    kind = dice.choice(("lag", "lag", "freeze", "down", "down", "slow", "repeat", "swap", "cancels lost", "cancels late"))
    return kind, dice.choice((300, 1_500, 4_000, 9_000, 20_000)), dice.choice(LAGS), dice.choice(LAGS), dice.randint(1, 3)


DRAWS: dict[str, tuple[int, Callable[[Random], tuple[Any, ...]]]] = {
    "order": (30, _order),
    "burst": (4, _burst),
    "odd": (4, lambda dice: (dice.randrange(len(ODD)), dice.randint(1, 9))),
    "cancel": (8, lambda dice: (dice.randint(0, 9), dice.random() < 0.1)),
    "wait": (22, lambda dice: (dice.choice((1, 20, 60, 200, 600, 1_200, 2_500, 4_000)),)),
    "long wait": (1, lambda dice: (dice.choice((8_000, 16_000, 35_000)),)),
    "move": (9, lambda dice: (dice.randint(-60, 60),)),
    "gap": (1, lambda dice: (dice.choice((-5_000, -1_500, -400, 400, 1_500, 5_000)),)),
    "trade": (8, lambda dice: (dice.randint(0, 9), dice.randint(1, 4))),
    "equal trades": (4, _equal_trades),
    "fault": (9, _fault),
    "doubt": (1, _doubt),
    "feed": (1, lambda dice: (dice.choice((900, 900, 1_800, 2_500, 6_000, 17_000)), dice.random() < 0.5)),
    "clock": (1, lambda dice: (dice.choice((450, -450, 600, -700, 2_000)), dice.choice((500, 500, 3_000, 20_000)))),
    "heal": (2, lambda dice: ()),
    "foreign": (1, lambda dice: (dice.randint(0, 60),)),
    "halt": (1, lambda dice: (dice.randint(0, 1),)),
    "leave halt": (3, lambda dice: (dice.randint(0, 3),)),
    "signed": (2, lambda dice: (dice.randrange(len(SIGNED)), dice.randint(0, 9))),
    "flatten": (1, lambda dice: (_fate(dice), dice.choice((0, 700, 3_000)))),
    "restart": (2, lambda dice: (dice.randint(0, 255), dice.random() < 0.1)),
    "die before acting": (1, lambda dice: ()),
}
_NAMES = tuple(DRAWS)
_WEIGHTS = tuple(weight for weight, _ in DRAWS.values())


def drawn(seed: int, number: int) -> tuple[int, list[Step]]:
    """Sequence ``number`` of a seed: where it starts, the dialect of its venues, and its 10 to 60 steps."""
    dice = Random(f"{seed} {number}")
    (start,) = dice.choices(range(len(STARTS)), START_WEIGHTS)
    names = dice.choices(_NAMES, _WEIGHTS, k=10 + int(51 * dice.random() ** 3))
    return start, [("dialect", drawn_dialect(dice)), *((name, DRAWS[name][1](dice)) for name in names)]


# What is done


class Play:
    """Carries steps out on one world."""

    def __init__(self, start: int) -> None:
        self.world = World(base(start))
        self.world.reached[f"start: {STARTS[start][0]}"] += 1
        self.commands: list[Any] = []

    def step(self, step: Step) -> None:
        """Carry one step out, and compare with the books."""
        name, arguments = step
        self.world.reached[f"step: {name}"] += 1
        getattr(self, "_" + name.replace(" ", "_"))(*arguments)
        self.world.judge.books()

    def end(self, *, settle: bool) -> None:
        """``settle``: the journal folds to the state, the faults end, time passes, and the books have to agree."""
        if settle:
            self.world.check_fold()
            self._heal()
            self.world.pass_time(9_500)
            self.world.judge.books()
            self.world.judge.quiet()

    def _dialect(self, *forms: bool) -> None:
        dialect = Dialect(*forms)
        for name in (VenueName.TESTNET, VenueName.LIVE):
            self.world.venues[name].dialect = dialect
        if dialect.renumbered:
            # It contradicts itself, so the deployment may halt. It books nothing twice.
            self.world.knows_one_numbering()
            self.world.lied = True
        for kind, holds in zip(KINDS, forms, strict=True):
            self.world.reached[f"dialect: {kind.replace('_', ' ')}"] += holds

    # A bot

    def _intent(self, side: str, type_: OrderType, size: int, bps: int, bot_id: str) -> OrderIntent:
        price = (self.world.shown_price * (10_000 + bps) / 10_000).quantize(D("0.01"), ROUND_DOWN)
        if abs(bps) == AT_THE_TOUCH:
            bid, ask = CampaignVenue.best(self.world.shown_price)
            price = ask if side == "BUY" else bid
        return OrderIntent(SYMBOL, Side(side), type_, bot_id, D(size) / 100_000, None, None if type_ is OrderType.MARKET else price)

    def _order(self, side: str, type_: int, size: int, bps: int, bot_id: str, fate: tuple[str, int, int, int]) -> None:
        kind, held = TYPES[type_], self._venue().held
        if side == "SELL" and not held and size % 4:
            # A sale of nothing is denied, and most of them should not be.
            side = "BUY"
        if side == "SELL":
            bps, size = -bps, min(size, int(held * 100_000)) if held and size % 4 else size
        self.world.bot_orders(self._intent(side, kind, size, bps, bot_id), _fated(fate))

    def _burst(self, count: int, size: int, bps: int, apart_ms: int, fate: tuple[str, int, int, int]) -> None:
        for number in range(count):
            self.world.bot_orders(self._intent("BUY", OrderType.LIMIT, size, bps, ""), _fated(fate) if number % 2 else Fate())
            self.world.pass_time(apart_ms)

    def _odd(self, which: int, size: int) -> None:
        plain, kind = self._intent("BUY", OrderType.LIMIT, size, 0, ""), ODD[which]
        self.world.reached[f"odd: {kind}"] += 1
        changed = {
            "symbol": replace(plain, symbol="ETHUSDT"),
            "negative": replace(plain, quantity=D(-size)),
            "huge": replace(plain, quantity=D(size)),
            "tiny": replace(plain, quantity=D(size) / 1_000_000),
            "no price": replace(plain, price=None),
            "both": replace(plain, quote_quantity=D(size)),
            "by quote": replace(plain, type=OrderType.MARKET, quantity=None, price=None, quote_quantity=D(size)),
        }
        key = "nobody" if kind == "wrong key" else ""
        bot = "other-bot" if kind == "other bot" else "demo-bot"
        self.world.bot_orders(changed.get(kind, plain), Fate(), bot=bot, key=key)

    def _cancel(self, which: int, unknown: bool) -> None:
        orders = sorted(self.world.state.open.values(), key=lambda order: order.number)
        client_id = "gh-nobody" if unknown or not orders else orders[which % len(orders)].client_id
        self.world.give(i.CancelAsked("demo-bot", client_id))

    # Time and the market

    def _wait(self, ms: int) -> None:
        self.world.pass_time(ms)

    _long_wait = _wait

    def _move(self, bps: int) -> None:
        price = self.world.price * (10_000 + bps) / 10_000
        self.world.set_price(price.quantize(D("0.01"), ROUND_DOWN))

    def _gap(self, bps: int) -> None:
        self._move(bps)
        self.world.tick()

    def _trade(self, which: int, part: int) -> None:
        self._venue().print_trade(which, part, self.world.now)

    def _equal_trades(self, which: int, steps: int, count: int, apart_ms: int, losses: int) -> None:
        venue = self._venue()
        venue.faults.losses = losses
        for _ in range(count):
            venue.print_equal(which, steps, self.world.now)
            self.world.pass_time(apart_ms)
        venue.faults.losses = 0

    def _venue(self) -> CampaignVenue:
        return self.world.venues[self.world.state.watched or VenueName.MOCK]

    # Faults

    def _fault(self, kind: str, ms: int, first: int, second: int, count: int) -> None:
        venue, now = self._venue(), self.world.now
        if venue.name is VenueName.MOCK:
            return
        faults = venue.faults
        self.world.reached[f"fault: {kind}"] += 1
        match kind:
            case "lag":
                faults.lag_until, faults.order_lag, faults.account_lag, faults.stuck_at = now + ms, first, second, 0
                self.world.lied = self.world.lied or bool(first or second)
            case "freeze":
                faults.frozen_until = now + ms
            case "down":
                faults.down_until = now + ms
            case "slow":
                faults.slow_until = now + ms
            case "repeat":
                faults.repeats = count
            case "swap":
                faults.swaps = count
            case "cancels lost":
                faults.cancels_lost = count
            case "cancels late":
                faults.cancels_late = count

    def _doubt(self, stuck: bool, hidden: int, size: int, bps: int, wait: int, younger: bool) -> None:
        """A trade, and then an order without an answer, while the stream is silent and every answer is old or hides it."""
        world, venue = self.world, self._venue()
        if venue.name is VenueName.MOCK:
            return
        world.bot_orders(self._intent("BUY", OrderType.LIMIT, 4, -20, ""), Fate())
        world.pass_time(200)
        venue.print_trade(0, 1, world.now)
        world.pass_time(3_500)
        faults = venue.faults
        faults.frozen_until = world.now + wait + 4_000
        if stuck:
            faults.lag_until, faults.stuck_at, world.lied = faults.frozen_until, int(world.now), True
        world.bot_orders(self._intent("BUY", OrderType.LIMIT, size, bps, ""), Fate("lost-ack", 0, hidden))
        world.pass_time(wait)
        if younger:
            world.bot_orders(self._intent("BUY", OrderType.LIMIT, 2, -60, ""), Fate())
        world.pass_time(4_000)

    def _feed(self, ms: int, waits: bool) -> None:
        world = self.world
        world.feed_stopped_at, world.feed_until = world.feed_stopped_at or world.now, world.now + ms
        if waits:
            world.pass_time(min(ms + 300, 9_000))

    def _clock(self, ms: int, lasts: int) -> None:
        self.world.set_clocks(ms)
        self.world.offset_until = self.world.now + lasts

    def _heal(self) -> None:
        world = self.world
        for venue in world.venues.values():
            faults, now = venue.faults, int(world.now)
            venue.show_everything()
            faults.down_until, faults.frozen_until = min(faults.down_until, now), min(faults.frozen_until, now)
            faults.lag_until, faults.slow_until = min(faults.lag_until, now), min(faults.slow_until, now)
            faults.repeats = faults.swaps = faults.cancels_lost = faults.cancels_late = 0
        world.exit_fate = Fate()
        world.feed_until = world.offset_until = int(world.now)

    def _foreign(self, number: int) -> None:
        if number > 6:
            return
        self.world.lied = True
        self._venue().place_foreign(number, self.world.now)

    # People

    def _halt(self, signed: int) -> None:
        if signed:
            self._signed(SIGNED.index("halt"), 0)
            return
        self.world.give(i.HaltAsked("an operator", "stop"))

    def _leave_halt(self, how: int) -> None:
        if self.world.state.position.stage is not Stage.HALTED:
            return
        stage = (Stage.LIVE_EUR10, Stage.LIVE_EUR10, Stage.VALIDATED, Stage.MOCK)[how]
        self.world.pass_time(1_100)
        verb = Verb.RESET if stage is Stage.MOCK else Verb.RESUME
        self._submit(verb, Position(stage), ("alice",) if verb is Verb.RESET else ("alice", "bob"))

    def _flatten(self, fate: tuple[str, int, int, int], ms: int) -> None:
        world = self.world
        if self._venue().held:
            world.exit_fate = _fated(fate)
            self._submit(Verb.FLATTEN, world.state.position, ("alice",), subject="all")
            world.pass_time(ms)

    def _signed(self, which: int, number: int) -> None:
        world, kind = self.world, SIGNED[which]
        here = world.state.position
        match kind:
            case "advance":
                if here.stage in RISK_ORDER[:3]:
                    self._up(Verb.ADVANCE, Position(RISK_ORDER[RISK_ORDER.index(here.stage) + 1]))
            case "ramp":
                if here.stage in RISK_ORDER[3:]:
                    self._up(Verb.RAMP, Position(Stage.RAMPING, here.step + 1))
            case "demote":
                if here.stage in RISK_ORDER[1:]:
                    lower = RISK_ORDER[: RISK_ORDER.index(here.stage)]
                    self._submit(Verb.DEMOTE, Position(lower[-1 - number % len(lower)]), ("alice",))
            case "halt":
                self._submit(Verb.HALT, Position(Stage.HALTED), ("carol",))
            case "one signature":
                self._submit(Verb.RAMP, Position(Stage.RAMPING, here.step + 1), ("alice",))
            case "expired" | "again":
                self._old_command(kind, number)

    def _up(self, verb: Verb, target: Position) -> None:
        if target.stage is Stage.LIVE_EUR10:
            self.world.give(i.AccountExamined(VenueName.LIVE, 9, ()))
        self._submit(verb, target, ("alice", "bob"))

    def _submit(self, verb: Verb, target: Position, signers: tuple[str, ...], *, subject: str = "") -> None:
        world = self.world
        try:
            command = world.command(verb, target, subject=subject)
        except Refused as error:
            world.reached[f"proposal: refused, {error.code}"] += 1
            return
        verified = world.verified(command, *signers)
        self.commands.append(verified)
        reply = world.give(i.CommandSubmitted(verified, anchored=True, seen=world.seen())).reply
        code = getattr(reply, "code", "")
        world.reached[f"command: {verb}" if not code else f"command: {verb} refused"] += 1

    def _old_command(self, kind: str, number: int) -> None:
        if not self.commands:
            return
        if kind == "expired":
            self.world.pass_time(2_000)
        before = self.world.state.position
        self.world.give(i.CommandSubmitted(self.commands[number % len(self.commands)], anchored=True, seen=self.world.seen()))
        after = self.world.state.position
        if after.risk > before.risk:
            self.world.reached["command: an old one moved up"] += 1

    # The process

    def _restart(self, kept: int, new_release: bool) -> None:
        world = self.world
        if new_release:
            digest = f"sha256:{world.epoch + 1:064x}"
            world.release = replace(world.release, version=str(world.epoch + 1), digest=digest)
        world.restart(kept=kept)

    def _die_before_acting(self) -> None:
        self.world.dies_before_acting = True


def _fated(fate: tuple[str, int, int, int]) -> Fate:
    return Fate(*fate)
