"""A real way of an order to a venue's books, with a signer at the other end of a socket; for tests of what is signed ahead.

Real are the writer, its journal, the performer, the venue client, the testnet and the signer's service; the service runs in a
thread of the test, so that a test can read what it counted.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random
from threading import Thread

from controller.core.decisions.draft import Decision
from controller.core.state import State
from controller.runtime.venues.perform import Performer
from controller.runtime.venues.strangers import Strangers
from controller.signer.process import serve
from controller.signer.remote import Link, RemoteSigner
from exchange.mexc.client import MexcVenue
from exchange.mexc.connect import VenueEndpoint, open_venue
from exchange.mexc.reach import Reach
from exchange.model import OrderIntent, OrderType, Side
from exchange.ports import VenueName
from exchange.testnet.conditions.clock import SystemClock
from exchange.testnet.config import AccountConfig, TestnetConfig
from exchange.testnet.server import RunningTestnet, running_testnet
from tests.support.desk import SYMBOL
from tests.support.shell import Shell
from tests.unit.signer import signer_kit

ACCOUNT, EPOCH = "live", 1
QUANTITY, PRICE = "0.00003", "59500"
NOTIONAL = Decimal(QUANTITY) * Decimal(PRICE)


@dataclass
class Way:
    """A shell whose effects are carried out at ``testnet``, which stands for the live venue."""

    shell: Shell
    signer: signer_kit.Desk
    testnet: RunningTestnet
    venue: MexcVenue
    performer: Performer

    def buy(self, name: str) -> asyncio.Future[Decision]:
        """Ask for a small buy. Its answer comes with its decision."""
        return self.shell.ask(self.shell.desk.requested(QUANTITY, PRICE, bot_id=name))

    @staticmethod
    def order() -> OrderIntent:
        """The order that ``buy`` asks for."""
        return OrderIntent(SYMBOL, Side.BUY, OrderType.LIMIT, "gh-next", Decimal(QUANTITY), None, Decimal(PRICE))

    def signed(self) -> int:
        """How many of these buys the signer has signed, by its own count, which it saves rounded up by less than one of them."""
        return int(sum(self.signer.memory.buys.values(), Decimal(0)) // NOTIONAL)

    def orders(self) -> int:
        """How many orders the venue has taken, by its own books."""
        return len(self.testnet.venue.engine.orders(ACCOUNT, SYMBOL, limit=1000))

    async def settled(self) -> None:
        """Wait until every effect has ended."""
        await asyncio.wait_for(self.performer.drain(), 20)


@asynccontextmanager
async def way(shell: Shell, path: Path) -> AsyncIterator[Way]:
    """The venue, the signer and what connects them to the shell's writer. The signer's live account is granted LIVE_€10."""
    account = AccountConfig(ACCOUNT, "mx0live", signer_kit.SECRET, {"USDT": Decimal(100)})
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    signer = signer_kit.Desk(path, epoch=EPOCH)
    signer.to_live()
    signer.clock.ns = shell.clock.ns
    thread = Thread(target=serve, args=(theirs, signer.service))
    thread.start()
    link = Link(5, lambda: None)
    link.attach(ours)
    link.up()
    try:
        async with running_testnet(TestnetConfig(accounts=(account,), port=0)) as testnet:
            endpoint = VenueEndpoint(testnet.base_url, testnet.ws_url, Reach.LOOPBACK)
            remote = RemoteSigner(link, VenueName.LIVE, account.api_key)
            venue = open_venue(VenueName.LIVE, endpoint, remote, SystemClock(), Random(7))
            await venue.balances()
            performer = _performer(shell, venue)
            shell.on_prepare, shell.on_perform = performer.prepare, performer.perform
            yield Way(shell, signer, testnet, venue, performer)
            await venue.aclose()
    finally:
        link.close("the test has ended")
        thread.join()
        theirs.close()


def _performer(shell: Shell, venue: MexcVenue) -> Performer:
    return Performer(
        venues={VenueName.LIVE: venue},
        permits=shell.permits,
        inbox=shell.inbox,
        clock=shell.clock,
        on_alert=lambda _: None,
        on_cancel_all_result=lambda *_: None,
        on_not_empty=lambda *_: None,
        still_open=lambda _: 0,
        working=lambda _: 0,
        trades_on=lambda _: False,
        owner=lambda *_: None,
        strangers=Strangers(State),
        read_account=lambda _: None,
    )
