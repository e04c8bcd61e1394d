"""Signs with a secret held in this process, within its own limits: the last check before an order is sent.

The bootstrap builds one signer per venue; ``exchange.mexc.rest`` calls it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from exchange.errors import ConfigError, Refused
from exchange.model import OrderIntent, OrderType, Side
from exchange.ports import Permit, is_for
from exchange.wire.errors import WireRefusal
from exchange.wire.numbers import exact_product, plain
from exchange.wire.orders import parse_new_order
from exchange.wire.signing import parse_params, signature

_ORDER_FIELDS = frozenset({"side", "batchOrders", "type", "quantity", "quoteOrderQty"})
"""A query that carries one of these could be an order. A batch of orders is never signed: nothing here places one."""


@dataclass(frozen=True, slots=True)
class SignerLimits:
    """The symbols a signer signs orders for, and the largest notional of one order in its quote asset."""

    symbols: frozenset[str]
    max_order_notional_quote: Decimal


class LocalSigner:
    """A ``Signer`` whose secret lives in this process. Neither ``repr`` nor an error shows it."""

    __slots__ = ("_api_key", "_limits", "_secret")

    def __init__(self, api_key: str, secret: str, limits: SignerLimits) -> None:
        """Raises ``ConfigError`` for a key or secret that is empty or not plain ASCII, as after a bad copy."""
        for name, value in (("API key", api_key), ("secret", secret)):
            if not value or not value.isascii() or not value.isprintable() or " " in value:
                raise ConfigError(
                    f"the {name} is empty or has characters no {name} has",
                    code="signer-key-malformed",
                    remedy="Copy the key pair again from MEXC's API page, without spaces or line ends.",
                )
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
        """Sign a query or a cancel.

        A signature covers only the parameters, not the method or the path, so a signature over order parameters would be an order.

        Raises:
            Refused: the payload could be used as a new order.
        """
        if not _ORDER_FIELDS.isdisjoint(parse_params(payload)):
            raise _refused("a query with the parameters of an order is not signed", "signer-order-without-permit")
        return signature(self._secret, payload)

    def sign_order(self, intent: OrderIntent, payload: str, permit: Permit) -> str:
        """Sign a new order, under a live permit and within the signer's own limits.

        Raises:
            Refused: no live permit for this order, a symbol or a notional outside the limits, or a payload that is not this order.
        """
        if not permit.is_live():
            raise _refused("the trading permit is no longer live", "permit-not-live")
        if not is_for(permit, intent):
            raise _refused("the permit is for one sale, and this is another order", "signer-other-order")
        if intent.symbol not in self._limits.symbols:
            raise _refused(f"{intent.symbol} is not one of the signer's symbols", "signer-symbol")
        params = parse_params(payload)
        try:
            order = parse_new_order(params)
            if "batchOrders" in params or order.client_id != intent.client_id or order.intent(intent.client_id) != intent:
                raise _refused("the payload is not the order that was admitted", "signer-payload")
        except WireRefusal as error:
            raise _refused("the payload is not an order", "signer-payload") from error
        self._check_notional(intent)
        return signature(self._secret, payload)

    def _check_notional(self, intent: OrderIntent) -> None:
        if intent.type is OrderType.MARKET and intent.quote_quantity is None and intent.side is Side.SELL:
            # A spot account can sell only what it holds, at the market's price: this never adds exposure.
            return
        if intent.quote_quantity is not None:
            notional = intent.quote_quantity
        elif intent.quantity is not None and intent.price is not None:
            notional = exact_product(intent.quantity, intent.price)
        else:
            raise _refused("a MARKET buy by base quantity has no bound on what it costs", "signer-notional")
        if not notional <= self._limits.max_order_notional_quote:
            limit = plain(self._limits.max_order_notional_quote)
            raise _refused(f"a notional of {plain(notional)} exceeds the signer's {limit}", "signer-notional")


def _refused(message: str, code: str) -> Refused:
    return Refused(message, code=code, remedy="Nothing was sent; place an order within the permit and the signer's limits.")
