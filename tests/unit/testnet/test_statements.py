"""The testnet signs what it is and what an account did: its key, its books, its gaps, and who may ask (ADR 47)."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exchange.errors import ConfigError
from exchange.model import Millis
from exchange.statement import STREAM_GAP_MS, Books, Challenge, Statement, public_line, read_answer
from exchange.testnet.config import TestnetConfig
from exchange.testnet.http import statement
from exchange.testnet.identity import KEY_FILE, own_key
from exchange.testnet.server import RunningTestnet, running_testnet
from exchange.testnet.statements import Statements
from tests.support.loopback import http_at
from tests.unit.testnet.conftest import BOT, SigningClient

PREFIX = "gh-0123456789abcdef-"
ASKED = Challenge("5" * 64, "desk", BOT.api_key, PREFIX)


def question(challenge: Challenge = ASKED, **changes: str) -> dict[str, str]:
    asked = {name: str(getattr(challenge, name)) for name in ("nonce", "controller", "account", "prefix", "after")}
    return {**asked, **changes}


async def say(testnet: RunningTestnet, challenge: Challenge = ASKED) -> Statement:
    """What the testnet answers, if it is signed by its key."""
    async with http_at(testnet.base_url) as http:
        reply = await http.get(statement.PATH, params=question(challenge))
    found = read_answer(reply.content, challenge, public_line(testnet.venue.identity.public_key()))
    assert isinstance(found, Statement), found
    return found


async def trade(testnet: RunningTestnet, number: int) -> None:
    """One order of ours that trades at once."""
    async with http_at(testnet.base_url) as http:
        client = SigningClient(http)
        answer = await client.place(price="70000", quantity="0.001", newClientOrderId=f"{PREFIX}{number:010d}")
        assert answer.status_code == 200, answer.text


# Its key


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    state = tmp_path / "venue"
    made = own_key(state)
    assert stat.S_IMODE((state / KEY_FILE).stat().st_mode) == 0o600
    assert public_line(own_key(state).public_key()) == public_line(made.public_key())


def test_a_testnet_that_keeps_nothing_has_another_key_each_time() -> None:
    first, second = (public_line(own_key(None).public_key()) for _ in range(2))
    assert first != second


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    own_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o640)
    with pytest.raises(ConfigError, match="other users can read"):
        own_key(tmp_path)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN OPENSSH PRIVATE KEY-----\n", b"\0" * 100])
def test_a_damaged_key_is_refused_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / KEY_FILE
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="cannot be used"):
        own_key(tmp_path)
    assert path.read_bytes() == content


def test_a_key_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError):
        own_key(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


# Its answers


async def test_it_signs_the_orders_and_trades_of_one_journal(testnet: RunningTestnet) -> None:
    assert (await say(testnet)).books == Books().digest
    await trade(testnet, 1)
    async with http_at(testnet.base_url) as http:
        await SigningClient(http).place(price="70000", quantity="0.001", newClientOrderId="gh-another-0000000001")
    found = await say(testnet)
    assert (found.orders, found.last_order) == (1, f"{PREFIX}0000000001")
    expected = Books()
    for view in testnet.venue.engine.orders("bot", "BTCUSDT"):
        one = view.report
        if one.client_id.startswith(PREFIX):
            expected = expected.with_order(one.client_id, one.order_id, one.symbol, one.side, one.type, one.price, one.quantity)
    for fill in testnet.venue.engine.fills("bot", "BTCUSDT"):
        if fill.client_id.startswith(PREFIX):
            expected = expected.with_fill(fill.client_id, fill.order_id, fill.side, fill.price, fill.quantity, fill.quote)
    assert expected.fills >= 1
    assert (found.fills, found.books) == (expected.fills, expected.digest)


async def test_what_it_adds_up_as_it_happens_is_what_it_adds_up_afterwards(testnet: RunningTestnet) -> None:
    await say(testnet)
    for number in (1, 2, 3):
        await trade(testnet, number)
    followed = await say(testnet)
    testnet.venue.statements = Statements(testnet.venue.engine, testnet.venue.market)
    assert (await say(testnet)).books == followed.books


async def test_orders_up_to_a_number_are_left_out(testnet: RunningTestnet) -> None:
    for number in (1, 2, 3):
        await trade(testnet, number)
    assert (await say(testnet, Challenge(ASKED.nonce, "desk", BOT.api_key, PREFIX, 2))).orders == 1


async def test_the_next_process_signs_the_same_books_as_another_run(tmp_path: Path, config: TestnetConfig) -> None:
    kept = replace(config, state=tmp_path / "venue")
    async with running_testnet(kept) as first:
        await trade(first, 1)
        before = await say(first)
    async with running_testnet(kept) as second:
        after = await say(second)
    assert (after.books, after.instance) == (before.books, before.instance)
    assert (before.run, after.run) == (1, 2)


@pytest.mark.parametrize(
    "changes", [{"nonce": ""}, {"account": "nobody"}, {"prefix": "a b"}, {"after": "-1"}, {"after": "x"}, {"after": "9" * 20}]
)
async def test_a_question_that_it_cannot_answer_is_refused(testnet: RunningTestnet, changes: dict[str, str]) -> None:
    async with http_at(testnet.base_url) as http:
        assert (await http.get(statement.PATH, params=question(**changes))).status_code == 400


# Its data


def coverage(testnet: RunningTestnet, *records: int, now: int) -> Any:
    """What it says of a market whose records came at these times."""
    statements = Statements(testnet.venue.engine, testnet.venue.market)
    for at in records:
        statements.record("BTCUSDT", Millis(at))
    return statements.about(ASKED, "bot", testnet.venue.instance, Millis(now)).streams["BTCUSDT"]


async def test_a_gap_is_a_time_without_a_record(testnet: RunningTestnet) -> None:
    end = 1_000 + STREAM_GAP_MS + 1
    found = coverage(testnet, 0, 1_000, end, end + 500, now=end + 700)
    assert (found.covered_ms, found.gap_ms, found.longest_gap_ms) == (1_700, STREAM_GAP_MS + 1, STREAM_GAP_MS + 1)
    assert found.last_at == end + 500


async def test_a_gap_that_is_still_open_counts(testnet: RunningTestnet) -> None:
    found = coverage(testnet, 0, 1_000, now=61_000)
    assert (found.covered_ms, found.gap_ms, found.longest_gap_ms, found.last_at) == (1_000, 60_000, 60_000, 1_000)


async def test_a_short_pause_is_no_gap(testnet: RunningTestnet) -> None:
    assert coverage(testnet, 0, STREAM_GAP_MS, now=2 * STREAM_GAP_MS).gap_ms == 0
