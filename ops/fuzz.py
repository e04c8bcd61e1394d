"""Fuzzes every parser of what a venue sends with atheris, guided by coverage: `make fuzz`, or `python -m ops.fuzz --seconds 60`.

It ends with a failure at the first input that a parser neither refuses with a typed error nor reads as a value that encodes back.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["exchange"]):
    from tests.support.parsing import PARSERS, refused_or_encoded

from tests.unit.mexc import payloads as p

NAMES = sorted(PARSERS)
SEEDS = {
    "ack": p.POST_ORDER, "cancel": p.DELETE_ORDER, "order": p.GET_ORDER, "orders": p.OPEN_ORDERS, "trades": p.MY_TRADES,
    "account": p.ACCOUNT, "fee": p.TRADE_FEE, "listing": p.LISTING, "ticker": p.BOOK_TICKER, "depth": p.DEPTH,
}  # fmt: skip
FOUND = Path("var/fuzz")
"""Where an input that fails is kept."""
tried = 0


def one_input(data: bytes) -> None:
    """Give one input to the parser that its first byte names."""
    global tried  # noqa: PLW0603 - atheris ends the process, so nothing can be returned
    tried += 1
    if data:
        refused_or_encoded(NAMES[data[0] % len(NAMES)], data[1:])


def main() -> None:
    """Run for as long as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as corpus:
        for name, payload in SEEDS.items():
            (Path(corpus) / name).write_bytes(bytes([NAMES.index(name)]) + json.dumps(payload).encode())
        FOUND.mkdir(parents=True, exist_ok=True)
        limits = (f"-max_total_time={seconds}", "-max_len=4096", "-print_final_stats=1", f"-artifact_prefix={FOUND}/")
        atheris.Setup([sys.argv[0], corpus, *limits], one_input)
        print(f"fuzzing {len(NAMES)} parsers for {seconds} s", flush=True)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
