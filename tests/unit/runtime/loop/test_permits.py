"""Permits: short, renewed, revoked at once, and never valid at another office."""

from threading import Event, Thread

from controller.runtime.loop.permit import EXIT_LIFETIME_NS, LIFETIME_NS, IssuedExitPermit, PermitOffice
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


def test_no_permit_is_live_before_the_first_renewal() -> None:
    permits, _ = office()
    assert not permits.current().is_live()


def test_a_permit_lives_no_longer_than_ten_seconds() -> None:
    assert 0 < LIFETIME_NS <= 10_000_000_000


def test_a_permit_expires() -> None:
    permits, clock = office()
    permits.renew()
    permit = permits.current()
    clock.ns += LIFETIME_NS - 1
    assert permit.is_live()
    clock.ns += 1
    assert not permit.is_live()


def test_a_renewal_extends_the_current_permit() -> None:
    permits, clock = office()
    permits.renew()
    permit = permits.current()
    clock.ns += LIFETIME_NS - 1
    permits.renew()
    clock.ns += LIFETIME_NS - 1
    assert permit.is_live()


def test_a_permit_counts_only_while_every_condition_holds() -> None:
    permits, _ = office()
    reasons = {"watchdog": ""}
    permits.require(lambda: reasons["watchdog"])
    permits.renew()
    permit = permits.current()
    assert permit.is_live()
    reasons["watchdog"] = "it is silent"
    assert not permit.is_live()
    assert permits.suspended_because == "it is silent"


def test_a_renewal_does_not_revive_an_expired_permit() -> None:
    permits, clock = office()
    permits.renew()
    old = permits.current()
    clock.ns += LIFETIME_NS
    permits.renew()
    assert not old.is_live()
    assert permits.current().is_live()


def test_a_latch_revokes_the_current_permit_and_returns_the_instant() -> None:
    permits, clock = office()
    permits.renew()
    permit = permits.current()
    assert permits.latch("breach") == clock.ns
    assert not permit.is_live()
    assert permits.latched_because == "breach"


def test_a_latched_office_issues_no_permit() -> None:
    permits, _ = office()
    permits.latch("")
    permits.renew()
    assert permits.latched_because
    assert not permits.current().is_live()


def test_a_revoked_permit_stays_revoked_after_an_unlatch() -> None:
    permits, _ = office()
    permits.renew()
    old = permits.current()
    permits.latch("breach")
    permits.unlatch()
    assert not permits.current().is_live()
    permits.renew()
    assert not old.is_live()
    assert permits.current().is_live()


def test_a_lapse_revokes_without_latching() -> None:
    permits, _ = office()
    permits.renew()
    old = permits.current()
    permits.lapse()
    assert not old.is_live()
    permits.renew()
    assert permits.current().is_live()
    assert not old.is_live()


def test_a_permit_of_another_epoch_is_not_honoured() -> None:
    permits, _ = office(epoch=3)
    other, _ = office(epoch=4)
    permits.renew()
    other.renew()
    assert not permits.honours(other.current())
    assert permits.current().epoch == 3


def test_a_suspension_ends_only_when_who_made_it_lifts_it() -> None:
    permits, _ = office()
    permits.suspend("one", "late")
    permits.suspend("other", "halting")
    permits.renew()
    permits.lift("one")
    assert (permits.suspended_because, permits.current().is_live()) == ("halting", False)
    permits.lift("other")
    assert (permits.suspended_because, permits.current().is_live()) == ("", True)


def test_the_writers_own_unlatching_ends_no_suspension() -> None:
    permits, _ = office()
    permits.suspend("halt", "not recorded yet")
    permits.latch("HALTED")
    permits.unlatch()
    permits.renew()
    assert not permits.current().is_live()


def test_every_permit_has_a_higher_serial_than_the_one_before() -> None:
    permits, clock = office()
    serials = []
    for _ in range(3):
        permits.renew()
        serials.append(permits.current().serial)
        clock.ns += LIFETIME_NS
    # The signer refuses a permit with a lower serial than one that it has seen.
    assert serials == sorted(set(serials))
    assert serials[0] > 0


def test_nothing_is_live_unasked_at_the_first_instant_of_the_clock() -> None:
    permits, clock = office()
    clock.ns = 0
    assert (permits.current().is_live(), permits.exit_permit("").is_live()) == (False, False)
    permits.renew()
    permits.grant_exit("a", decided_ns=0, until_ns=LIFETIME_NS)
    assert (permits.current().is_live(), permits.exit_permit("a").is_live()) == (True, True)
    permits.lapse()
    assert (permits.current().is_live(), permits.exit_permit("a").is_live()) == (False, False)


