"""One week's events, each caused as it happens to people: from outside gatehouse, or by an operator's signed command.

What is expected is what the tables of ``ops/docs/lifecycle.md`` say of the event at the stage.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from controller.bootstrap.bot_secrets import make_bot_key
from controller.core.decisions.bot_keys import key_document, secret_digest
from controller.core.decisions.rates import rate_document
from exchange.model import Millis, OrderType, Side
from exchange.testnet.conditions.faults import FaultKind
from exchange.testnet.conditions.listings import ListingChange
from exchange.testnet.state.store import holder
from exchange.wire.orders import NewOrder, OrderRef
from policies.document import canonical_bytes, load_policy
from tests.support.loopback import http_at
from tests.support.ordinary.climbing import OFTEN_S, SELDOM_S
from tests.support.ordinary.judging import Expected, Outcome
from tests.support.ordinary.load import burning, residents
from tests.support.ordinary.scene import ACCOUNT, Scene
from tests.support.rig import SYMBOL

VALIDATING, VALIDATED, LIVE, RAMPING = "TESTNET_VALIDATING", "VALIDATED", "LIVE_€10", "RAMPING step 1"
CORES = os.cpu_count() or 2
BURNERS = 20 * CORES
ON = Expected(Outcome.NOTHING)
SHORT_GAP = Expected(Outcome.GAP, 30_000)


@dataclass(frozen=True, slots=True)
class Event:
    """``cause`` makes it happen, at once or over a while. ``expected`` is by position; it is not played at others."""

    name: str
    cause: Callable[[Scene], Awaitable[None]]
    expected: Mapping[str, Expected]


def everywhere(expected: Expected, *positions: str) -> dict[str, Expected]:
    """The same outcome at all these positions; all four by default."""
    return dict.fromkeys(positions or (VALIDATING, VALIDATED, LIVE, RAMPING), expected)


# What the venue does


async def _cut_streams(scene: Scene) -> None:
    await _fault(scene, FaultKind.STREAM_CUT)


async def _expire_keys(scene: Scene) -> None:
    await _fault(scene, FaultKind.LISTENKEY_EXPIRY)


async def _slow_replies(scene: Scene) -> None:
    await _fault(scene, FaultKind.SLOW_REPLY, count=None, params={"ms": 2_000})
    await asyncio.sleep(20)
    await _lift(scene)


async def _down(scene: Scene) -> None:
    """With something held at MEXC: an account without holdings steps down, and one with them cannot be valued any more."""
    if (await scene.status())["venue"] == "live":
        scene.pace(OFTEN_S)
        await scene.until(lambda _: bool(scene.books.held()))
        scene.pace(SELDOM_S)
    async with scene.front.down():
        await asyncio.sleep(90)


async def _unresolved(scene: Scene) -> None:
    async with scene.front.unresolved():
        await asyncio.sleep(5)


async def _unresolved_for_long(scene: Scene) -> None:
    async with scene.front.unresolved():
        await asyncio.sleep(20)


async def _offline(scene: Scene) -> None:
    """Longer than the minute after which the rules are read again."""
    scene.live.venue.listings.change(ListingChange(symbol=SYMBOL, status=3), Millis(0))
    try:
        await asyncio.sleep(75)
    finally:
        scene.live.venue.listings.change(ListingChange(symbol=SYMBOL, status=1), Millis(0))


# What happens to the machine


async def _testnet_restart(scene: Scene) -> None:
    found = holder(scene.directory / "var" / "testnet")
    assert found is not None, "no testnet runs"
    os.kill(found[0], signal.SIGKILL)


async def _killed(scene: Scene) -> None:
    await scene.kill()
    await scene.start()


async def _reboot(scene: Scene) -> None:
    """Everything of gatehouse and the bot ends at once; 10 s later the machine is up again."""
    await scene.kill()
    assert scene.bot_process is not None
    scene.bot_process.kill()
    await scene.bot_process.wait()
    # The namespace has no other processes of gatehouse.
    for part in residents():
        os.kill(part.pid, signal.SIGKILL)
    await asyncio.sleep(10)
    await scene.start()
    await scene.trade()


async def _overloaded(scene: Scene) -> None:
    with burning(BURNERS):
        await asyncio.sleep(20)


async def _clock_step(scene: Scene) -> None:
    await _fault(scene, FaultKind.CLOCK_SKEW, params={"ms": 300})
    await asyncio.sleep(15)
    await _fault(scene, FaultKind.CLOCK_SKEW, params={"ms": 0})


async def _log_rotation(scene: Scene) -> None:
    """As logrotate does it with copytruncate."""
    log = scene.directory / "controller.log"
    shutil.copy(log, log.with_suffix(".log.1"))
    os.truncate(log, 0)


# What people do


async def _second_key(scene: Scene) -> None:
    made = make_bot_key(scene.directory, f"second-{(await scene.status())['seq']}")
    secret = made.path.read_text().strip()
    bot = made.path.name.split(".")[0]
    await scene.order_of("issue-bot-key", subject=key_document(bot, made.key, secret_digest(made.key, secret)))
    mine = scene.bot_key, scene.bot_secret
    scene.bot_key, scene.bot_secret = made.key, secret
    try:
        answer = await scene.bot("GET", "/api/v3/account")
        assert answer.status_code == 200, answer.text
    finally:
        scene.bot_key, scene.bot_secret = mine
    await scene.order_of("revoke-bot-key", subject=made.key)


def _tighter(scene: Scene) -> str:
    """The policy file's text with a collar that is narrower by 5 basis points."""
    text = (scene.directory / "policy.toml").read_text()
    old = int(text.partition("price_collar_bps = ")[2].split()[0])
    return text.replace(f"price_collar_bps = {old}", f"price_collar_bps = {old - 5}")


