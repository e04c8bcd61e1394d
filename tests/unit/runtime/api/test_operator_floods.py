"""Proposals over TCP, and submissions that anybody can send, do not let the journal grow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from controller.authority.envelope import Envelope
from controller.authority.signing import sign_with_file_key
from controller.console.app import create_app
from controller.console.limits import ConsoleLimits
from controller.console.schema import ProposeRequest
from controller.core.decisions.draft import SealReply
from controller.core.lifecycle import Position
from controller.runtime.api.operator import Operator
from controller.runtime.api.refusals import RATE
from controller.runtime.api.shown import MOST, REUSED_MS, ShownEvidence
from controller.serving.throttle import Rate
from exchange.errors import GatehouseError
from exchange.model import Millis
from policies.authority import Verb
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.operating import operating
from tests.support.shell import Shell

ADVANCE = ProposeRequest(verb=Verb.ADVANCE, reason="test")
FLOOD = 300


@pytest.fixture(scope="module")
def earned() -> Desk:
    desk = Desk().arm()
    desk.trade(6)
    desk.run(40_000)
    return desk


@pytest.fixture
def shell(earned: Desk, tmp_path: Path) -> Iterator[Shell]:
    made = Shell(earned.fork(), tmp_path / "journal.db")
    yield made
    made.journal.close()


def sign(shell: Shell, payload: str, *names: str) -> str:
    envelope = Envelope(payload.encode())
    for name in names:
        envelope = sign_with_file_key(envelope, shell.desk.keys[name])
    return envelope.text


async def refused(operator: Operator, envelope: str) -> str:
    """The code with which a submission is refused."""
    with pytest.raises(GatehouseError) as found:
        await operator.submit(envelope)
    return found.value.code


async def test_a_flood_of_proposals_over_tcp_journals_nothing_and_is_limited(shell: Shell) -> None:
    before = shell.journal.head
    limits = ConsoleLimits(proposals=Rate(1, 5), all_proposals=Rate(4, 20))
    async with operating(shell) as operator:
        app = create_app(operator, local=False, limits=limits, monotonic_ns=shell.clock.monotonic_ns)
        body = {"verb": "advance", "reason": "test"}
        statuses: list[int] = []
        for address in range(10):
            transport = httpx.ASGITransport(app, client=(f"10.0.0.{address}", 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                statuses += [(await client.post("/v1/propose", json=body)).status_code for _ in range(10)]
    assert shell.journal.head == before
    assert statuses[:10] == [200] * 5 + [429] * 5
    assert statuses.count(200) == 20
    assert set(statuses) == {200, 429, 503}


async def test_a_proposal_over_the_local_socket_seals_at_once_and_has_no_limit(shell: Shell) -> None:
    before = shell.journal.head.seq
    async with operating(shell) as operator:
        transport = httpx.ASGITransport(create_app(operator, local=True))
        async with httpx.AsyncClient(transport=transport, base_url="http://local") as client:
            body = {"verb": "advance", "reason": "test"}
            assert [(await client.post("/v1/propose", json=body)).status_code for _ in range(30)] == [200] * 30
    assert shell.kinds_on_disk()[before:] == ["evidence-sealed"] * 30


async def test_a_command_proposed_over_tcp_is_sealed_when_it_is_signed(shell: Shell) -> None:
    before = shell.journal.head.seq
    async with operating(shell) as operator:
        proposal = await operator.propose(ADVANCE, seal=False)
        assert shell.journal.head.seq == before
        receipt = await operator.submit(sign(shell, proposal.payload, "alice", "bob"))
    assert receipt.position == str(Position(Stage.TESTNET_VALIDATING))
    assert shell.kinds_on_disk()[before : before + 2] == ["evidence-sealed", "command-accepted"]


def test_many_proposals_of_one_move_show_the_same_evidence_for_a_while() -> None:
    shown, target = ShownEvidence(), Position(Stage.TESTNET_VALIDATING)

    def show(number: int, now: int, governance_seq: int = 7) -> str:
        seal = SealReply(f"digest {number}", "PASS", f"evidence {number}")
        return shown.keep(Verb.ADVANCE, target, seal, governance_seq, Millis(now)).evidence_digest

    assert {show(number, number) for number in range(1, 100)} == {"digest 1"}
    assert show(100, REUSED_MS) == "digest 1"
    assert show(101, REUSED_MS + 1) == "digest 101"
    assert show(102, REUSED_MS + 1, governance_seq=8) == "digest 102"
    assert [shown.text(f"digest {number}") for number in (1, 2, 101)] == ["evidence 1", "", "evidence 101"]


def test_the_memory_for_shown_evidence_is_bounded() -> None:
    shown = ShownEvidence()
    for number in range(MOST + 10):
        seal = SealReply(f"digest {number}", "PASS", f"evidence {number}")
        shown.keep(Verb.ADVANCE, Position(Stage.TESTNET_VALIDATING), seal, number, Millis(0))
    known = [number for number in range(MOST + 10) if shown.text(f"digest {number}")]
    assert known == list(range(10, MOST + 10))


async def test_a_flood_of_envelopes_that_do_not_verify_journals_a_limited_number(shell: Shell) -> None:
    before = shell.journal.head.seq
    async with operating(shell) as operator:
        codes = {await refused(operator, f'{{"nothing": {number}}}') for number in range(FLOOD)}
        assert len(codes) == 1
        assert shell.journal.head.seq - before == RATE.burst
        shell.clock.ns += RATE.seconds * 1_000_000_000
        for number in range(FLOOD):
            await refused(operator, f'{{"nothing": {number}}}')
    assert shell.journal.head.seq - before == RATE.burst + RATE.count


async def test_a_flood_of_a_command_that_was_refused_journals_a_limited_number(shell: Shell) -> None:
    before = shell.journal.head.seq
    async with operating(shell) as operator:
        proposal = await operator.propose(ADVANCE, seal=False)
        short = sign(shell, proposal.payload, "carol")
        codes = [await refused(operator, short) for _ in range(FLOOD)]
    assert codes[0] == "under-quorum"
    assert codes[-1] == "too-many-repeats"
    assert shell.journal.head.seq - before == RATE.burst + 1


async def test_a_flood_of_a_command_that_was_applied_journals_a_limited_number(shell: Shell) -> None:
    async with operating(shell) as operator:
        proposal = await operator.propose(ADVANCE, seal=False)
        envelope = sign(shell, proposal.payload, "alice", "bob")
        await operator.submit(envelope)
        before = shell.journal.head.seq
        codes = [await refused(operator, envelope) for _ in range(FLOOD)]
    assert codes[0] == "command-replayed"
    assert shell.journal.head.seq - before == RATE.burst


async def test_a_signed_command_is_judged_whatever_is_sent_besides(shell: Shell) -> None:
    async with operating(shell) as operator:
        proposal = await operator.propose(ADVANCE, seal=False)
        short = sign(shell, proposal.payload, "carol")
        for number in range(FLOOD):
            await refused(operator, f'{{"nothing": {number}}}')
            with suppress(GatehouseError):
                await operator.submit(short)
        whole = sign(shell, proposal.payload, "carol", "alice", "bob")
        assert (await operator.submit(whole)).position == str(Position(Stage.TESTNET_VALIDATING))
