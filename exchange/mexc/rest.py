"""Signed and unsigned REST calls (mexc-spot-v3.md §2). The venue client, the market feed and the private stream call it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from exchange.errors import GatehouseError, VenueError
from exchange.mexc.clock import SAMPLES, Sample
from exchange.mexc.early import EarlySignatures
from exchange.mexc.host import VenueHost
from exchange.mexc.http import Failure, Method, Outcome
from exchange.mexc.ratelimit import Lane
from exchange.model import Millis, OrderIntent
from exchange.ports import EarlySigner, Permit, Signer
from exchange.venue_slots import CallSlot
from exchange.wire.errors import Certainty, ErrorCode, WireError, parse_error, read_reply
from exchange.wire.market import parse_time
from exchange.wire.orders import order_payload
from exchange.wire.signing import encode_params, signed_query

API = "/api/v3"
ORDER_PATH = "/order"
RECV_WINDOW = 5_000
MAX_CLOCK_AGE = 600 * 1_000_000_000
"""Nanoseconds after which the venue's clock is measured again: quartz drifts a few ms in ten minutes."""

CLOCK_PATIENCE = 1.5
"""Seconds that a cancel, or a list of what is left to cancel, waits for the venue's clock before it uses our own."""

Params = Sequence[tuple[str, str]]


_UNKNOWN_KEY = (
    "The venue does not know the key: it was deleted, or it ended 90 days after it was made. Compare api_key in "
    "gatehouse.toml with "
    "the keys on the venue's page, under API management; make a new one if it is gone."
)
_NOT_A_PAIR = (
    "The secret does not belong to the key, or the key ended: MEXC says the same of both. Copy key and secret again from the "
    "venue's "
    "page, or make a new pair."
)
_OTHER_ADDRESS = (
    "Add this host's public address to the key's list on MEXC's page, under API management; `curl https://api.ipify.org` shows it."
)
_REMEDIES: Mapping[int, str] = {
    ErrorCode.BAD_ACCESS_KEY: _UNKNOWN_KEY,
    ErrorCode.BAD_API_KEY: _UNKNOWN_KEY,
    ErrorCode.API_KEY_EXPIRED: _UNKNOWN_KEY,
    ErrorCode.BAD_SIGNATURE: _NOT_A_PAIR,
    ErrorCode.SIGNATURE_FAILED: _NOT_A_PAIR,
    ErrorCode.OUTSIDE_RECV_WINDOW: "This machine's clock is off: `timedatectl set-ntp true` sets it, and `gatehouse doctor` "
    "measures it.",
    ErrorCode.IP_NOT_WHITELISTED: _OTHER_ADDRESS,
    ErrorCode.IP_NOT_ALLOWED: _OTHER_ADDRESS,
    ErrorCode.NO_PERMISSION: "Give the key the permissions to read the spot account and to trade on it, on MEXC's page, and "
    "no other.",
    ErrorCode.NO_VALID_PRICE: "This venue has no market now. A testnet on MEXC's live market prints why it gets no data; "
    "wait until it prints that data comes, and try again.",
    ErrorCode.TOO_MANY_REQUESTS: "Wait 10 s and try again; something else on this address may use up the venue's limit.",
}


def _remedy(error: WireError) -> str:
    other = f"MEXC's page of error codes explains {error.code}; `gatehouse doctor` tests the key's permissions and the symbol."
    return _REMEDIES.get(error.code, other)


class VenueRefusal(VenueError):
    """The venue answered a call with an error. The subclass says what that proves; ``error`` is the reply."""

    kind = "venue-refused-query"

    def __init__(self, what: str, error: WireError) -> None:
        super().__init__(
            f"{what}: MEXC {error.code} ({error.msg}), HTTP {error.http_status}",
            code=self.kind,
            remedy=_remedy(error),
        )
        self.error = error


class PermanentRefusal(VenueRefusal):
    """It was refused and will be refused again."""


class TemporaryRefusal(VenueRefusal):
    """It was refused before it was processed; the same call may pass later."""

    kind = "venue-refused-for-now"


class UnprovenOutcome(VenueRefusal):
    """It may have been carried out: a 5xx, or an undocumented code."""

    kind = "venue-outcome-unproven"


_REFUSALS = {
    Certainty.PERMANENT: PermanentRefusal,
    Certainty.TEMPORARY: TemporaryRefusal,
    Certainty.UNKNOWN: UnprovenOutcome,
}


