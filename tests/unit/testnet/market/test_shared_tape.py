"""Both files of the recorded BTCUSDT market: the fills of seed 7 never change."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from exchange.convert import convert_binance
from exchange.matching.resting import FillModel
from exchange.tape import TapeRecord
from exchange.testnet.conditions.latency import DEFAULT_QUANTILES
from exchange.testnet.replay import replay

ROOT = Path(__file__).resolve().parents[4]
FILES = ("binance-btcusdt-l2-20240808.jsonl.gz", "binance-btcusdt-l2-20240809.jsonl.gz")

# A change here means that the testnet fills differently from before: past evidence can no longer be reproduced.
GOLDEN = {
    FillModel.PESSIMISTIC: "fbf2346f54838de8068b69804061053ea40346f6c5ff4019d46ea582a65bb36c",
    FillModel.BASE: "edb0904ddb094c1674837574e2289c0cdf222b05bce11a380d0a561cb60fc20d",
    FillModel.OPTIMISTIC: "c4aa6838362b4919e5049146c800cee91281d36642e35653e90e095ca31fdaeb",
}
GOLDEN_WITH_LATENCY = "e0b2b34aa969e703f5b7479935921198fad67dc66e31aa8fd27b4fc1303367a7"


@pytest.fixture(scope="module")
def shared() -> list[TapeRecord]:
    market = Path(os.environ.get("GATEHOUSE_SHARED", ROOT.parent / "shared")) / "data/market"
    missing = [name for name in FILES if not (market / name).exists()]
    if missing:
        pytest.skip(f"{', '.join(missing)} not in {market}; set GATEHOUSE_SHARED to the folder that holds data/market")
    return convert_binance(_lines([market / name for name in FILES]), "BTCUSDT", band=Decimal("0.06"))


def _lines(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        with gzip.open(path, "rt") as lines:
            yield from lines


def test_the_two_files_are_one_unbroken_market(shared):
    assert (len(shared), shared[-1].at - shared[0].at) == (26_397, 650_401)


@pytest.mark.parametrize("model", list(FillModel))
def test_scripted_quotes_on_the_whole_recording_give_the_golden_fills(shared, model):
    assert replay(shared, model, seed=7).digest == GOLDEN[model]


def test_with_latency_the_fills_differ_and_are_golden_too(shared):
    assert replay(shared, seed=7, latency=DEFAULT_QUANTILES).digest == GOLDEN_WITH_LATENCY
