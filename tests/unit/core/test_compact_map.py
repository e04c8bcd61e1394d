"""A compact map behaves like a dict, and equal histories give equal bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core import events as e
from controller.core import inputs as i
from controller.core.compact_map import CompactMap
from controller.core.decisions.reused_ids import CLIENT_ID
from controller.core.fold.apply import apply
from controller.core.order_state import bot_key
from exchange.model import OrderStatus
from policies.limit_types import Deny
from policies.stage import Stage
from tests.support.desk import D, Desk

KEYS = st.one_of(st.sampled_from(["a", "b", '"', "\n", "a:", "a\n", '\\"', "\0", "é", ""]), st.text(max_size=4))
SCALARS = st.one_of(st.none(), st.integers(), st.text(max_size=6))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
STEPS = st.lists(st.tuples(KEYS, st.one_of(VALUES, st.just(...))), max_size=30)


def built(steps: list[tuple[str, Any]]) -> tuple[CompactMap, dict[str, Any]]:
    compact, plain = CompactMap(), dict[str, Any]()
    for key, value in steps:
        if value is ...:
            compact = compact.drop(key)
            plain.pop(key, None)
        else:
            compact = compact.put(key, value)
            plain[key] = value
    return compact, plain


@given(STEPS, st.lists(KEYS))
def test_a_compact_map_holds_what_a_dict_holds(steps: list[tuple[str, Any]], asked: list[str]) -> None:
    compact, plain = built(steps)
    assert dict(compact.items()) == plain
    assert len(compact) == len(plain)
    for key in [*plain, *asked]:
        assert (key in compact) is (key in plain)
        assert compact.get(key) == plain.get(key)


@given(STEPS)
def test_the_same_history_gives_the_same_bytes_and_they_read_back(steps: list[tuple[str, Any]]) -> None:
    compact, _ = built(steps)
    assert list(built(steps)[0].parts()) == list(compact.parts())
    again = CompactMap.of_parts(len(compact), compact.parts())
    assert again == compact
    assert again.digest() == compact.digest()


@given(st.text(min_size=200), st.lists(st.text(), max_size=3))
def test_a_long_line_is_compressed_and_reads_back(text: str, more: list[str]) -> None:
    compact = CompactMap.of(("a", "c")).put("b", [text, *more])
    assert compact.get("b") == [text, *more]
    assert CompactMap.of_parts(3, compact.parts()).get("b") == [text, *more]


def test_the_digest_does_not_depend_on_the_compression(monkeypatch: pytest.MonkeyPatch) -> None:
    small = CompactMap().put("a", "x" * 1000)
    monkeypatch.setattr("controller.core.compact_map._LONG", 10_000)
    plain = CompactMap().put("a", "x" * 1000)
    assert plain != small
    assert plain.digest() == small.digest()


def test_a_dropped_key_leaves_no_trace() -> None:
    assert CompactMap.of(("a",)).drop("a") == CompactMap()


def test_a_change_leaves_the_earlier_map_unchanged() -> None:
    before = CompactMap().put("a", 1)
    assert (before.put("a", 2).get("a"), before.drop("a").get("a"), before.get("a")) == (2, None, 1)


def test_keys_that_share_a_bucket_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.core.compact_map.crc32", lambda _: 7)
    compact, plain = built([(f"key{number % 40}", number) for number in range(100)] + [("key3", ...), ("key39", ...)])
    assert dict(compact.items()) == plain
    assert sum(bool(bucket) for piece in compact.pieces for bucket in piece) == 1


LINE = CompactMap.of(("a",))


@pytest.mark.parametrize(
    "parts",
    [
        [b"0"],
        [b"x\n"],
        [],
        [b"999\n" + bytes(1024)],
        [part[:-1] for part in LINE.parts()],
        [part + b"x" for part in LINE.parts()],
        list(CompactMap.of(("a", "b")).parts()),
    ],
)
def test_bytes_of_another_map_are_refused(parts: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"compact map|subsection|invalid literal"):
        CompactMap.of_parts(1, parts)


@given(st.text(), st.text(), st.text(), st.text())
def test_two_bots_ids_never_share_a_key(bot: str, name: str, other_bot: str, other_name: str) -> None:
    assert (bot_key(bot, name) == bot_key(other_bot, other_name)) is ((bot, name) == (other_bot, other_name))


@pytest.fixture(scope="module")
def walked() -> Desk:
    return Desk().walk_to(Stage.TESTNET_VALIDATING)


def settled(desk: Desk, bot_id: str) -> str:
    """An order that was filled: nothing about it is expected any more."""
    client_id = desk.placed(desk.order("0.00003", "59900", bot_id=bot_id))
    desk.fill(client_id, "0.00003")
    desk.give(i.VenueReported(desk.state.orders[client_id].venue, desk.report(client_id, OrderStatus.FILLED, "0.00003")))
    return client_id


def test_a_settled_order_is_stored_completely(walked: Desk) -> None:
    desk = walked.fork()
    client_id = settled(desk, "mine")
    order = desk.state.orders[client_id]
    assert (client_id in desk.state.open, client_id in desk.state.settled) == (False, True)
    assert (order.bot_client_id, order.status, order.booked, order.settled) == ("mine", OrderStatus.FILLED, D("0.00003"), True)
    assert list(desk.state.orders).count(client_id) == 1


def test_an_order_is_known_whether_open_or_settled(walked: Desk) -> None:
    desk = walked.fork()
    done, resting = settled(desk, "done"), desk.placed(desk.order("0.00003", "59900", bot_id="resting"))
    assert [client_id in desk.state.orders for client_id in (done, resting, "another", 7)] == [True, True, False, False]


def test_the_bot_id_of_a_settled_order_is_not_reused(walked: Desk) -> None:
    desk = walked.fork()
    first = settled(desk, "mine")
    desk.pass_time(86_400_000)
    again = desk.order("0.00003", "59900", bot_id="mine")
    assert isinstance(again.reply, Deny)
    assert (again.reply.rule, again.effects) == (CLIENT_ID, ())
    assert first in again.reply.message


def test_a_trade_of_a_settled_order_is_booked_once(walked: Desk) -> None:
    desk = walked.fork()
    client_id = settled(desk, "mine")
    fill = desk.trades[desk.state.orders[client_id].venue][-1]
    assert desk.give(i.VenueReported(desk.state.orders[client_id].venue, fill)).events == ()


def test_a_late_report_reopens_a_settled_order_until_its_fill_is_booked(walked: Desk) -> None:
    desk = walked.fork()
    client_id = desk.placed(desk.order("0.00003", "59900"))
    desk.give(i.VenueReported(desk.state.orders[client_id].venue, desk.report(client_id, OrderStatus.CANCELED)))
    assert client_id in desk.state.settled
    late = e.OrderReported(
        client_id=client_id, order_id="C1", status=OrderStatus.PARTIALLY_CANCELED, executed=D("0.00001"), executed_quote=D("0.6")
    )
    after = apply(desk.state, late, desk.now)
    assert (client_id in after.open, client_id in after.settled, len(after.orders)) == (True, False, len(desk.state.orders))