async def _tightened(scene: Scene) -> None:
    text = _tighter(scene)
    (scene.directory / "policy.toml").write_text(text)
    await scene.order_of("set-policy", subject=canonical_bytes(load_policy(text.encode())).decode())


async def _tightened_with_money(scene: Scene) -> None:
    """Signed while real money is at risk: it is refused, and nothing else happens."""
    subject = canonical_bytes(load_policy(_tighter(scene).encode())).decode()
    answer = await scene.ask("POST", "/v1/propose", json={"verb": "set-policy", "reason": "tighter", "subject": subject})
    assert answer.status_code >= 400, "the policy was changed while real money was at risk"
    assert answer.json()["error"]["code"] == "not-while-live", answer.text


async def _tightened_at_start(scene: Scene) -> None:
    """In the file, and then a restart adopts what is only stricter."""
    (scene.directory / "policy.toml").write_text(_tighter(scene))
    await scene.stop()
    await scene.start()


async def _new_rate(scene: Scene) -> None:
    """Within the band: nobody has to sign."""
    scene.bank.dollars = f"{Decimal(scene.bank.dollars) + Decimal('0.003')}"
    await asyncio.sleep(20)


async def _set_rate(scene: Scene) -> None:
    await scene.order_of("set-rate", subject=rate_document(Decimal(scene.bank.dollars)))


async def _owners_order(scene: Scene) -> None:
    price = await scene.resting_price()
    name = f"by-hand-{secrets.token_hex(4)}"
    by_hand = NewOrder(SYMBOL, Side.BUY, OrderType.LIMIT, name, quantity=Decimal("0.00003"), price=Decimal(price))
    scene.live.venue.place(ACCOUNT, by_hand)
    await scene.until(lambda status: status["stage"] == "HALTED", within=90)
    scene.live.venue.cancel(ACCOUNT, OrderRef(SYMBOL, client_id=name))


async def _deposit(scene: Scene) -> None:
    await _transfer(scene, "deposits")


async def _withdrawal(scene: Scene) -> None:
    await _transfer(scene, "withdrawals")


async def _unexplained(scene: Scene) -> None:
    venue = scene.live.venue
    venue.transfers.remove(venue.transfer(ACCOUNT, "USDT", Decimal("0.1"), deposit=True))
    await scene.until(lambda status: status["stage"] == "HALTED", within=150)


async def _transfer(scene: Scene, path: str) -> None:
    """One dollar, at the venue that the deployment trades on; then the time until the account has been read again."""
    if (await scene.status())["venue"] == "live":
        scene.live.venue.transfer(ACCOUNT, "USDT", Decimal(1), deposit=path == "deposits")
    else:
        document = {"account": "testnet", "asset": "USDT", "amount": "1"}
        async with http_at("http://127.0.0.1:8710", timeout=30) as http:
            answer = await http.post(f"/__control/{path}", json=document, headers=_token(scene))
            assert answer.status_code == 200, answer.text
    await asyncio.sleep(30)


async def _fees_in_mx(scene: Scene) -> None:
    scene.live.venue.mx_fees.switch(ACCOUNT, on=True)
    try:
        await scene.until(lambda status: status["stage"] == "HALTED", within=90)
    finally:
        scene.live.venue.mx_fees.switch(ACCOUNT, on=False)


# Its parts


async def _fault(scene: Scene, kind: FaultKind, **fields: Any) -> None:
    """Arm it at both venues: what goes wrong on this machine or its way to the internet is wrong for both."""
    scene.live.arm(kind, **fields)
    document = {"kind": kind.value, **fields}
    async with http_at("http://127.0.0.1:8710", timeout=30) as http:
        answer = await http.post("/__control/faults", json=document, headers=_token(scene))
        assert answer.status_code == 200, answer.text


async def _lift(scene: Scene) -> None:
    scene.live.venue.faults.clear()
    async with http_at("http://127.0.0.1:8710", timeout=30) as http:
        await http.request("DELETE", "/__control/faults", headers=_token(scene))


