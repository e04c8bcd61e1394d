"""What may be signed with an exchange secret, and a signer that holds one in this process: the last check before an order is sent.

The checks are pure; ``LocalSigner`` and the signer process (``controller.signer``) use the same ones. A signature covers only the
parameters of a request, not its method or path: a signature can be used for any call that takes these parameters. So the
parameters are an allow-list. No withdrawal, transfer, sub-account or key call of MEXC can be made with the names in it. One more
payload is signed, byte for byte: that of the question whether the key may cancel a withdrawal that does not exist.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from exchange.errors import ConfigError, Refused
from exchange.model import SYMBOL, OrderIntent, OrderType, Side
from exchange.ports import Permit, is_for
from exchange.wire.numbers import exact_product, plain
from exchange.wire.orders import order_text
from exchange.wire.signing import signature
from exchange.wire.wallet import NO_WITHDRAWAL

QUERY_PARAMETERS = frozenset(
    {"symbol", "orderId", "origClientOrderId", "startTime", "endTime", "limit", "listenKey", "recvWindow", "timestamp"}
)
"""Every parameter of the queries and cancels that ``exchange.mexc`` sends. One that is not listed here is never signed."""

MAX_PAYLOAD = 2048
"""The most characters that are signed; a listen key and five symbols need less."""

# Only what `encode_params` writes: other bytes, such as a semicolon, may separate parameters for a venue and not for us.
_PAIR = r"[A-Za-z]+=(?:[A-Za-z0-9_.~-]|%2[BCF]|%3D)*"
_QUERY = re.compile(rf"{_PAIR}(?:&{_PAIR})*")
_STAMP = r"(?:&recvWindow=[0-9]{1,6})?&timestamp=[0-9]{1,15}"
_ENDS_WITH_STAMP = re.compile(_STAMP)
_CANCELS_NO_WITHDRAWAL = re.compile(rf"id={NO_WITHDRAWAL}{_STAMP}")
"""``AccountApi.cancel_no_withdrawal``. A withdrawal needs a coin, an address and an amount, and this names none of them."""
_AMOUNT = r"((?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,18})?)"
_ORDER = re.compile(
    rf"symbol=({SYMBOL})&side=(BUY|SELL)&type=([A-Z_]{{1,32}})(?:&quantity={_AMOUNT})?(?:&quoteOrderQty={_AMOUNT})?"
    rf"(?:&price={_AMOUNT})?&newClientOrderId=([A-Za-z0-9_-]{{1,32}}){_STAMP}"
)
"""A new order exactly as ``exchange.wire.orders.order_params`` writes it, and no other parameter."""

_TYPES = {kind.value: kind for kind in OrderType}


@dataclass(frozen=True, slots=True)
class SignerLimits:
    """The symbols a signer signs orders for, and the largest notional of one order in its quote asset."""

    symbols: frozenset[str]
    max_order_notional_quote: Decimal


def check_query(payload: str) -> None:
    """Check that a payload is that of a query or a cancel.

    Raises:
        Refused: ``signer-parameter``: it has a parameter that no query or cancel of ours has, or is not written as we write it.
    """
    if _CANCELS_NO_WITHDRAWAL.fullmatch(payload) is not None:
        return
    if len(payload) > MAX_PAYLOAD or _QUERY.fullmatch(payload) is None:
        raise refused("the payload is not written as a query or cancel is", "signer-parameter")
    names = [pair.partition("=")[0] for pair in payload.split("&")]
    if not QUERY_PARAMETERS.issuperset(names) or len(set(names)) != len(names):
        strange = next((name for name in names if name not in QUERY_PARAMETERS), "that comes twice")
        raise refused(f"a query or cancel with the parameter {strange[:40]} is not signed", "signer-parameter")


def read_order(payload: str) -> OrderIntent:
    """The order in a payload.

    Raises:
        Refused: ``signer-payload``: it is not exactly one new order as we write it.
    """
    found = _ORDER.fullmatch(payload) if len(payload) <= MAX_PAYLOAD else None
    if found is None:
        raise refused("the payload is not an order as gatehouse writes it", "signer-payload")
    symbol, side, type_, quantity, quote, price, client_id = found.groups()
    market = type_ == "MARKET"
    amounts_fit = (price is None and (quantity is None) != (quote is None)) if market else (quantity and price and quote is None)
    if type_ not in _TYPES or not amounts_fit:
        raise refused("the payload is not an order of a type and with amounts that we place", "signer-payload")
    return OrderIntent(
        symbol,
        Side.BUY if side == "BUY" else Side.SELL,
        _TYPES[type_],
        client_id,
        Decimal(quantity) if quantity else None,
        Decimal(quote) if quote else None,
        Decimal(price) if price else None,
    )


def check_limits(order: OrderIntent, limits: SignerLimits) -> Decimal | None:
    """Check an order's symbol and notional. Returns the notional, ``None`` for a MARKET sell, which has no bound in quote.

    Raises:
        Refused: ``signer-symbol`` or ``signer-notional``.
    """
    if order.symbol not in limits.symbols:
        raise refused(f"{order.symbol} is not one of the signer's symbols", "signer-symbol")
    if order.type is OrderType.MARKET and order.quote_quantity is None and order.side is Side.SELL:
        # A spot account can sell only what it holds, at the market's price: this never adds exposure.
        return None
    if order.quote_quantity is not None:
        notional = order.quote_quantity
    elif order.quantity is not None and order.price is not None:
        notional = exact_product(order.quantity, order.price)
    else:
        raise refused("a MARKET buy by base quantity has no bound on what it costs", "signer-notional")
    if not notional <= limits.max_order_notional_quote:
        limit = plain(limits.max_order_notional_quote)
        raise refused(f"a notional of {plain(notional)} exceeds the signer's {limit}", "signer-notional")
    return notional


def check_same(intent: OrderIntent, payload: str) -> None:
    """Check that a payload is this order and nothing else.

    Raises:
        Refused: ``signer-payload``.
    """
    order = order_text(intent)
    if not payload.startswith(order) or _ENDS_WITH_STAMP.fullmatch(payload, len(order)) is None:
        raise refused("the payload is not the order that was admitted", "signer-payload")


def check_permit(intent: OrderIntent, permit: Permit) -> None:
    """Check that a permit is live and, where it is for one sale only (it then has a ``client_id``), that it is for this one.

    Raises:
        Refused: ``permit-not-live`` or ``signer-other-order``.
    """
    if not permit.is_live():
        raise refused("the trading permit is no longer live", "permit-not-live")
    # Almost every permit is for any order, and this question costs less than the one that `is_for` asks first.
    if hasattr(permit, "client_id") and not is_for(permit, intent):
        raise refused("the permit is for one sale, and this is another order", "signer-other-order")


def check_key(api_key: str, secret: str) -> None:
    """Raises ``ConfigError`` for a key or secret that is empty or not plain ASCII, as after a bad copy. The error shows neither."""
    for name, value in (("API key", api_key), ("secret", secret)):
        if not value or not value.isascii() or not value.isprintable() or " " in value:
            raise ConfigError(
                f"the {name} is empty or has characters no {name} has",
                code="signer-key-malformed",
                remedy="Copy the key pair again from MEXC's API page, without spaces or line ends.",
            )


class LocalSigner:
    """A ``Signer`` whose secret lives in this process. Neither ``repr`` nor an error shows it."""

    __slots__ = ("_api_key", "_limits", "_secret")

    def __init__(self, api_key: str, secret: str, limits: SignerLimits) -> None:
        """Raises ``ConfigError`` as ``check_key``."""
        check_key(api_key, secret)
        self._api_key = api_key
        self._secret = secret
        self._limits = limits

    def __repr__(self) -> str:
        return f"LocalSigner(api_key='{self._api_key[:4]}…')"

    @property
    def api_key(self) -> str:
        """The public half, sent as ``X-MEXC-APIKEY``."""
        return self._api_key

    def sign(self, payload: str) -> str:
        """Sign a query or a cancel. Raises ``Refused`` as ``check_query``."""
        check_query(payload)
        return signature(self._secret, payload)

    def sign_order(self, intent: OrderIntent, payload: str, permit: Permit) -> str:
        """Sign a new order, under a live permit and within the signer's own limits.

        Raises:
            Refused: no live permit, a symbol or a notional outside the limits, or a payload that is not this order.
        """
        check_permit(intent, permit)
        check_limits(intent, self._limits)
        check_same(intent, payload)
        return signature(self._secret, payload)


def refused(message: str, code: str) -> Refused:
    """Make the error for something that is not signed."""
    return Refused(message, code=code, remedy="Nothing was sent; place an order within the permit and the signer's limits.")
