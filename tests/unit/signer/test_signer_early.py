"""Answers that nobody waits for yet: each goes to its own question once, and to none after the signer has changed."""

import socket
from collections.abc import Iterator
from threading import Thread

import pytest

from controller.signer import protocol
from controller.signer.process import serve
from controller.signer.protocol import Kind
from controller.signer.remote import EARLY_MOST, Early, Link
from exchange.errors import Refused
from exchange.wire.orders import order_params, order_payload
from exchange.wire.signing import encode_params, signature
from tests.unit.signer.signer_kit import LIVE, SECRET, SYMBOL, Desk, buy, payload_of
from tests.unit.signer.test_signer_link import INTENT, SIGNED, Peer, Permit, peer, refusal

__all__ = ["peer"]


def body(desk: Desk, client_id: str = "gh-1") -> bytes:
    return protocol.order_body(desk.permit(), payload_of(buy(client_id=client_id)))


@pytest.fixture
def desk(tmp_path: object) -> Desk:
    made = Desk(tmp_path, buys_most=1_000)  # type: ignore[arg-type]
    made.to_live()
    return made


@pytest.fixture
def link(desk: Desk) -> Iterator[Link]:
    """A link to a signer's service that runs in a thread."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    thread = Thread(target=serve, args=(theirs, desk.service))
    thread.start()
    made = Link(5, lambda: None)
    made.attach(ours)
    made.up()
    yield made
    made.close("the test has ended")
    thread.join()
    theirs.close()


def early(link: Link, desk: Desk, client_id: str = "gh-1") -> Early:
    asked = link.ask_early(Kind.ORDER, LIVE, body(desk, client_id))
    assert asked is not None
    return asked


def expected(client_id: str = "gh-1") -> bytes:
    return signature(SECRET, payload_of(buy(client_id=client_id))).encode()


def test_an_early_answer_is_collected(link: Link, desk: Desk) -> None:
    assert link.collect(early(link, desk)) == expected()


def test_other_questions_in_between_keep_early_answers_apart(link: Link, desk: Desk) -> None:
    first, second = early(link, desk, "gh-1"), early(link, desk, "gh-2")
    assert link.ask(Kind.ORDER, LIVE, body(desk, "gh-3")) == expected("gh-3")
    assert (link.collect(second), link.collect(first)) == (expected("gh-2"), expected("gh-1"))


def test_an_early_answer_is_given_once(link: Link, desk: Desk) -> None:
    asked = early(link, desk)
    link.collect(asked)
    assert link.collect(asked) is None


def test_a_forgotten_answer_is_given_to_nobody(link: Link, desk: Desk) -> None:
    asked = early(link, desk, "gh-1")
    link.forget(asked)
    assert link.ask(Kind.ORDER, LIVE, body(desk, "gh-2")) == expected("gh-2")
    assert link.collect(asked) is None


@pytest.mark.parametrize("kind", [Kind.LEAD, Kind.COMMAND, Kind.LOWER])
def test_what_was_signed_under_another_authority_counts_for_nothing(link: Link, desk: Desk, kind: Kind) -> None:
    asked = early(link, desk)
    messages = {Kind.LEAD: b"8", Kind.COMMAND: desk.command(journal_seq=42).encode(), Kind.LOWER: b"1"}
    link.ask(kind, LIVE, messages[kind])
    assert link.collect(asked) is None


def test_early_questions_without_end_leave_the_link_open(link: Link, desk: Desk) -> None:
    asked = [link.ask_early(Kind.ORDER, LIVE, body(desk, f"gh-{number}")) for number in range(50)]
    assert [one is not None for one in asked] == [True] * EARLY_MOST + [False] * (50 - EARLY_MOST)
    for one in asked[:EARLY_MOST]:
        assert one is not None
        link.forget(one)
    assert link.ask(Kind.ORDER, LIVE, body(desk, "gh-50")) == expected("gh-50")
    assert early(link, desk)


def test_a_refusal_that_came_early_keeps_its_code(link: Link, desk: Desk) -> None:
    asked = link.ask_early(Kind.ORDER, LIVE, protocol.order_body(desk.permit(), payload_of(buy("9"))))
    assert asked is not None
    assert refusal(lambda: link.collect(asked)).code == "signer-notional"


def test_only_the_first_collection_waits_for_a_silent_signer(peer: Peer) -> None:
    asked = peer.signer.ask_order(INTENT, 5000, peer.at, Permit())
    assert asked is not None
    assert asked.signed_query() is None
    assert (peer.silences, bool(peer.link.down_because)) == (1, True)
    assert peer.signer.ask_order(INTENT, 5000, peer.at, Permit()) is None


def test_an_answer_of_a_signer_that_was_replaced_counts_for_nothing(peer: Peer) -> None:
    asked = peer.signer.ask_order(INTENT, 5000, peer.at, Permit())
    assert asked is not None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.link.attach(ours)
    assert asked.signed_query() is None
    assert not peer.link.down_because
    theirs.close()


def test_an_early_order_is_sent_as_it_was_signed(peer: Peer) -> None:
    thread = peer.answer(SIGNED)
    asked = peer.signer.ask_order(INTENT, 5000, peer.at, Permit())
    thread.join()
    assert asked is not None
    assert asked.signed_query() == f"{payload_of(INTENT)}&signature={SIGNED.decode()}"


def test_a_permit_that_ended_since_withholds_the_signature(peer: Peer) -> None:
    permit = Permit()
    thread = peer.answer(SIGNED)
    asked = peer.signer.ask_order(INTENT, 5000, peer.at, permit)
    thread.join()
    permit.is_live = lambda: False  # type: ignore[method-assign]
    assert asked is not None
    with pytest.raises(Refused):
        asked.signed_query()


@pytest.mark.parametrize("permit", ["dead", "exit"])
def test_no_permit_that_is_dead_or_for_one_sale_is_used_early(peer: Peer, permit: str) -> None:
    one = Permit(INTENT if permit == "exit" else None)
    if permit == "dead":
        one.deadline_ns = 0
    assert peer.signer.ask_order(INTENT, 5000, peer.at, one) is None
    with pytest.raises(BlockingIOError):
        peer.socket.recv(1, socket.MSG_DONTWAIT)


def test_an_early_order_is_written_as_every_order_is() -> None:
    for intent in (INTENT, buy("0.10", SYMBOL)):
        stamped = [*order_params(intent), ("recvWindow", "5000"), ("timestamp", "1790000000000")]
        assert order_payload(intent, 5000, Peer.at) == encode_params(stamped)


def test_a_link_in_use_is_not_waited_for(peer: Peer) -> None:
    asking = Thread(target=lambda: refusal(lambda: peer.signer.sign("timestamp=1")))
    asking.start()
    peer.read()
    assert peer.signer.ask_order(INTENT, 5000, peer.at, Permit()) is None
    asking.join()
