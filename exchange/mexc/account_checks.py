"""Checks on the venue whether an account is ready for real orders. ``gatehouse doctor`` and the gate ``live-ready`` use it.

Nothing is placed and no money is moved. A pair can be listed, open on the web and closed to a key (mexc-spot-v3.md §6), and no call
lists the permissions of a key (§5). So each permission is proved by a harmless use: ``order/test`` on both sides for trading, the
cancel of a withdrawal that does not exist, and a query about transfers; the last two must be refused with 700007.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from http import HTTPStatus

from exchange.errors import GatehouseError, VenueError
from exchange.mexc.account import DEPOSITS, TRANSFERS, WITHDRAWALS
from exchange.mexc.client import MexcVenue
from exchange.mexc.rest import VenueRefusal
from exchange.model import OrderIntent, OrderType, Side, SymbolRules, round_up
from exchange.ports import Permit
from exchange.wire.errors import ErrorCode
from exchange.wire.numbers import plain

_LACKS_BALANCE = frozenset(
    {
        ErrorCode.INSUFFICIENT_BALANCE,
        ErrorCode.INSUFFICIENT_POSITION,
        ErrorCode.INSUFFICIENT_POSITION_2,
        ErrorCode.OVERSOLD,
    }
)
_HEADROOM = Decimal("1.05")
"""Factor by which a test order exceeds the minimum, so that rounding and a moving price keep it above."""


@dataclass(frozen=True, slots=True)
class AccountCheck:
    """The result of one check. ``remedy`` is empty if there is nothing to do; ``code`` is the error's, if it could not be made."""

    name: str
    ok: bool
    measured: str
    expected: str
    remedy: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Demands:
    """What the account must be able to do.

    ``order_notional_most`` is the largest order that can be placed, in the quote asset; ``offset_most_ms`` the largest
    clock offset that guards allow. ``powerless_key`` requires a key that cannot move money; a simulated venue needs none.
    ``assets`` are those in which a loss is counted.
    """

    symbols: tuple[str, ...]
    order_notional_most: Decimal
    offset_most_ms: int = 500
    powerless_key: bool = True
    assets: tuple[str, ...] = ()


_NO_WITHDRAWAL, _NO_TRANSFER, _REFUSED = "key cannot withdraw", "key cannot transfer", "refused with 700007"
_WEAKER_KEY = (
    "Use a key with SPOT_ACCOUNT_READ, SPOT_DEAL_READ and SPOT_DEAL_WRITE, with SPOT_WITHDRAW_READ if deposits are to be "
    "recognised, and nothing else."
)

Measure = Callable[[], Awaitable[AccountCheck]]


async def check_account(venue: MexcVenue, permit: Callable[[], Permit], demands: Demands) -> tuple[AccountCheck, ...]:
    """Run every check, in order. A check that cannot be made fails and says why; nothing is raised.

    ``permit`` gives a live permit: the signature of a test order would also sign the order.
    """
    rows = [
        await _row("clock", f"at most {demands.offset_most_ms} ms off", lambda: _clock(venue, demands)),
        await _row("account may trade", "yes", lambda: _may_trade(venue)),
    ]
    rows.append(await _row("fees in MX", "off", lambda: _fees_in_mx(venue, demands)))
    for symbol in demands.symbols:
        rows += await _symbol_rows(venue, permit, symbol, demands)
    if demands.powerless_key:
        rows.append(await _row(_NO_WITHDRAWAL, _REFUSED, lambda: _cannot_withdraw(venue)))
        rows.append(await _row(_NO_TRANSFER, _REFUSED, lambda: _cannot_transfer(venue)))
    return tuple(rows)


async def _symbol_rows(venue: MexcVenue, permit: Callable[[], Permit], symbol: str, demands: Demands) -> list[AccountCheck]:
    found: dict[str, SymbolRules] = {}

    async def rules() -> AccountCheck:
        found.update(await venue.symbol_rules([symbol]))
        return _rules(symbol, found.get(symbol))

    rows = [
        await _row(f"{symbol} rules", "listed, trading, both sides open", rules),
        await _row(f"{symbol} open to this key", "in selfSymbols", lambda: _open_to_key(venue, symbol)),
    ]
    listed = found.get(symbol)
    if listed is None:
        return rows
    rows.append(_minimum(listed, demands.order_notional_most))
    rows.append(await _row(f"{symbol} fee", "not above the listed fee", lambda: _fee(venue, listed)))
    kinds = [OrderType.LIMIT] + ([OrderType.MARKET] if OrderType.MARKET in listed.order_types else [])
    for kind in kinds:
        for side in Side:
            rows.append(await _test_order(venue, permit(), listed, kind, side))  # noqa: PERF401 - a comprehension hides the awaits
    return rows


