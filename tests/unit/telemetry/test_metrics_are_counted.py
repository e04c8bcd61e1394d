"""Each journalled event is counted once, and a duration is measured from the entry that begins it."""

from __future__ import annotations

from decimal import Decimal

from controller.core import events as e
from controller.core.decisions.draft import Admitted
from controller.journal.chain import Entry
from controller.runtime.followers.counting import Counting
from controller.runtime.loop.clock import SystemClock
from controller.runtime.loop.writer import CommittedBatch
from controller.telemetry import instruments as i
from controller.telemetry.book import Book
from exchange.model import Millis, OrderStatus
from policies.stage import Stage
from tests.support.desk import Desk

ENTRY = Entry(1, 1, Millis(1), "kind", b"{}", "sha256:", "sha256:")
SECOND = 1_000_000_000


def count(desk: Desk, counting: Counting, durable_ns: int, *events: e.Event) -> None:
    times = (durable_ns - 2_000_000, durable_ns - 1_000_000, durable_ns)
    counting.on_batch(CommittedBatch(tuple((ENTRY, event) for event in events), desk.state, *times))


def test_an_order_is_counted_from_its_entry_to_its_end() -> None:
    desk, book = Desk().walk_to(Stage.TESTNET_VALIDATING), Book(SystemClock())
    counting = Counting(book)
    desk.tick()
    decision = desk.order("0.0001")
    assert isinstance(decision.reply, Admitted)
    client_id = decision.reply.client_id
    (admitted,) = [event for event in decision.events if isinstance(event, e.OrderAdmitted)]
    count(desk, counting, 10 * SECOND, admitted)
    count(desk, counting, 12 * SECOND, e.OrderUnknown(client_id=client_id, reason="no answer"))
    count(desk, counting, 13 * SECOND, e.OrderAcked(client_id=client_id, order_id="1"))
    reported = e.OrderReported(
        client_id=client_id, order_id="1", status=OrderStatus.CANCELED, executed=Decimal(0), executed_quote=Decimal(0)
    )
    count(desk, counting, 15 * SECOND, reported)
    found = book.now()
    assert found[i.ORDERS_ADMITTED]["testnet",] == 1
    assert found[i.ORDERS_UNKNOWN][()] == 1
    assert found[i.ORDERS_ENDED]["CANCELED",] == 1
    durations = [one for one in book.durations() if one[0] in {i.ORDER_ANSWERED, i.ORDER_SETTLED}]
    assert durations == [(i.ORDER_ANSWERED, 2.0, ("unknown",)), (i.ORDER_SETTLED, 5.0, ("CANCELED",))]


def test_denials_that_were_counted_together_count_as_many() -> None:
    desk, book = Desk(), Book(SystemClock())
    again = e.OrdersDeniedAgain(
        bot="b", rule="stage", symbol="S", threshold="", measured="", message="", bot_client_id="", since=1, count=41
    )
    count(desk, Counting(book), SECOND, again)
    assert book.now()[i.ORDERS_DENIED]["stage",] == 41


def test_a_step_of_a_halt_that_was_not_reached_has_no_duration() -> None:
    desk, book = Desk(), Book(SystemClock())
    halted = e.HaltMeasured(cause="x", breach_to_latch_us=500, latch_to_cancelled_us=-1, cancelled=0, verified_empty=False)
    count(desk, Counting(book), SECOND, halted)
    assert [one for one in book.durations() if one[0] in {i.HALT_LATCH, i.HALT_CANCEL}] == [(i.HALT_LATCH, 0.0005, ())]


def test_a_refused_command_with_an_unknown_verb_makes_no_new_label() -> None:
    desk, book = Desk(), Book(SystemClock())
    refused = e.CommandRefused(
        command_id="", verb="rm -rf", code="c", message="", remedy="", exit_code=4, persons=(), envelope="", result=""
    )
    count(desk, Counting(book), SECOND, refused)
    assert book.now()[i.COMMANDS]["unreadable", "refused"] == 1