# One sale of the controller's own


def test_a_permit_for_one_sale_is_live_once_granted_for_two_seconds() -> None:
    permits, clock = office()
    assert not permits.exit_permit("a").is_live()
    permits.grant_exit("a", decided_ns=clock.ns, until_ns=clock.ns + LIFETIME_NS)
    permit = permits.exit_permit("a")
    assert (permit.is_live(), permits.exit_permit("b").is_live()) == (True, False)
    clock.ns += EXIT_LIFETIME_NS
    assert (permit.is_live(), EXIT_LIFETIME_NS <= 2_000_000_000) == (False, True)


def test_it_lives_no_longer_than_the_proof_that_this_process_leads() -> None:
    permits, clock = office()
    permits.grant_exit("a", decided_ns=clock.ns, until_ns=clock.ns + 5)
    clock.ns += 5
    assert not permits.exit_permit("a").is_live()


def test_it_is_granted_while_latched_and_opens_nothing_else() -> None:
    permits, clock = office()
    permits.latch("halted")
    clock.ns += 1
    permits.renew()
    permits.grant_exit("a", decided_ns=clock.ns, until_ns=clock.ns + LIFETIME_NS)
    assert (permits.exit_permit("a").is_live(), permits.current().is_live()) == (True, False)
    assert permits.latched_because == "halted"


def test_a_latch_revokes_it() -> None:
    permits, clock = office()
    permits.grant_exit("a", decided_ns=clock.ns, until_ns=clock.ns + LIFETIME_NS)
    permits.latch("halted")
    assert not permits.exit_permit("a").is_live()


def test_a_suspension_stops_it_until_it_is_lifted() -> None:
    permits, clock = office()
    permits.grant_exit("a", decided_ns=clock.ns, until_ns=clock.ns + LIFETIME_NS)
    permits.suspend("halt", "not recorded yet")
    assert not permits.exit_permit("a").is_live()
    permits.lift("halt")
    assert permits.exit_permit("a").is_live()


def test_a_lapse_revokes_it() -> None:
    permits, clock = office()
    permits.grant_exit("a", decided_ns=clock.ns, until_ns=clock.ns + LIFETIME_NS)
    permits.lapse()
    assert not permits.exit_permit("a").is_live()


def test_a_latch_after_the_decision_keeps_it_from_being_granted() -> None:
    permits, clock = office()
    decided = clock.ns
    permits.latch("halted")
    permits.grant_exit("a", decided_ns=decided, until_ns=decided + LIFETIME_NS)
    assert not permits.exit_permit("a").is_live()


def test_the_next_sale_ends_the_permit_of_the_last() -> None:
    permits, clock = office()
    for name in "ab":
        permits.grant_exit(name, decided_ns=clock.ns, until_ns=clock.ns + LIFETIME_NS)
    assert [permits.exit_permit(name).is_live() for name in "ab"] == [False, True]


def test_a_permit_for_one_sale_of_another_epoch_is_never_live() -> None:
    permits, clock = office(epoch=3)
    permits.grant_exit("a", decided_ns=clock.ns, until_ns=clock.ns + LIFETIME_NS)
    assert not IssuedExitPermit(permits, 4, "a").is_live()


def test_an_order_leaves_under_a_live_permit() -> None:
    permits, _ = office()
    permits.renew()
    written: list[str] = []
    assert permits.current().leave(lambda: written.append("order"))
    assert written == ["order"]


def test_nothing_is_written_under_a_latch() -> None:
    permits, _ = office()
    permits.renew()
    permit, written = permits.current(), list[str]()
    permits.latch("breach")
    assert not permit.leave(lambda: written.append("order"))
    assert written == []


def test_a_suspension_waits_for_the_order_that_is_being_written() -> None:
    permits, _ = office()
    permits.renew()
    happened: list[str] = []
    asked = Event()

    def suspend() -> None:
        asked.set()
        permits.suspend("halt", "a signal")
        happened.append("suspended")

    thread = Thread(target=suspend)

    def write() -> None:
        thread.start()
        assert asked.wait(60)
        thread.join(0.05)
        happened.append("written")

    assert permits.current().leave(write)
    thread.join()
    assert happened == ["written", "suspended"]


def test_a_write_that_never_ends_does_not_hold_a_suspension_for_ever() -> None:
    permits, _ = office()
    permits.renew()
    suspending = Thread(target=permits.suspend, args=("halt", "a signal"))

    def write() -> None:
        suspending.start()
        suspending.join(60)

    assert permits.current().leave(write)
    assert not suspending.is_alive()
    assert permits.suspended_because == "a signal"