def _token(scene: Scene) -> dict[str, str]:
    return {"X-Testnet-Control": (scene.directory / "secrets" / "control.token").read_text().strip()}


RESUME = "resume with a post-mortem"
BLIND = Expected(
    Outcome.HALT,
    sees="cannot be judged",
    way_out=f"{RESUME} once MEXC answers; holdings that cannot be valued halt after 30 s with real money",
)
DENIED = Expected(Outcome.DENIED, 30_000)
PAUSED = Expected(Outcome.DENIED, 110_000)
OVERLOAD = Expected(Outcome.DENIED, 60_000)
REBOOT = Expected(Outcome.GAP, 60_000)
OFFLINE = Expected(Outcome.DENIED, 170_000)
BOOKED = Expected(Outcome.GAP, 30_000, sees="money of the owner was booked")
UNEXPLAINED = Expected(Outcome.HALT, sees="does not reconcile", way_out=f"rebaseline, {RESUME} to VALIDATED", differs=("live",))
IN_MX = Expected(Outcome.HALT, sees="MX", way_out=f"switch it off, {RESUME}")
BY_HAND = Expected(Outcome.HALT, sees="is not ours", way_out="cancel it, resume to VALIDATED")


def demoted(to: str) -> Expected:
    """It steps down by itself, and people climb again."""
    return Expected(Outcome.DEMOTED, to=to, way_out="climb again")


def by_money(without: Expected, live: Expected, ramping: Expected | None = None) -> dict[str, Expected]:
    """One outcome without real money and another one with it."""
    return everywhere(without, VALIDATING, VALIDATED) | {LIVE: live, RAMPING: ramping or live}


EVENTS = (
    Event("streams cut, as after 24 hours", _cut_streams, everywhere(ON)),
    Event("listenKeys expire", _expire_keys, everywhere(ON)),
    Event("every reply takes 2 s, for 20 s", _slow_replies, everywhere(DENIED)),
    Event("DNS does not resolve for 5 s", _unresolved, everywhere(SHORT_GAP)),
    Event("the testnet is killed and started", _testnet_restart, everywhere(SHORT_GAP)),
    Event("controller kill -9", _killed, everywhere(SHORT_GAP)),
    Event("the machine reboots", _reboot, everywhere(REBOOT, VALIDATING, LIVE, RAMPING)),
    Event(f"{BURNERS} processes on {CORES} cores for 20 s", _overloaded, everywhere(OVERLOAD, VALIDATING, LIVE, RAMPING)),
    Event("the clock steps by 300 ms", _clock_step, everywhere(ON)),
    Event("a second bot key, issued and revoked", _second_key, everywhere(ON, VALIDATING, LIVE, RAMPING)),
    Event("the log is rotated", _log_rotation, everywhere(ON, VALIDATING, LIVE, RAMPING)),
    Event("the ECB publishes another rate", _new_rate, everywhere(replace(ON, sees="the ECB says"))),
    Event("the rate's centre is moved", _set_rate, everywhere(replace(ON, sees="a person signed the rate"))),
    Event("a tighter policy is signed with real money", _tightened_with_money, everywhere(ON, LIVE, RAMPING)),
    Event("the symbol goes offline for 75 s", _offline, everywhere(OFFLINE, LIVE, RAMPING)),
    Event("the owner withdraws 1 USDT", _withdrawal, everywhere(BOOKED)),
    Event("the owner deposits 1 USDT", _deposit, everywhere(BOOKED)),
    Event("money comes that no history shows", _unexplained, everywhere(UNEXPLAINED, LIVE)),
    Event(
        "DNS does not resolve for 20 s",
        _unresolved_for_long,
        by_money(PAUSED, demoted("VALIDATED"), demoted("LIVE_€10")),
    ),
    Event("the venue is down for 90 s", _down, by_money(PAUSED, BLIND)),
    Event("fees in MX switched on, then off", _fees_in_mx, everywhere(IN_MX, LIVE, RAMPING)),
    Event("the owner places an order by hand", _owners_order, everywhere(BY_HAND, LIVE, RAMPING)),
    Event("a tighter policy is signed", _tightened, everywhere(demoted("MOCK"), VALIDATING)),
    Event("a tighter policy is in the file at a restart", _tightened_at_start, everywhere(demoted("MOCK"), LIVE)),
)
"""Everything that can be played, in the order in which it is: what ends the run at a stage comes last."""

SHORT = ("listenKeys expire", "controller kill -9", "the log is rotated")
"""Those that `make test` plays."""

PATIENT_LEASE_S = 120
"""The lease in the short form. A start takes seconds of processor time, and `make test` also runs on a slow or busy machine."""


def patiently(event: Event) -> Event:
    """The event in the short form: a start may take as long as its lease, as in the long form."""
    longer = replace(SHORT_GAP, most_gap_ms=PATIENT_LEASE_S * 1000)
    return replace(event, expected={at: longer if one is SHORT_GAP else one for at, one in event.expected.items()})
