"""What a permit tells the signer and the status, and the bounds of the office: leases, reasons, instants, threads."""

from collections.abc import Callable
from threading import Thread

import pytest

from controller.runtime.loop.permit import EXIT_LIFETIME_NS, LIFETIME_NS, IssuedExitPermit, PermitOffice
from exchange.errors import GatehouseError
from exchange.model import Millis


class SetClock:
    def __init__(self) -> None:
        self.ns = 5_000_000_000_000

    def now(self) -> Millis:
        return Millis(0)

    def monotonic_ns(self) -> int:
        return self.ns


def office(epoch: int = 3) -> tuple[PermitOffice, SetClock]:
    clock = SetClock()
    return PermitOffice(clock, epoch), clock


def test_the_deadline_of_a_permit_is_its_end_while_it_counts() -> None:
    permits, clock = office()
    permits.renew()
    permit = permits.current()
    assert permit.deadline_ns == clock.ns + LIFETIME_NS
    permits.latch("breach")
    assert permit.deadline_ns == 0


def test_the_deadline_of_one_sale_is_its_end_while_it_counts() -> None:
    permits, clock = office()
    permits.grant_exit("a", decided_ns=clock.ns, until_ns=clock.ns + LIFETIME_NS)
    permit = permits.exit_permit("a")
    assert permit.deadline_ns == clock.ns + EXIT_LIFETIME_NS
    permits.lapse()
    assert permit.deadline_ns == 0


def test_a_permit_ends_no_later_than_the_lease() -> None:
    permits, clock = office()
    permits.renew(clock.ns + 7)
    assert permits.current().deadline_ns == clock.ns + 7
    permits.renew(clock.ns + 2 * LIFETIME_NS)
    assert permits.current().deadline_ns == clock.ns + LIFETIME_NS


def test_a_permit_for_one_sale_of_another_epoch_is_not_honoured() -> None:
    permits, clock = office(epoch=3)
    permits.grant_exit("a", decided_ns=clock.ns, until_ns=clock.ns + LIFETIME_NS)
    assert permits.honours_exit(IssuedExitPermit(permits, 3, "a"))
    assert not permits.honours_exit(IssuedExitPermit(permits, 4, "a"))


def test_a_latch_without_a_reason_still_latches() -> None:
    permits, _ = office()
    permits.latch("")
    assert permits.latched_because == "latched"


def test_a_suspension_without_a_reason_is_named_by_its_maker() -> None:
    permits, _ = office()
    permits.suspend("liveness", "")
    assert permits.suspended_because == "liveness"


def test_every_suspension_and_condition_is_named() -> None:
    permits, _ = office()
    permits.suspend("a", "late")
    permits.suspend("b", "halting")
    permits.require(lambda: "silent")
    permits.require(lambda: "")
    assert permits.suspended_because == "late; halting; silent"


def test_a_second_condition_does_not_replace_the_first() -> None:
    permits, _ = office()
    permits.require(lambda: "silent")
    permits.require(lambda: "")
    permits.renew()
    assert not permits.current().is_live()


def test_no_sale_is_granted_by_default() -> None:
    permits, _ = office()
    assert permits.exit_permit("").deadline_ns == 0


def test_a_latch_in_the_instant_of_the_decision_keeps_it_from_counting() -> None:
    permits, clock = office()
    permits.latch("halted")
    permits.grant_exit("a", decided_ns=clock.ns, until_ns=clock.ns + LIFETIME_NS)
    assert not permits.exit_permit("a").is_live()


@pytest.mark.parametrize(
    "call",
    [
        lambda permits: permits.renew(),
        lambda permits: permits.unlatch(),
        lambda permits: permits.grant_exit("a", decided_ns=0, until_ns=0),
    ],
    ids=["renew", "unlatch", "grant"],
)
def test_only_one_thread_issues_permits(call: Callable[[PermitOffice], None]) -> None:
    permits, _ = office()
    permits.renew()
    raised: list[BaseException] = []

    def elsewhere() -> None:
        try:
            call(permits)
        except GatehouseError as error:
            raised.append(error)

    thread = Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(raised) == 1
    assert "the permit office" in str(raised[0])


def test_an_office_that_is_not_latched_names_no_reason() -> None:
    permits, _ = office()
    fresh = permits.latched_because
    permits.latch("breach")
    permits.unlatch()
    assert (fresh, permits.latched_because) == ("", "")


def test_a_lapse_leaves_no_sale_allowed_under_an_empty_client_id() -> None:
    permits, clock = office()
    permits.grant_exit("a", decided_ns=clock.ns, until_ns=clock.ns + LIFETIME_NS)
    permits.lapse()
    assert not permits.exit_permit("").is_live()


def test_a_suspended_permit_has_no_deadline() -> None:
    permits, clock = office()
    permits.renew()
    permits.grant_exit("a", decided_ns=clock.ns, until_ns=clock.ns + LIFETIME_NS)
    permits.suspend("liveness", "late")
    assert (permits.current().deadline_ns, permits.exit_permit("a").deadline_ns) == (0, 0)


def test_a_suspension_is_named_to_who_asks_for_it_only() -> None:
    permits, _ = office()
    permits.suspend("liveness", "late")
    assert (permits.suspended_by("liveness"), permits.suspended_by("drill")) == ("late", "")


def test_a_sale_leaves_only_under_a_live_permit() -> None:
    permits, clock = office()
    permits.grant_exit("a", decided_ns=clock.ns, until_ns=clock.ns + LIFETIME_NS)
    written: list[str] = []
    assert permits.exit_permit("a").leave(lambda: written.append("a"))
    assert not permits.exit_permit("b").leave(lambda: written.append("b"))
    permits.latch("enough")
    assert not permits.exit_permit("a").leave(lambda: written.append("late"))
    assert written == ["a"]