class VenueSilent(VenueError):
    """A query got no complete reply."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(
            f"{what}: {reason}",
            code="venue-silent",
            remedy="`gatehouse doctor` says whether the venue answers here. gatehouse keeps trying; for MEXC see its status page.",
        )


class RestCaller:
    """Sends REST calls to one host, with clock, rate limits and signature."""

    def __init__(self, host: VenueHost, signer: Signer | None = None, *, owns_host: bool = False) -> None:
        """``signer`` may be absent for public calls only; with ``owns_host`` the host is closed with the caller."""
        self._host = host
        self._owns_host = owns_host
        self._transport = host.transport
        self._limiter = host.limiter
        self._clock = host.clock
        self._signer = signer
        self._early = EarlySignatures(signer) if isinstance(signer, EarlySigner) else None
        self.venue_clock = host.venue_clock
        self.connect = host.connect

    @property
    def call_slots(self) -> tuple[CallSlot, ...]:
        """The calls to the host, those of its other clients too."""
        return self._limiter.meter.slots

    def prepare(self, intent: OrderIntent, permit: Permit) -> None:
        """Ask the signer for the signature of an order that may be placed soon, unless orders have to wait for the rate limits.

        It waits for nothing and sends nothing to the venue. ``place`` uses the signature, or asks for another one.
        """
        early = self._early
        if early is None or not self._clock_is_fresh() or not self._limiter.flows(Lane.PLACE):
            return
        early.ask(intent, RECV_WINDOW, self.venue_clock.now(), permit)

    async def place(self, intent: OrderIntent, permit: Permit, path: str = ORDER_PATH) -> Outcome:
        """Send ``POST order``, or ``order/test``, once. The signer checks the permit, and the connection checks it again.

        Raises:
            GatehouseError: nothing was sent: no permit, outside the signer's limits, held back, or the venue's clock is unknown.
        """
        signer = self._need_signer()
        try:
            await self._synchronise()
            async with self._limiter.turn(Lane.PLACE):
                query = self._order_query(signer, intent, permit, path)
                headers = self._headers(signer)
                return self._learn(await self._transport.send(Method.POST, f"{API}{path}", query, headers, leave=permit.leave))
        finally:
            if self._early is not None:
                self._early.forget(intent.client_id)

    async def cancel(self, path: str, params: Params) -> Outcome:
        """Send a DELETE in the cancel lane; once more if MEXC rejects the timestamp, because cancelling twice is harmless.

        If the venue's clock cannot be measured soon, our own is used: leaving the market must stay possible.

        Raises:
            HeldBack: the venue asked us to stop for a while.
        """
        outcome = await self._delete(path, params)
        return await self._delete(path, params) if _outside_window(outcome) else outcome

    async def query(self, path: str, params: Params = (), method: Method = Method.GET, lane: Lane = Lane.QUERY) -> object:
        """A signed query's decoded reply. If MEXC rejects the timestamp (700003), the clock is measured again, once.

        In the emptying lane our own clock is used when the venue's cannot be measured soon, as for a cancel.

        Raises:
            VenueRefusal, VenueSilent, MalformedReply, HeldBack: it could not be answered.
        """
        signer, emptying = self._need_signer(), lane is Lane.EMPTYING

        def signed() -> str:
            now = self.venue_now() if emptying else self.venue_clock.now()
            return signed_query(self._stamped(params, now), signer.sign)

        await (self._synchronise_soon() if emptying else self._synchronise())
        try:
            return await self._ask(method, path, signed, signer, lane)
        except VenueRefusal as refusal:
            if refusal.error.code != ErrorCode.OUTSIDE_RECV_WINDOW:
                raise
        await (self._synchronise_soon() if emptying else self._synchronise())
        return await self._ask(method, path, signed, signer, lane)

    async def public(self, path: str, params: Params = (), lane: Lane = Lane.QUERY) -> object:
        """An unsigned query's decoded reply. Raises as ``query``."""
        return await self._ask(Method.GET, path, lambda: encode_params(params), None, lane)

    async def server_time(self) -> Millis:
        """The venue's clock, queried now; the reply improves ``venue_clock``. Raises as ``query``."""
        async with self._limiter.turn(Lane.QUERY):
            sent = self._clock.monotonic_ns()
            outcome = self._learn(await self._transport.send(Method.GET, f"{API}/time"))
            answered = self._clock.monotonic_ns()
        server = parse_time(decoded_reply("GET /api/v3/time", outcome))
        self.venue_clock.observe(Sample(sent, answered, server))
        return server

    def venue_now(self) -> Millis:
        """The venue's time if it was measured, our own otherwise."""
        return self._clock.now() if self.venue_clock.age_ns is None else self.venue_clock.now()

    async def aclose(self) -> None:
        """Release the connections, unless the host is shared: then its maker closes them."""
        if self._owns_host:
            await self._host.aclose()

    async def _synchronise(self) -> None:
        # One measurement serves every waiting call: a burst of orders must not become a burst of queries.
        if self._clock_is_fresh():
            return
        async with self.venue_clock.measuring:
            if not self._clock_is_fresh():
                for _ in range(SAMPLES):
                    await self.server_time()

    async def _synchronise_soon(self) -> None:
        with suppress(VenueError, TimeoutError):
            async with asyncio.timeout(CLOCK_PATIENCE):
                await self._synchronise()

    def _clock_is_fresh(self) -> bool:
        age = self.venue_clock.age_ns
        return age is not None and age <= MAX_CLOCK_AGE

    def _order_query(self, signer: Signer, intent: OrderIntent, permit: Permit, path: str) -> str:
        now = self.venue_clock.now()
        if self._early is not None and path == ORDER_PATH:
            signed = self._early.query(intent, permit, now)
            if signed is not None:
                return signed
        payload = order_payload(intent, RECV_WINDOW, now)
        return f"{payload}&signature={signer.sign_order(intent, payload, permit)}"

    async def _delete(self, path: str, params: Params) -> Outcome:
        signer = self._need_signer()
        await self._synchronise_soon()
        async with self._limiter.turn(Lane.CANCEL):
            query, sent_ns = signed_query(self._stamped(params, self.venue_now()), signer.sign), self._clock.monotonic_ns()
            outcome = self._learn(await self._transport.send(Method.DELETE, f"{API}{path}", query, self._headers(signer)))
            if _answered_by_the_venue(outcome):
                self._limiter.probe_answered(sent_ns)
            return outcome

    async def _ask(self, method: Method, path: str, query: Callable[[], str], signer: Signer | None, lane: Lane) -> object:
        async with self._limiter.turn(lane):
            headers = self._headers(signer) if signer is not None else {}
            outcome = self._learn(await self._transport.send(method, f"{API}{path}", query(), headers))
        return decoded_reply(f"{method.value} {API}{path}", outcome)

    def _learn(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Failure) or outcome.status < 400:
            return outcome
        error = parse_error(outcome.status, outcome.body)
        if error is None or not _refuses_the_request_alone(error):
            self._limiter.answered(outcome.status, outcome.retry_after)
        if error is not None and error.code == ErrorCode.OUTSIDE_RECV_WINDOW:
            self.venue_clock.forget()
        return outcome

    def _need_signer(self) -> Signer:
        if self._signer is None:
            raise GatehouseError(
                "a signed call without a signer", code="no-signer", remedy="Construct the venue with the key of its account."
            )
        return self._signer

    @staticmethod
    def _headers(signer: Signer) -> dict[str, str]:
        return {"X-MEXC-APIKEY": signer.api_key, "Content-Type": "application/json"}

    @staticmethod
    def _stamped(params: Params, now: Millis) -> list[tuple[str, str]]:
        return [*params, ("recvWindow", str(RECV_WINDOW)), ("timestamp", str(now))]


