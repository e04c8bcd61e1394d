"""The signer's decisions: one request in, one answer out. It never raises, and it signs an order only after every check.

Queries and cancels are always signed. A new order needs a permit that has not run out, of the epoch that leads, and the signer's
own limits; on the live account also the signed authority (``grants``) and the signer's own count (``ledger``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from types import MappingProxyType

from controller.signer import protocol
from controller.signer.grants import Grant, Grants
from controller.signer.ledger import Buys, Rate
from controller.signer.protocol import Kind, PermitFrame
from exchange.errors import GatehouseError, UsageError
from exchange.mexc.signer import SignerLimits, check_key, check_limits, check_query, read_order, refused
from exchange.model import OrderIntent, Side
from exchange.ports import Clock
from exchange.wire.numbers import plain
from exchange.wire.order_tests import PARITY_ID
from exchange.wire.signing import SigningKey
from policies.stage import Stage

PERMIT_MOST_NS = 5_000_000_000
"""No permit lives longer (``controller.runtime.loop.permit``); one that claims more is refused."""

TEST_ORDERS = frozenset({"gh-check-buy-limit", "gh-check-sell-limit", "gh-check-buy-market", "gh-check-sell-market"})
"""The client ids of the test orders of ``exchange.mexc.account_checks``: the only orders signed before the move to real money."""

_TEST_EVERY_NS, _TEST_BURST = 7_500_000_000, 12
"""How often a test order is signed: the account checks make four a minute."""

_ASK_EVERY_NS, _ASK_BURST = 15_000_000_000, 4
"""How often a question about an order of the testnet is signed (``exchange.wire.order_tests``): four a minute."""

_TESTED_AT = frozenset({Stage.VALIDATED, Stage.LIVE_EUR10, Stage.RAMPING})
_ASKED_AT = frozenset({Stage.TESTNET_VALIDATING, Stage.VALIDATED})
_SECOND_NS = 1_000_000_000
_ZERO = Decimal(0)
_MAKE_ROOM = "Free space on the disk of the signer's file."


@dataclass(frozen=True, slots=True)
class LiveAuthority:
    """What binds the live account beyond the signer's limits.

    ``buys_most``: how many times the cap the buys of a day may add up to; ``quote_per_eur`` turns the cap into the quote asset.
    """

    grants: Grants
    buys: Buys
    buys_most: int
    quote_per_eur: Decimal

    @property
    def cap(self) -> Decimal:
        """The cap that is granted now, in the quote asset."""
        return self.grants.cap_eur * self.quote_per_eur

    @property
    def budget(self) -> Decimal:
        """The notional of all buys that may be signed in a day, in the quote asset."""
        return self.cap * self.buys_most


class Account:
    """One account's secret and its limits. No answer shows the secret."""

    def __init__(
        self, api_key: str, secret: str, limits: SignerLimits, orders_per_second: int, live: LiveAuthority | None = None
    ) -> None:
        """``live`` is what binds the account with real money. Raises ``ConfigError`` for a key or secret that was copied badly."""
        check_key(api_key, secret)
        self._key = SigningKey(secret)
        self._limits = limits
        self._rate = Rate(_SECOND_NS // orders_per_second, 2 * orders_per_second)
        self._tests = Rate(_TEST_EVERY_NS, _TEST_BURST)
        self._asks = Rate(_ASK_EVERY_NS, _ASK_BURST)
        self.live = live

    def sign_query(self, payload: str) -> str:
        """Sign a query or a cancel. Raises ``Refused``."""
        check_query(payload)
        return self._key.sign(payload)

    def sign_order(self, payload: str, now_ns: int, clock: Clock, *, exit_only: bool) -> str:
        """Sign a new order whose permit was checked. Raises ``Refused``."""
        order = read_order(payload)
        notional = check_limits(order, self._limits)
        if exit_only and order.side is not Side.SELL:
            raise refused("a permit for the way out signs sells only", "signer-exit")
        if self.live is not None:
            self._check_live(self.live, order, notional, now_ns, clock, exit_only=exit_only)
        self._rate.take(now_ns)
        if self.live is not None and order.side is Side.BUY and self.live.cap > 0:
            self.live.buys.add(notional or _ZERO, self.live.budget, clock.now())
        return self._key.sign(payload)

    def _check_live(
        self, live: LiveAuthority, order: OrderIntent, notional: Decimal | None, now_ns: int, clock: Clock, *, exit_only: bool
    ) -> None:
        grant = live.grants.grant
        if grant is None:
            raise refused("the signer has seen no signed command that allows orders with real money", "signer-no-authority")
        if exit_only:
            return
        if live.cap <= 0:
            if order.client_id in TEST_ORDERS and grant.stage in _TESTED_AT:
                # The account is examined before real money is allowed, and a signature cannot say that it is for `order/test` only.
                self._tests.take(now_ns)
                return
            if order.client_id == PARITY_ID and grant.stage in _ASKED_AT:
                self._asks.take(now_ns)
                return
            raise refused(f"nothing is granted on the live account after the move to {grant.stage}", "signer-no-authority")
        if order.side is Side.BUY:
            _check_buy(live, grant, order, notional or _ZERO, clock)


def _check_buy(live: LiveAuthority, grant: Grant, order: OrderIntent, notional: Decimal, clock: Clock) -> None:
    if order.symbol not in grant.symbols:
        raise refused(f"{order.symbol} is not one of the symbols that were signed for {grant.stage}", "signer-symbol")
    if notional > live.cap:
        raise refused(f"a buy of {plain(notional)} exceeds the cap of {plain(live.cap)} that was signed", "signer-cap")
    live.buys.check(notional, live.budget, clock.now())


class SignerService:
    """Answers requests. ``accounts`` are in the order of ``protocol.VENUES``."""

    def __init__(self, accounts: Sequence[Account], clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock
        self._epoch = 0
        self._serial = 0
        self._kinds: Mapping[int, Callable[[Account, bytes], bytes]] = MappingProxyType(
            {
                Kind.ORDER: self._order,
                Kind.QUERY: lambda account, body: account.sign_query(body.decode("ascii")).encode(),
                Kind.LEAD: self._lead,
                Kind.COMMAND: self._command,
                Kind.LOWER: self._lower,
                Kind.BUDGET: self._budget,
                Kind.PING: lambda *_: b"",
            }
        )

    def answer(self, message: bytes) -> bytes:
        """The answer to one request; a message that is not a request gets a refusal."""
        number = 0
        try:
            kind, venue, number, body = protocol.read_request(message)
            return protocol.done(number, self._kinds[kind](self._accounts[venue], body))
        except GatehouseError as error:
            return protocol.not_done(number, error.code, error.message, error.remedy)
        except (ValueError, LookupError, InvalidOperation):
            return protocol.not_done(number, "signer-malformed", "not a request", "Run controller and signer of one version.")
        except OSError as error:
            return protocol.not_done(number, "signer-memory", f"the signer cannot save what it must remember: {error}", _MAKE_ROOM)

    def _order(self, account: Account, body: bytes) -> bytes:
        permit, payload = protocol.read_order_body(body)
        now_ns = self._clock.monotonic_ns()
        self._check_permit(permit, now_ns)
        return account.sign_order(payload, now_ns, self._clock, exit_only=permit.exit_only).encode()

    def _check_permit(self, permit: PermitFrame, now: int) -> None:
        if permit.epoch != self._epoch or not self._epoch:
            raise refused(f"the permit is of epoch {permit.epoch}, and {self._epoch or 'none'} leads", "permit-epoch")
        if permit.serial < self._serial and not permit.exit_only:
            raise refused("a newer permit has replaced this one", "permit-not-live")
        if not now < permit.deadline_ns <= now + PERMIT_MOST_NS:
            raise refused("the trading permit has run out, or claims to live too long", "permit-not-live")
        self._serial = max(self._serial, permit.serial)

    def _lead(self, _: Account, body: bytes) -> bytes:
        epoch = int(body)
        if epoch < self._epoch:
            raise refused(f"epoch {epoch} is over, and {self._epoch} leads", "permit-epoch")
        if epoch > self._epoch:
            self._epoch, self._serial = epoch, 0
        return b""

    def _command(self, account: Account, body: bytes) -> bytes:
        _live(account).grants.command(body.decode(), self._clock.now())
        return b""

    def _budget(self, account: Account, _: bytes) -> bytes:
        live = _live(account)
        return protocol.budget_body(live.buys.budget(live.budget, self._clock.now()))

    def _lower(self, account: Account, body: bytes) -> bytes:
        cap = Decimal(body.decode("ascii"))
        if not cap >= 0:
            raise ValueError("a cap is not negative")
        _live(account).grants.lower(cap)
        return b""


def _live(account: Account) -> LiveAuthority:
    if account.live is None:
        raise UsageError("this account has no authority", code="signer-malformed", remedy="Send it for the live account.")
    return account.live
