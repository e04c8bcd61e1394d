"""What the console's pages read: one order's life, searches, the chain and the guards; bounded, and never in the writer's way."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence

import pytest

from controller.console.inspection import FOUND_MOST, SEARCHED_MOST, OrderFilter, Topic
from controller.core import event_codec
from controller.core.events import OrderAdmitted
from controller.core.lifecycle import Position
from controller.journal.chain import Entry, Head, Record, genesis_hash, seal_all
from controller.runtime.api.inspector import PIECE, Inspector
from controller.runtime.followers.recent import RecentHistory
from exchange.errors import Unauthorised, UsageError
from exchange.model import Millis
from policies.authority import Verb
from policies.stage import Stage
from tests.support.desk import Desk


def journal_of(desk: Desk) -> list[Entry]:
    """The desk's events as a chain."""
    entries: list[Entry] = []
    head = Head(0, genesis_hash("desk"), 1)
    for event, at in desk.journal:
        sealed, head = seal_all([Record(event.kind, event_codec.encode(event))], head, at=at)
        entries += sealed
    return entries


class Reader:
    """Reads a list of entries, and notes how much was asked for at once."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries, self.asked = entries, list[int]()

    async def __call__(self, after: int, limit: int) -> Sequence[Entry]:
        self.asked.append(limit)
        return self.entries[after : after + limit]


def inspector(desk: Desk, read: Reader, *, seen: bool = True, history: RecentHistory | None = None) -> Inspector:
    return Inspector(
        state=lambda: desk.state,
        read=read,
        oldest=lambda: 0,
        history=history or RecentHistory(),
        seen=desk.seen if seen else lambda: None,
        now=lambda: desk.now,
    )


@pytest.fixture(scope="module")
def traded() -> tuple[Desk, list[Entry]]:
    """A desk that traded for a while, and its journal."""
    desk = Desk().arm()
    for _ in range(30):
        desk.trade(2)
        desk.run(6_000)
    return desk, journal_of(desk)


async def test_the_life_of_an_order_is_every_entry_about_it(traded: tuple[Desk, list[Entry]]) -> None:
    desk, entries = traded
    for client_id in [event.client_id for event in desk.events(OrderAdmitted) if isinstance(event, OrderAdmitted)][::9]:
        life = await inspector(desk, Reader(entries)).life(client_id)
        assert [entry.seq for entry in life.entries] == [one.seq for one in entries if client_id.encode() in one.body]
        assert life.complete
        assert life.order.client_id == client_id


async def test_an_order_that_does_not_exist_is_refused(traded: tuple[Desk, list[Entry]]) -> None:
    desk, entries = traded
    with pytest.raises(UsageError) as refused:
        await inspector(desk, Reader(entries)).life("nothing")
    assert refused.value.code == "no-such-order"


async def test_a_search_finds_the_newest_by_kind_and_text_and_pages_on(traded: tuple[Desk, list[Entry]]) -> None:
    desk, entries = traded
    looking = inspector(desk, Reader(entries))
    wanted = [entry.seq for entry in reversed(entries) if entry.kind.startswith("order")]
    found: list[int] = []
    before: int | None = None
    while not found or before is not None:
        part = await looking.find("order", "", before, 7)
        found += [entry.seq for entry in part.entries]
        before = part.searched_to if part.searched_to > 1 else None
    assert found == wanted
    client_id = desk.events(OrderAdmitted)[0].client_id  # type: ignore[attr-defined]
    assert {entry.kind for entry in (await looking.find("", client_id, None, 50)).entries} >= {"order-admitted", "fill-booked"}


async def test_a_search_without_a_result_ends_and_says_how_far_it_looked(traded: tuple[Desk, list[Entry]]) -> None:
    desk, entries = traded
    many = entries * (2 * SEARCHED_MOST // len(entries) + 1)
    many = [entry._replace(seq=seq) for seq, entry in enumerate(many, 1)]
    read = Reader(many)
    looking = inspector(desk, read)
    found = await looking.find("nothing", "", len(many) + 1, 50)
    assert found.entries == ()
    assert found.searched_to == len(many) - SEARCHED_MOST + 1
    assert max(read.asked) <= PIECE
    assert len((await looking.find("", "", len(many) + 1, 10_000)).entries) == FOUND_MOST


async def test_the_newest_of_a_topic_are_kept() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    read = Reader(journal_of(desk))
    looking = inspector(desk, read)
    first = await looking.newest(Topic.COMMANDS)
    assert [entry.kind for entry in first.entries] == ["command-accepted"]
    desk.trade(2)
    desk.move(Verb.ADVANCE, Stage.VALIDATED)
    read.entries = journal_of(desk)
    read.asked.clear()
    assert [entry.kind for entry in (await looking.newest(Topic.COMMANDS)).entries] == ["command-refused", "command-accepted"]
    assert sum(read.asked) < 60
    assert await looking.newest(Topic.COMMANDS) == await inspector(desk, read).newest(Topic.COMMANDS)


async def test_other_work_has_its_turn_between_pieces(traded: tuple[Desk, list[Entry]]) -> None:
    desk, entries = traded
    read, turns = Reader(entries), 0

    async def work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    working = asyncio.create_task(work())
    await inspector(desk, read).find("nothing", "", None, 50)
    working.cancel()
    assert len(read.asked) > 3
    assert turns >= len(read.asked)


async def test_the_chain_is_computed_again_from_its_beginning(traded: tuple[Desk, list[Entry]]) -> None:
    desk, entries = traded
    found = await inspector(desk, Reader(entries)).chain(0, 1000)
    assert (found.problem, found.first, found.first_prev) == ("", 1, genesis_hash("desk"))
    assert (found.last, found.last_hash) == (min(1000, len(entries)), entries[found.last - 1].hash)
    part = await inspector(desk, Reader(entries)).chain(10, 5)
    assert (part.first_prev, part.last, part.problem) == (entries[9].hash, 15, "")


Damage = Callable[[list[Entry]], list[Entry]]
DAMAGES: dict[str, Damage] = {
    "edited": lambda e: [*e[:5], e[5]._replace(body=b'{"x":1}'), *e[6:]],
    "moved in time": lambda e: [*e[:5], e[5]._replace(at=Millis(e[5].at + 1)), *e[6:]],
    "missing": lambda e: [*e[:5], *e[6:]],
    "of another controller": lambda e: [e[0]._replace(prev=genesis_hash("other")), *e[1:]],
    "cut off": lambda e: e[:5],
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_chain_is_named(traded: tuple[Desk, list[Entry]], damage: str) -> None:
    desk, entries = traded
    found = await inspector(desk, Reader(DAMAGES[damage](entries))).chain(0, 100)
    assert found.problem
    assert found.last <= 5


async def test_orders_are_filtered_newest_first_and_paged(traded: tuple[Desk, list[Entry]]) -> None:
    desk, entries = traded
    history = RecentHistory()
    for event, entry in zip((event for event, _ in desk.journal), entries, strict=True):
        history.record(entry, event, desk.state)
    looking = inspector(desk, Reader(entries), history=history)
    admitted = [event.client_id for event, _ in desk.journal if isinstance(event, OrderAdmitted)][::-1]
    found: list[str] = []
    before: int | None = None
    while not found or before is not None:
        part = await looking.orders(OrderFilter(), before, 7)
        found += [order.client_id for order in part.orders]
        before = part.older_than
    assert found == admitted
    sells = await looking.orders(OrderFilter(side="SELL"), None, 50)
    assert {order.side for order in sells.orders} == {"SELL"}
    assert (await looking.orders(OrderFilter(bot="nobody"), None, 50)).orders == ()


async def test_guards_are_measured_now_and_a_standby_measures_none(traded: tuple[Desk, list[Entry]]) -> None:
    desk, entries = traded
    shown = {one.guard: one for one in await inspector(desk, Reader(entries)).guards()}
    assert shown["drawdown"].used_per_mille is not None
    assert (shown["clock-offset"].measured, shown["clock-offset"].level) == ("3 ms", "")
    assert await inspector(desk, Reader(entries), seen=False).guards() == ()


async def test_the_policy_in_force_is_listed_in_sections(traded: tuple[Desk, list[Entry]]) -> None:
    desk, entries = traded
    groups = {
        group.title: {fact.name: fact.value for fact in group.facts} for group in await inspector(desk, Reader(entries)).in_force()
    }
    assert groups["policy: limits"]["order_notional_max_eur"] == str(desk.policy.limits.order_notional_max_eur)
    assert groups["policy"]["name"] == desk.policy.name


async def test_a_signed_command_is_read_and_nothing_is_decided() -> None:
    desk = Desk().arm()
    desk.trade(6)
    desk.run(40_000)
    command = desk.verified(desk.command(Verb.ADVANCE, Position(Stage.TESTNET_VALIDATING)), "alice")
    before = desk.state
    looking = inspector(desk, Reader(journal_of(desk)))
    checked = await looking.check(command.envelope)
    assert (checked.persons, checked.needed, checked.problem) == (("alice",), 1, "")
    assert (checked.moves, checked.payload_digest) == ("MOCK → TESTNET_VALIDATING", command.payload_digest)
    assert (await looking.check(re.sub(r'("sig": ?")', r"\1AAAA", command.envelope))).problem
    assert desk.state is before
    with pytest.raises(Unauthorised):
        await looking.check("{}")
