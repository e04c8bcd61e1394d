"""Whether the testnet's evidence is attested: judges its last statement against the policy's key and our own books (ADR 47).

``ticks`` asks at every sample, ``guards`` at every tick, ``landing`` before a move up, and the views to show it. A statement
attests only if

- the holder of the key that the policy names signed it, in answer to our question, about our account and our journal,
- it is fresh, and its testnet's clock is near ours,
- it names the data that we trade on, of which no symbol of the policy stands still, and our version of gatehouse,
- the testnet counts the same orders and trades as we do.

The last one is what ties a statement to the channel: somebody who answers our orders himself and passes on the statements of the
true testnet passes on that it knows nothing of these orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from controller.core.inputs import Asked, Market, Tick
from controller.core.state import State
from controller.version import VERSION
from exchange.model import Millis
from exchange.ports import VenueName
from exchange.statement import STREAM_GAP_MS, Fault, Refused, Statement, fingerprint
from policies.schema import Policy
from policies.stage import Environment

FRESH_MS = 30_000
"""How long after the question a statement attests what happens."""

CLOCK_MS = 5_000
"""How far the testnet's clock may be from ours in a statement."""

DIFFERS_MS = 90_000
"""How long statements may differ from our books before they contradict them. An order may have no outcome for a minute."""

NO_KEY = (
    "the policy names no key of the testnet; `gatehouse keys show var/testnet/testnet.key` prints it: put the line into "
    "policy.toml as key under [testnet], and sign `gatehouse set-policy policy.toml --key KEY --reason WHY`"
)
SIMULATED = frozenset({VenueName.TESTNET})
"""The venues whose evidence needs a statement."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the last statement is worth now.

    ``at`` is when we asked the question whose answer attests, now or before; ``None``: nothing attests. ``why`` says why the last
    answer does not, and is empty when it does. ``impostor`` is set when somebody without the key answers, ``contradiction`` when
    the testnet itself denies what we booked.
    """

    at: Millis | None
    why: str
    impostor: str = ""
    contradiction: str = ""

    @property
    def attested(self) -> bool:
        """Whether what happens now is attested."""
        return self.at is not None


def judge(state: State, policy: Policy, tick: Tick, now: Millis) -> Judgement:
    """Judge what the testnet signed last. Without a key in the policy nothing can be attested."""
    key, asked = policy.testnet.key, tick.testnet
    if key is None:
        return Judgement(None, NO_KEY)
    before = state.ledger(VenueName.TESTNET).statement_at
    before = before if before is not None and 0 <= now - before <= FRESH_MS else None
    if asked is None or asked.key != key:
        return Judgement(before, "the testnet was not asked for a statement yet")
    if isinstance(asked.found, Refused) and asked.found.fault is not Fault.MALFORMED:
        return _impostor(asked.found, key)
    why = _problem(state, policy, asked, tick.markets.get(VenueName.TESTNET), now)
    if not why:
        return Judgement(asked.asked_at, "")
    return Judgement(before, why, contradiction=_contradiction(state, asked, now))


def needs_attestation(policy: Policy, venue: VenueName) -> bool:
    """Whether time at this venue counts only while it is attested: where real money may follow."""
    return venue in SIMULATED and policy.environment is Environment.PRODUCTION


def refusal(judgement: Judgement) -> str:
    """Why time does not count as attested; empty when it does."""
    return "" if judgement.attested else f"the testnet is unattested: {judgement.why}"


def _impostor(found: Refused, key: str) -> Judgement:
    named = f"it names {fingerprint(found.key)}" if found.key else "it names no key"
    why = f"{found.why}; {named}, and the policy names {fingerprint(key)}"
    return Judgement(None, why, impostor=f"what answers at the testnet's address is not the testnet that was signed for: {why}")


def _problem(state: State, policy: Policy, asked: Asked, market: Market | None, now: Millis) -> str:
    """Why an answer attests nothing; empty when it does."""
    found = asked.found
    if found is None or isinstance(found, Refused):
        return asked.why if found is None else found.why
    if not 0 <= now - asked.asked_at <= FRESH_MS:
        return f"its last statement was asked for {now - asked.asked_at} ms ago, and {FRESH_MS} ms is the most"
    if not asked.asked_at - CLOCK_MS <= found.at <= asked.answered_at + CLOCK_MS:
        off = found.at - asked.answered_at
        return f"its clock is {off} ms from ours in its statement, and {CLOCK_MS} ms is the most"
    if found.software != f"gatehouse {VERSION}":
        return f"it is {found.software}, and the controller is gatehouse {VERSION}: start the testnet again"
    return _other_data(policy, found, market) or _other_books(state, asked, found)


def _other_data(policy: Policy, found: Statement, market: Market | None) -> str:
    if market is None or found.source is not market.source or _accelerated(found.speed) is not market.accelerated:
        declared = "nothing" if market is None else market.source.value
        signed = f"{found.source.value} data at speed {found.speed}"
        return f"it signs {signed}, and the controller knows of {declared} from its start: start the controller again"
    for symbol in policy.symbols:
        stream = found.streams.get(symbol)
        if stream is None:
            return f"its statement names no data of {symbol}"
        if found.at - stream.last_at > STREAM_GAP_MS:
            return f"its data of {symbol} stands still for {found.at - stream.last_at} ms"
    return ""


def _accelerated(speed: str) -> bool | None:
    try:
        return Decimal(speed) > 1
    except InvalidOperation:
        return None


def _other_books(state: State, asked: Asked, found: Statement) -> str:
    ours = state.ledger(VenueName.TESTNET).books
    if found.challenge.after == ours.after and ours.agrees(found.books, asked.asked_at):
        return ""
    return (
        f"it signs {found.orders} orders and {found.fills} trades of this deployment since its baseline, and our books have "
        f"{ours.orders} and {ours.fills}" + ("" if (found.orders, found.fills) != (ours.orders, ours.fills) else ", but other ones")
    )


def _contradiction(state: State, asked: Asked, now: Millis) -> str:
    """Why the testnet's own signed books cannot be ours; empty while they may only be ahead of what we know.

    What we had booked when we asked, it did before. What it did and we do not know yet, we hear of soon, unless an order of ours
    has no outcome.
    """
    found, ledger = asked.found, state.ledger(VenueName.TESTNET)
    if not isinstance(found, Statement) or found.challenge.after != ledger.books.after or not _other_books(state, asked, found):
        return ""
    known = ledger.books.known_at(asked.asked_at)
    if found.orders + found.fills < known:
        return f"{_other_books(state, asked, found)}; {known} of them were booked before we asked"
    since = max(ledger.statement_at or 0, state.started_at, ledger.baselined_at, state.watched_since)
    unknown = any(order.unknown_since is not None for order in state.open_on(VenueName.TESTNET))
    if unknown or not state.armed or min(asked.asked_at, now) - since <= DIFFERS_MS:
        return ""
    return f"{_other_books(state, asked, found)}, for {asked.asked_at - since} ms"
