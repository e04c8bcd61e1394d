"""A symbol has one form wherever it is read, and another one is refused in words."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from controller.authority.command import Command
from controller.cli.shared.symbols import typed_symbol
from exchange import tape
from exchange.errors import ConfigError, IntegrityError, UsageError
from exchange.mexc import signer
from exchange.model import SYMBOL, DataSource, symbol_fault
from exchange.tape import TapeHeader
from exchange.testnet.conditions.faults import Fault
from exchange.testnet.conditions.listings import ListingChange
from exchange.wire import stream
from exchange.wire.errors import WireRefusal
from exchange.wire.orders import parse_symbol
from policies.document import json_schema, load_policy
from policies.schema import Policy
from tests.unit.policies.policy_kit import REHEARSAL_FILE

CYRILLIC = "BTCUSD\u0422"
WORDS = "contains the character 'Т' U\\+0422, and a symbol has only the letters A to Z and digits"
ODD = ["BTCUSD\u0422", "\u5e01\u5b89\u4eba\u751fUSDT", "BTCU\u017fDT", "BTCUSDT\u200b", "\uff22TCUSDT", "BTCUSD\u0131"]


@pytest.mark.parametrize("odd", ODD, ids=ascii)
def test_the_first_character_that_is_not_ascii_is_named(odd: str) -> None:
    first = next(one for one in odd if not one.isascii())
    assert f"U+{ord(first):04X}" in symbol_fault(odd)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("btcusdt", "'b', and a symbol has only the capital"),
        ("BTC/USDT", "'/'"),
        ("B", "1 characters"),
        ("B" * 31, "31 characters"),
        ("", "0 characters"),
    ],
)
def test_every_other_fault_is_named_too(text: str, words: str) -> None:
    assert words in symbol_fault(text)


@given(st.text(max_size=34) | st.from_regex(SYMBOL, fullmatch=True))
def test_a_symbol_is_good_if_and_only_if_it_has_the_form(text: str) -> None:
    assert (not symbol_fault(text)) == (re.fullmatch(SYMBOL, text, re.ASCII) is not None)


def test_requests_refuse_it_in_words() -> None:
    with pytest.raises(WireRefusal, match=f"-1121: Invalid symbol: .*{WORDS}"):
        parse_symbol({"symbol": CYRILLIC})


def test_a_policy_file_refuses_it_in_words() -> None:
    with pytest.raises(ConfigError, match=f"symbols.0 is not acceptable: .*{WORDS}"):
        load_policy(REHEARSAL_FILE.read_text().replace("BTCUSDT", CYRILLIC).encode())


def test_policy_and_wire_accept_the_same_symbols() -> None:
    longest = "A" * 26 + "USDT"
    text = REHEARSAL_FILE.read_text().replace("BTCUSDT", longest)
    assert load_policy(text.encode()).symbols[0] == parse_symbol({"symbol": longest}) == longest


def test_the_schema_of_a_policy_has_the_pattern() -> None:
    assert json_schema()["properties"]["symbols"]["items"]["pattern"] == f"^{SYMBOL}$"
    assert Policy.model_fields.keys() >= {"symbols"}


def test_every_other_reader_uses_the_pattern() -> None:
    assert stream._SYMBOL_PATTERN.pattern == SYMBOL
    assert f"symbol=({SYMBOL})&" in signer._ORDER.pattern
    assert Command.model_json_schema()["properties"]["symbols"]["items"]["pattern"] == f"^{SYMBOL}$"


def test_a_tape_of_such_a_symbol_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "odd.tape"
    tape.write(path, TapeHeader(CYRILLIC, DataSource.RECORDED_L2, "here", "mine", ""), [])
    with pytest.raises(IntegrityError, match=WORDS):
        tape.read_header(path)


def test_the_testnets_control_endpoint_refuses_it_in_words() -> None:
    with pytest.raises(ValidationError, match=WORDS):
        ListingChange.model_validate({"symbol": CYRILLIC, "status": 2})
    with pytest.raises(ValidationError, match=WORDS):
        Fault.model_validate({"kind": "price-gap", "params": {"symbol": CYRILLIC, "factor": Decimal(2)}})


def test_a_person_may_type_small_letters_of_ascii_only() -> None:
    assert typed_symbol("btcusdt") == "BTCUSDT"
    with pytest.raises(UsageError, match="U\\+017F"):
        typed_symbol("btcu\u017fdt")