def decoded_reply(what: str, outcome: Outcome) -> object:
    """The decoded body of a successful reply. Raises ``VenueRefusal``, ``VenueSilent`` or ``MalformedReply``."""
    if isinstance(outcome, Failure):
        raise VenueSilent(what, outcome.reason)
    error, decoded = read_reply(outcome.status, outcome.body)
    if error is not None:
        raise _REFUSALS[error.certainty](what, error)
    return decoded


def _refuses_the_request_alone(error: WireError) -> bool:
    """Whether a 403 carries a code about this key or this request: that is not the firewall, and waiting does not help."""
    return error.http_status == ErrorCode.ACCESS_DENIED and error.coded and error.code != ErrorCode.ACCESS_DENIED


def _answered_by_the_venue(outcome: Outcome) -> bool:
    """Whether the venue's own application replied, and not a firewall or a load balancer before it."""
    if isinstance(outcome, Failure):
        return False
    if outcome.status < 400:
        return True
    error = parse_error(outcome.status, outcome.body)
    return error is not None and error.coded and outcome.status not in {418, 429} and error.code != ErrorCode.ACCESS_DENIED


def _outside_window(outcome: Outcome) -> bool:
    if isinstance(outcome, Failure) or outcome.status < 400:
        return False
    error = parse_error(outcome.status, outcome.body)
    return error is not None and error.code == ErrorCode.OUTSIDE_RECV_WINDOW
