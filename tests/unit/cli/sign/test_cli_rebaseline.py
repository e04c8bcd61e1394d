"""``gatehouse rebaseline`` shows each difference, asks, and signs exactly what it showed."""

from __future__ import annotations

from types import MethodType

import pytest

from controller.authority.meaning import meaning
from controller.console.flatten import WayOutView
from controller.console.schema import ProposalView, ProposeRequest, ReceiptView
from controller.core.decisions.rebaseline import subject_of
from exchange.ports import VenueName
from policies.authority import Verb
from tests.support.cli_kit import Run, Served
from tests.support.desk import D
from tests.support.operator_port import DIGEST
from tests.unit.cli.sign.test_cli_bot_keys_alerts_drills import key_file
from tests.unit.cli.sign.test_cli_governance import payload_of

SUBJECT = subject_of(VenueName.LIVE, {"USDT": D(100), "BTC": D(1)}, {"USDT": D("79.5"), "BTC": D(1)})


@pytest.fixture
def submitted(served: Served) -> list[str]:
    """The envelopes that a controller got which proposes ``SUBJECT`` and applies whatever it is sent."""
    seen: list[str] = []

    async def propose(_: object, request: ProposeRequest, **__: object) -> ProposalView:
        assert (request.verb, request.subject) == (Verb.REBASELINE, "live")
        payload = payload_of(request.verb, SUBJECT).decode()
        return ProposalView(payload=payload, payload_digest=DIGEST, word_code="", summary="", gate=None, persons_needed=1)

    async def submit(_: object, envelope: str) -> ReceiptView:
        seen.append(envelope)
        return ReceiptView(seq=1, hash=DIGEST, position="HALTED", gate=None)

    served.port.propose = MethodType(propose, served.port)  # type: ignore[method-assign]
    served.port.submit = MethodType(submit, served.port)  # type: ignore[method-assign]
    return seen


@pytest.mark.parametrize(("answer", "count"), [("y\n", 1), ("n\n", 0), ("", 0)])
def test_it_shows_each_difference_and_signs_only_after_a_yes(
    run: Run, served: Served, submitted: list[str], answer: str, count: int
) -> None:
    arguments = ("rebaseline", "--venue", "live", "--key", key_file(served), "--reason", "x", "--dir", served.directory)
    result = run(*arguments, answer=answer)
    assert (result.exit_code == 0, len(submitted)) == (count == 1, count), result.output
    for part in ("USDT", "100", "79.5", "-20.5"):
        assert part in result.stderr
    assert "BTC" not in result.stderr


def test_a_script_says_yes_and_still_sees_the_difference(run: Run, served: Served, submitted: list[str]) -> None:
    arguments = ("rebaseline", "--venue", "live", "--yes", "--key", key_file(served), "--reason", "x", "--dir", served.directory)
    result = run(*arguments, "-o", "json")
    assert (result.exit_code, len(submitted)) == (0, 1), result.output
    assert "-20.5" in result.stderr


@pytest.mark.parametrize("venue", ["mock", "LIVE ", ""])
def test_only_an_account_outside_this_process_has_a_baseline(run: Run, served: Served, venue: str) -> None:
    result = run("rebaseline", "--venue", venue, "--key", key_file(served), "--reason", "x", "--dir", served.directory)
    assert result.exit_code == 2


def test_a_signer_reads_every_difference() -> None:
    assert "takes the balances that live shows as right" in meaning(Verb.REBASELINE, SUBJECT)
    assert "USDT 100 → 79.5 (-20.5)" in meaning(Verb.REBASELINE, SUBJECT)


def test_the_way_out_names_the_account() -> None:
    way = WayOutView(
        verb=Verb.REBASELINE,
        target="HALTED",
        persons_needed=1,
        cooling_off_ms=0,
        gate="",
        refused="",
        remedy="",
        since_ms=None,
        venue=VenueName.TESTNET,
        command="gatehouse rebaseline --venue testnet …",
    )
    assert way.line == "rebaseline of testnet (1 signature) is open: gatehouse rebaseline --venue testnet …"