async def _row(name: str, expected: str, measure: Measure) -> AccountCheck:
    try:
        return await measure()
    except GatehouseError as error:
        return _not_made(name, expected, error)


def _not_made(name: str, expected: str, error: GatehouseError) -> AccountCheck:
    return AccountCheck(name, ok=False, measured=error.message, expected=expected, remedy=error.remedy, code=error.code)


async def _clock(venue: MexcVenue, demands: Demands) -> AccountCheck:
    for _ in range(3):
        await venue.server_time()
    reading = venue.clock_reading
    expected = f"at most {demands.offset_most_ms} ms off"
    if reading is None:
        return AccountCheck("clock", ok=False, measured="not measured", expected=expected, remedy="Ask the venue again.")
    measured = f"{reading.offset_ms} ms off, give or take {reading.uncertainty_ms} ms, measured {reading.age_ms} ms ago"
    if abs(reading.offset_ms) + reading.uncertainty_ms <= demands.offset_most_ms:
        return AccountCheck("clock", ok=True, measured=measured, expected=expected)
    certain = abs(reading.offset_ms) - reading.uncertainty_ms > demands.offset_most_ms
    remedy = "Synchronise this machine's clock." if certain else "The venue answers too slowly to tell; check the network."
    return AccountCheck("clock", ok=False, measured=measured, expected=expected, remedy=remedy)


async def _may_trade(venue: MexcVenue) -> AccountCheck:
    ok = (await venue.account.account()).can_trade
    remedy = "" if ok else "Ask MEXC why the account may not trade."
    return AccountCheck("account may trade", ok=ok, measured="yes" if ok else "no", expected="yes", remedy=remedy)


async def _fees_in_mx(venue: MexcVenue, demands: Demands) -> AccountCheck:
    """MX leaves the account with every trade where deduction is on, and only a policy that names MX counts it as a loss."""
    try:
        on = await venue.account.pays_fees_in_mx()
    except VenueRefusal as refusal:
        if refusal.error.http_status != HTTPStatus.NOT_FOUND:
            raise
        return AccountCheck("fees in MX", ok=True, measured="the venue has no such switch", expected="off")
    ok = not on or "MX" in demands.assets
    remedy = "" if ok else "Switch off paying fees with MX on MEXC's fee page; gatehouse halts at a fee in MX."
    return AccountCheck("fees in MX", ok=ok, measured="on" if on else "off", expected="off", remedy=remedy)


def _rules(symbol: str, rules: SymbolRules | None) -> AccountCheck:
    faults = ["not listed"] if rules is None else _faults(rules)
    return AccountCheck(
        f"{symbol} rules",
        ok=not faults,
        measured=", ".join(faults) or "as expected",
        expected="listed, trading, open to API orders on both sides",
        remedy="Choose another symbol; this one cannot be traded in this way." if faults else "",
    )


def _faults(rules: SymbolRules) -> list[str]:
    named: Sequence[tuple[bool, str]] = (
        (rules.trading, "not trading"),
        (rules.api_allowed, "closed to API orders"),
        (rules.buy_allowed, "buying suspended"),
        (rules.sell_allowed, "selling suspended"),
        (OrderType.LIMIT in rules.order_types, "no LIMIT orders"),
    )
    return [fault for fine, fault in named if not fine]


async def _open_to_key(venue: MexcVenue, symbol: str) -> AccountCheck:
    listed = await venue.account.self_symbols()
    ok = symbol in listed
    return AccountCheck(
        f"{symbol} open to this key",
        ok=ok,
        measured=f"{'among' if ok else 'not among'} the {len(listed)} pairs of this key",
        expected="in selfSymbols",
        remedy="" if ok else "Add the pair to the key's whitelist on MEXC's API page, or choose one of its pairs.",
    )


def _minimum(rules: SymbolRules, most: Decimal) -> AccountCheck:
    ok = rules.min_notional * _HEADROOM <= most
    return AccountCheck(
        f"{rules.symbol} minimum",
        ok=ok,
        measured=f"{plain(rules.min_notional)} {rules.quote}",
        expected=f"5 % below the largest order, {plain(most)} {rules.quote}",
        remedy="" if ok else "No order can be placed: choose a symbol with a smaller minimum, or raise the order limit.",
    )


