"""Any bytes give a typed refusal or a value that encodes back, in every parser of what a venue sends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.wire.push_decode import decode_push
from tests.support.parsing import PARSERS, refused_or_encoded
from tests.support.proofs import long_form
from tests.unit.mexc import payloads as p
from tests.unit.mexc.test_venue_fields import READERS

ROOT = Path(__file__).parents[3]
PUBLISHED: dict[str, Any] = {
    "ack": p.POST_ORDER, "cancel": p.DELETE_ORDER, "order": p.GET_ORDER, "orders": p.OPEN_ORDERS, "trades": p.MY_TRADES,
    "account": p.ACCOUNT, "fee": p.TRADE_FEE, "listing": p.LISTING, "ticker": p.BOOK_TICKER, "depth": p.DEPTH,
}  # fmt: skip
TEXT = st.text(max_size=12) | st.sampled_from(["1e39", "1e40", "-0", "0." + "0" * 60 + "1", "C02__1", "\ud800", "1707671871"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.binary(max_size=300))
def test_random_bytes_are_refused_or_encode_back(name: str, data: bytes) -> None:
    refused_or_encoded(name, data)


@pytest.mark.parametrize("name", PUBLISHED)
@given(data=st.data())
def test_a_changed_payload_is_refused_or_encodes_back(name: str, data: st.DataObject) -> None:
    payload = PUBLISHED[name]
    one = dict(payload[0] if isinstance(payload, list) else payload)
    one.update(data.draw(st.dictionaries(st.sampled_from([*one, "Qty", "Market"]), VALUES, min_size=1, max_size=3)))
    body = json.dumps([one] if isinstance(payload, list) else one).encode()
    refused_or_encoded(name, body)
    refused_or_encoded("error", body)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_payload_is_read_and_encodes_back(name: str) -> None:
    assert refused_or_encoded(name, json.dumps(PUBLISHED[name]).encode()) is not None


@pytest.mark.parametrize("where", ["private.orders", "private.deals", "private.account"])
@given(data=st.data())
def test_a_published_push_with_changed_bytes_is_refused_or_encodes_back(where: str, data: st.DataObject) -> None:
    frame = bytearray(frame_of(where))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    refused_or_encoded("push", bytes(frame))


def frame_of(where: str) -> bytes:
    """The frame of a published push."""
    from exchange.wire.pb.push_pb2 import PushDataV3ApiWrapper

    channel, body = (
        where.removeprefix("private."),
        {"orders": "privateOrders", "deals": "privateDeals"}.get(where.removeprefix("private."), "privateAccount"),
    )
    wrapper = PushDataV3ApiWrapper(channel=f"spot@private.{channel}.v3.api.pb", symbol="MXUSDT", sendTime=1736417034281)
    for name, value in READERS[where][0].items():
        setattr(getattr(wrapper, body), name, value)
    assert decode_push(wrapper.SerializeToString())
    return wrapper.SerializeToString()


@long_form(short="test_random_bytes_are_refused_or_encode_back")
def test_a_minute_of_coverage_guided_fuzzing_finds_nothing() -> None:
    pytest.importorskip("atheris", reason="atheris has no wheel for this Python")
    run = subprocess.run(
        [sys.executable, "-m", "ops.fuzz", "--seconds", "60"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )
    assert run.returncode == 0, run.stderr[-3_000:]
    assert "stat::number_of_executed_units" in run.stderr
