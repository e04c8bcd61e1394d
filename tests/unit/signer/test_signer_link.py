"""The controller's side of the socket: it waits only so long, and an answer that comes late is never taken for another."""

import socket
import time
from collections.abc import Iterator
from decimal import Decimal
from threading import Thread

import pytest

from controller.signer import protocol
from controller.signer.protocol import Kind
from controller.signer.remote import Link, RemoteSigner
from exchange.errors import GatehouseError, Refused, VenueError
from exchange.model import Millis, OrderIntent, OrderType, Side
from exchange.ports import VenueName
from tests.support.permits import Leaving
from tests.unit.signer.signer_kit import payload_of

WITHIN_S = 0.1
INTENT = OrderIntent("BTCUSDT", Side.BUY, OrderType.LIMIT, "gh-1", Decimal(1), None, Decimal(2))
SIGNED = b"a" * 64


class Permit(Leaving):
    """A permit as the controller's office issues it; with ``only`` it is for one sale."""

    epoch, serial, deadline_ns = 3, 1, 10**18

    def __init__(self, only: OrderIntent | None = None) -> None:
        if only is not None:
            self.client_id = only.client_id

    def is_live(self) -> bool:
        return True


class Peer:
    """The other end of the socket, in the test's hands."""

    at = Millis(1_790_000_000_000)

    def __init__(self) -> None:
        ours, self.socket = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.silences = 0
        self.link = Link(WITHIN_S, self._silence)
        self.link.attach(ours)
        self.link.up()
        self.signer = RemoteSigner(self.link, VenueName.LIVE, "mx0live")

    def _silence(self) -> None:
        self.silences += 1

    def read(self) -> tuple[int, int, int, bytes]:
        return protocol.read_request(self.socket.recv(8192))

    def answer(self, *bodies: bytes) -> Thread:
        """Answer one request with each of these bodies, the first ones under other numbers."""

        def work() -> None:
            _, _, number, _ = self.read()
            for distance, body in zip(range(len(bodies) - 1, -1, -1), bodies, strict=True):
                self.socket.send(protocol.done(number - distance, body))

        thread = Thread(target=work)
        thread.start()
        return thread


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.link.close("the test has ended")
    made.socket.close()


def refusal(work: object) -> GatehouseError:
    with pytest.raises(GatehouseError) as caught:
        work()  # type: ignore[operator]
    return caught.value


def test_a_signature_comes_back(peer: Peer) -> None:
    thread = peer.answer(SIGNED)
    assert peer.signer.sign("timestamp=1") == SIGNED.decode()
    thread.join()


def test_only_the_first_request_waits_for_a_silent_signer(peer: Peer) -> None:
    began = time.monotonic()
    errors = [refusal(lambda: peer.signer.sign("timestamp=1")) for _ in range(50)]
    assert time.monotonic() - began < 50 * WITHIN_S / 2
    assert {error.code for error in errors} == {"signer-silent"}
    assert all(isinstance(error, VenueError) for error in errors)
    assert peer.silences == 1


def test_a_silent_signer_means_that_an_order_was_refused_and_not_unknown(peer: Peer) -> None:
    error = refusal(lambda: peer.signer.sign_order(INTENT, payload_of(INTENT), Permit()))
    assert isinstance(error, Refused)
    assert error.code == "signer-silent"


def test_a_late_answer_is_not_taken_for_the_next_one(peer: Peer) -> None:
    refusal(lambda: peer.signer.sign("timestamp=1"))
    _, _, number, _ = peer.read()
    peer.socket.send(protocol.done(number, b"l" * 64))
    peer.link.up()
    thread = peer.answer(b"o" * 64, SIGNED)
    assert peer.signer.sign("timestamp=2") == SIGNED.decode()
    thread.join()


def test_a_signer_that_ends_is_told_at_once(peer: Peer) -> None:
    peer.socket.close()
    assert refusal(lambda: peer.signer.sign("timestamp=1")).code == "signer-silent"
    assert peer.silences == 1


def test_a_refusal_of_the_signer_keeps_its_code(peer: Peer) -> None:
    def work() -> None:
        peer.socket.send(protocol.not_done(peer.read()[2], "signer-cap", "too much", "less"))

    thread = Thread(target=work)
    thread.start()
    error = refusal(lambda: peer.signer.sign_order(INTENT, payload_of(INTENT), Permit()))
    thread.join()
    assert (type(error), error.code, error.message, error.remedy) == (Refused, "signer-cap", "too much", "less")
    assert peer.link.down_because == ""


def test_an_order_carries_its_permit(peer: Peer) -> None:
    thread = Thread(target=lambda: refusal(lambda: peer.signer.sign_order(INTENT, payload_of(INTENT), Permit())))
    thread.start()
    kind, venue, _, body = peer.read()
    assert (kind, protocol.VENUES[venue]) == (Kind.ORDER, VenueName.LIVE)
    assert protocol.read_order_body(body) == (protocol.PermitFrame(3, 1, 10**18), payload_of(INTENT))
    thread.join()


def test_a_permit_for_one_order_signs_no_other_and_is_marked(peer: Peer) -> None:
    other = OrderIntent("BTCUSDT", Side.SELL, OrderType.LIMIT, "gh-2", Decimal(1), None, Decimal(2))
    assert refusal(lambda: peer.signer.sign_order(INTENT, payload_of(INTENT), Permit(other))).code == "signer-other-order"
    thread = Thread(target=lambda: refusal(lambda: peer.signer.sign_order(other, payload_of(other), Permit(other))))
    thread.start()
    assert protocol.read_order_body(peer.read()[3])[0].exit_only
    thread.join()


def test_a_payload_of_another_order_is_not_sent_to_the_signer(peer: Peer) -> None:
    payload = payload_of(INTENT).replace("quantity=1", "quantity=2")
    assert refusal(lambda: peer.signer.sign_order(INTENT, payload, Permit())).code == "signer-payload"
    with pytest.raises(BlockingIOError):
        peer.socket.recv(1, socket.MSG_DONTWAIT)
