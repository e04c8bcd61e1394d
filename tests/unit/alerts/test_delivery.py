"""The queues of the channels: nothing waits for one, nothing severe is lost in silence, quiet hours hold back info only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import time
from threading import Event, Lock
from zoneinfo import ZoneInfo

import pytest

from controller.alerts.delivery import Delivery, Hooks, Pace, Route, failing_title
from controller.alerts.hours import QuietHours
from controller.alerts.notice import ChannelError, Notice, Source
from controller.core.alert_catalogue import Severity
from controller.core.effects import Alert, AlertKind
from exchange.model import Millis
from tests.support.receivers import until

DAY = 86_400_000
HALT = Alert(AlertKind.HALTED, "MOCK → HALTED", "halt: stop")
STAGE = Alert(AlertKind.STAGE, "MOCK → TESTNET_VALIDATING", "advance: go")
WARNING = Alert(AlertKind.CRASH, "the last process did not end by itself", "killed")
QUICK = Pace(within_s=0.2, again_s=(0.01,), look_s=0.01)


class SetClock:
    def __init__(self) -> None:
        self.at = 20_000 * DAY + 12 * 3_600_000
        self.jumped = 0

    def now(self) -> Millis:
        return Millis(self.at + self.jumped)

    def monotonic_ns(self) -> int:
        return self.at * 1_000_000


class Kept:
    """A channel that keeps what it is sent; it fails while ``fails``, and hangs until ``hang`` is set."""

    def __init__(self, name: str, *, fails: bool = False, hang: Event | None = None) -> None:
        self.name = name
        self.fails = fails
        self.hang = hang
        self.got: list[Notice] = []
        self.attempts = 0
        self.last: Notice | None = None
        self._lock = Lock()

    def send(self, notice: Notice) -> None:
        with self._lock:
            self.last = notice
            self.attempts += 1
        if self.hang is not None:
            self.hang.wait(30)
        if self.fails:
            raise ChannelError("HTTP 500", code="channel-refused", remedy="Repair it.")
        self.got.append(notice)

    @property
    def kinds(self) -> list[AlertKind]:
        return [one.kind for one in self.got]


Make = Callable[..., Delivery]


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def make(clock: SetClock) -> Iterator[Make]:
    with ExitStack() as stack:

        def made(*channels: Kept | Route, start: bool = True, **options: object) -> Delivery:
            routes = [one if isinstance(one, Route) else Route(one) for one in channels]
            options.setdefault("pace", QUICK)
            delivery = Delivery(routes, Source("anna", "rehearsal"), clock, **options)  # type: ignore[arg-type]
            if start:
                delivery.start()
            stack.callback(delivery.end, 0.5)
            return delivery

        yield made


def test_a_channel_that_hangs_delays_nobody_else(make: Make) -> None:
    hang = Event()
    stuck, other = Kept("stuck", hang=hang), Kept("other")
    delivery = make(stuck, other)
    for number in range(300):
        delivery.offer(Alert(AlertKind.HALTED, f"number {number}", ""))
    until(lambda: len(other.got) >= 128)
    assert stuck.got == []
    hang.set()


def test_at_most_three_attempts_hang_at_once(make: Make) -> None:
    hang = Event()
    stuck = Kept("stuck", hang=hang)
    delivery = make(stuck)
    delivery.offer(HALT)
    until(lambda: "attempts hang" in delivery.views()[0].failing)
    assert stuck.attempts == 3
    hang.set()
    until(lambda: not delivery.views()[0].failing)


def test_an_alert_is_tried_again_until_it_is_taken_over(make: Make) -> None:
    broken = Kept("broken", fails=True)
    make(broken).offer(HALT)
    until(lambda: broken.attempts >= 3)
    broken.fails = False
    until(lambda: broken.kinds == [AlertKind.HALTED])


def test_a_channel_that_fails_twice_is_said_once_and_its_return_too(make: Make) -> None:
    said: list[str] = []
    hooks = Hooks(failing=lambda name, why: said.append(f"{name}: {why}"), recovered=lambda name: said.append(f"{name} is back"))
    broken = Kept("broken", fails=True)
    delivery = make(broken, hooks=hooks)
    delivery.offer(HALT)
    until(lambda: broken.attempts >= 5)
    broken.fails = False
    until(lambda: len(said) == 2)
    assert said == ["broken: HTTP 500", "broken is back"]


def test_the_alert_about_a_channel_goes_to_the_others(make: Make) -> None:
    broken, other = Kept("broken", fails=True), Kept("other")
    make(broken, other).offer(Alert(AlertKind.CHANNEL, failing_title("broken"), "HTTP 500"))
    until(lambda: other.kinds == [AlertKind.CHANNEL])
    assert broken.attempts == 0


def test_what_is_critical_goes_to_the_next_step_when_nothing_delivers(make: Make) -> None:
    broken, boss = Kept("broken", fails=True), Kept("boss")
    delivery = make(broken, Route(boss, step=1))
    delivery.offer(STAGE)
    delivery.offer(HALT)
    until(lambda: AlertKind.HALTED in boss.kinds)
    delivery.offer(Alert(AlertKind.CHANNEL, failing_title("broken"), "HTTP 500"))
    until(lambda: AlertKind.CHANNEL in boss.kinds)
    assert AlertKind.STAGE not in boss.kinds


def test_a_handed_over_alert_is_said_with_its_channel(make: Make) -> None:
    said: list[tuple[str, str]] = []
    make(Kept("mail"), hooks=Hooks(handed_over=lambda name, notice: said.append((name, notice.title)))).offer(HALT)
    until(lambda: said == [("mail", HALT.title)])


def test_a_channel_gets_nothing_below_its_severity(make: Make) -> None:
    pager = Kept("pager")
    delivery = make(Route(pager, Severity.CRITICAL))
    for alert in (STAGE, WARNING, HALT):
        delivery.offer(alert)
    until(lambda: pager.got)
    assert pager.kinds == [AlertKind.HALTED]


def test_an_escalated_alert_goes_to_the_channels_of_its_step(make: Make) -> None:
    first, second = Kept("first"), Kept("second")
    delivery = make(Route(first), Route(second, step=1))
    delivery.offer(HALT)
    until(lambda: first.got)
    assert second.got == []
    delivery.offer(Alert(HALT.kind, HALT.title, HALT.detail, 1))
    until(lambda: second.got)
    assert [one.step for one in first.got] == [0]


def test_beyond_the_last_step_everybody_is_reminded(make: Make) -> None:
    first, second = Kept("first"), Kept("second")
    make(Route(first), Route(second, step=1)).offer(Alert(HALT.kind, HALT.title, HALT.detail, 2))
    until(lambda: first.got and second.got)


def test_the_most_severe_alert_goes_first(make: Make) -> None:
    mail = Kept("mail")
    delivery = make(mail, start=False)
    for alert in (STAGE, WARNING, HALT):
        delivery.offer(alert)
    delivery.start()
    until(lambda: len(mail.got) == 3)
    assert mail.kinds == [AlertKind.HALTED, AlertKind.CRASH, AlertKind.STAGE]


def test_a_full_queue_drops_the_least_severe_and_says_how_many(make: Make) -> None:
    mail = Kept("mail")
    delivery = make(mail, start=False, most=3)
    delivery.offer(HALT)
    for number in range(5):
        delivery.offer(Alert(AlertKind.STAGE, f"number {number}", ""))
    assert [(one.queued, one.dropped) for one in delivery.views()] == [(3, 3)]
    delivery.start()
    until(lambda: len(mail.got) == 3)
    assert mail.got[0].kind is AlertKind.HALTED
    assert "3 alerts before this one were dropped" in mail.got[0].text
    assert mail.got[1].dropped == 0


def test_quiet_hours_hold_back_what_informs_and_nothing_else(make: Make, clock: SetClock) -> None:
    mail = Kept("mail")
    delivery = make(mail, hours=QuietHours(time(11), time(13)))
    for alert in (STAGE, WARNING, HALT):
        delivery.offer(alert)
    until(lambda: len(mail.got) == 2)
    assert set(mail.kinds) == {AlertKind.CRASH, AlertKind.HALTED}
    clock.at += 3_600_000
    until(lambda: AlertKind.STAGE in mail.kinds)


@pytest.mark.parametrize(("hour", "quiet"), [(21, False), (22, True), (0, True), (6, True), (7, False)])
def test_quiet_hours_go_over_midnight(hour: int, quiet: bool) -> None:
    assert QuietHours(time(22), time(7)).quiet(Millis(20_000 * DAY + hour * 3_600_000)) is quiet


def test_equal_times_are_never_quiet() -> None:
    assert not any(QuietHours().quiet(Millis(20_000 * DAY + hour * 3_600_000)) for hour in range(24))


def test_quiet_hours_are_those_of_their_zone() -> None:
    night = QuietHours(time(22), time(7), ZoneInfo("Asia/Tokyo"))
    assert night.quiet(Millis(20_000 * DAY + 14 * 3_600_000))
    assert not night.quiet(Millis(20_000 * DAY + 23 * 3_600_000))


def test_an_alert_that_no_channel_took_in_a_day_is_dropped(make: Make, clock: SetClock) -> None:
    mail = Kept("mail", fails=True)
    delivery = make(mail)
    delivery.offer(HALT)
    until(lambda: mail.attempts >= 1)
    clock.at += DAY + 1
    until(lambda: delivery.views()[0].dropped == 1)


def test_a_wall_clock_that_jumps_a_day_drops_nothing(make: Make, clock: SetClock) -> None:
    mail = Kept("mail", fails=True)
    delivery = make(mail)
    delivery.offer(HALT)
    until(lambda: mail.attempts >= 1)
    clock.jumped += 2 * DAY
    before = mail.attempts
    until(lambda: mail.attempts >= before + 2)
    assert (delivery.views()[0].queued, delivery.views()[0].dropped) == (1, 0)


def test_a_halt_gets_through_a_queue_that_is_full_of_critical_alerts(make: Make) -> None:
    mail = Kept("mail")
    delivery = make(mail, start=False, most=3)
    for number in range(5):
        delivery.offer(Alert(AlertKind.UNKNOWN_OVERDUE, f"number {number}", ""))
    delivery.offer(HALT)
    delivery.start()
    until(lambda: len(mail.got) == 3)
    assert [one.title for one in mail.got] == [HALT.title, "number 0", "number 1"]


def test_a_flood_of_alerts_is_no_flood_of_attempts(make: Make) -> None:
    broken = Kept("broken", fails=True)
    delivery = make(broken, pace=Pace(within_s=1, again_s=(0.01, 0.02, 60), look_s=0.01))
    delivery.offer(WARNING)
    until(lambda: broken.attempts == 3)
    for number in range(1000):
        delivery.offer(Alert(AlertKind.CRASH, f"number {number}", ""))
    delivery.offer(HALT)
    until(lambda: broken.attempts == 4)
    assert broken.last is not None
    assert broken.last.kind is AlertKind.HALTED


def test_a_lane_says_when_it_delivered_failed_and_tries_next(make: Make, clock: SetClock) -> None:
    mail = Kept("mail")
    delivery = make(mail, pace=Pace(within_s=1, again_s=(60,), look_s=0.01))
    assert (delivery.views()[0].delivered_at, delivery.views()[0].next_at) == (None, None)
    delivery.offer(WARNING)
    until(lambda: delivery.views()[0].delivered_at == clock.now())
    mail.fails = True
    delivery.offer(HALT)
    until(lambda: delivery.views()[0].next_at)
    (seen,) = delivery.views()
    assert (seen.failed_at, seen.failed_because, seen.next_at) == (clock.now(), "HTTP 500", clock.now() + 60_000)


def test_a_start_offers_each_channel_what_it_did_not_take_over(make: Make, clock: SetClock) -> None:
    chat, mail, boss, later = Kept("chat"), Kept("mail"), Kept("boss"), Kept("later")
    delivery = make(chat, Route(mail, Severity.CRITICAL), Route(boss, step=1), Route(later, step=2))
    delivery.offer_again(Alert(HALT.kind, HALT.title, HALT.detail, 1), Millis(5), ["chat"])
    delivery.offer_again(WARNING, Millis(6), ["chat"])
    until(lambda: mail.got and boss.got)
    assert [(one.kind, one.step, one.at) for one in mail.got + boss.got] == [(HALT.kind, 0, 5), (HALT.kind, 1, 5)]
    assert chat.got + later.got == []


def test_the_end_delivers_what_is_queued(make: Make) -> None:
    mail = Kept("mail")
    delivery = make(mail, start=False)
    delivery.offer(HALT)
    delivery.start()
    delivery.end(10)
    assert mail.kinds == [AlertKind.HALTED]