async def _fee(venue: MexcVenue, rules: SymbolRules) -> AccountCheck:
    fee = await venue.account.trade_fee(rules.symbol)
    ok = fee.taker <= rules.taker_fee and fee.maker <= rules.maker_fee
    return AccountCheck(
        f"{rules.symbol} fee",
        ok=ok,
        measured=f"maker {plain(fee.maker)}, taker {plain(fee.taker)}",
        expected=f"at most maker {plain(rules.maker_fee)}, taker {plain(rules.taker_fee)}",
        remedy="" if ok else "The account pays more than the listed fee, so exposure is understated: ask MEXC for its fee tier.",
    )


async def _test_order(venue: MexcVenue, permit: Permit, rules: SymbolRules, kind: OrderType, side: Side) -> AccountCheck:
    name, expected = f"{rules.symbol} test {side.value} {kind.value}", "accepted"
    try:
        await venue.trading.test(await _small_order(venue, rules, kind, side), permit)
    except VenueRefusal as refusal:
        if refusal.error.code in _LACKS_BALANCE:
            return AccountCheck(
                name, ok=True, measured=f"allowed; the balance is too small ({refusal.error.code})", expected=expected
            )
        return _not_made(name, expected, refusal)
    except GatehouseError as error:
        return _not_made(name, expected, error)
    return AccountCheck(name, ok=True, measured="accepted", expected=expected)


async def _small_order(venue: MexcVenue, rules: SymbolRules, kind: OrderType, side: Side) -> OrderIntent:
    """An order just above the minimum, at the best price where it would rest: even if placed, it would risk almost nothing."""
    ticker = await venue.ticker(rules.symbol)
    if ticker is None:
        raise VenueError(
            f"{rules.symbol} has no quote",
            code="no-quote",
            remedy="Wait until the book of the symbol has orders on both sides, or take the symbol out of the policy.",
        )
    client_id = f"gh-check-{side.value.lower()}-{kind.value.lower()}"
    price = rules.quantise_price(ticker.bid if side is Side.BUY else ticker.ask)
    least = (rules.min_notional_market if kind is OrderType.MARKET else rules.min_notional) * _HEADROOM
    if kind is OrderType.MARKET and side is Side.BUY:
        quote = least.quantize(rules.tick_size, rounding=ROUND_CEILING)
        return OrderIntent(rules.symbol, side, kind, client_id, quote_quantity=quote)
    quantity = max(round_up(least / price, rules.quantity_step), round_up(rules.min_quantity, rules.quantity_step))
    return OrderIntent(rules.symbol, side, kind, client_id, quantity=quantity, price=None if kind is OrderType.MARKET else price)


async def _cannot_withdraw(venue: MexcVenue) -> AccountCheck:
    """The key must lack the permission to write withdrawals. It may read their history: then what came and went is recognised.

    Refusing to cancel a withdrawal with 700007 proves it. If MEXC looks for the parameter first, a history that is refused is taken
    instead. A withdrawal that was looked for, and any acceptance, mean that the key has the permission, whatever the history says.
    """
    refusal = await venue.account.cancel_no_withdrawal()
    code = None if refusal is None else refusal.error.code
    if code in {None, ErrorCode.NO_SUCH_RECORD, ErrorCode.WITHDRAWAL_ADDRESS_UNKNOWN}:
        found = f"the cancel of a withdrawal was looked at ({'accepted' if code is None else code})"
        return AccountCheck(_NO_WITHDRAWAL, ok=False, measured=found, expected=_REFUSED, remedy=_WEAKER_KEY)
    histories = [await venue.account.is_denied(path) for path in (WITHDRAWALS, DEPOSITS)]
    read = "may not be read: a deposit or withdrawal halts" if any(histories) else "may be read"
    if code == ErrorCode.NO_PERMISSION:
        return AccountCheck(_NO_WITHDRAWAL, ok=True, measured=f"refused with 700007; the history {read}", expected=_REFUSED)
    ok, answered = histories[0], "" if refusal is None else refusal.message
    measured = f"the history is refused with 700007; a cancel was answered with {code}" if ok else f"no proof: {answered}"
    remedy = "" if ok else f"Take SPOT_WITHDRAW_READ from the key, so that the refused history is the proof. {_WEAKER_KEY}"
    return AccountCheck(_NO_WITHDRAWAL, ok=ok, measured=measured, expected=_REFUSED, remedy=remedy)


async def _cannot_transfer(venue: MexcVenue) -> AccountCheck:
    """The key must not even read transfers. None is asked for as a probe: unlike a cancel, a transfer itself moves money."""
    denied = await venue.account.is_denied(TRANSFERS)
    return AccountCheck(
        _NO_TRANSFER,
        ok=denied,
        measured="refused with 700007" if denied else f"GET {TRANSFERS} was answered",
        expected=_REFUSED,
        remedy="" if denied else _WEAKER_KEY,
    )
