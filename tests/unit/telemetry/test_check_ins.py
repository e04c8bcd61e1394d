"""Sentry hears regularly that a deployment is well, at once that it is not, and misses what is gone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.drills import HALT_DRILL
from controller.journal.chain import Entry
from controller.runtime.followers.check_ins import EVERY_NS, CheckIns
from controller.runtime.loop.writer import CommittedBatch
from controller.telemetry import sentry
from controller.telemetry.check_ins import BACKUP, HEARTBEAT, RECONCILIATION, Monitor, Status, drill_monitor
from controller.telemetry.redact import Redactor
from exchange.model import Millis
from policies.authority import Verb
from policies.stage import Stage
from tests.support.collectors import Collector, collecting
from tests.support.desk import Desk

ENTRY = Entry(1, 1, Millis(1), "kind", b"{}", "sha256:", "sha256:")


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as running:
        monkeypatch.setenv("SENTRY_DSN", running.url.replace("http://", "http://public@") + "/7")
        yield running


def reports() -> sentry.Reports:
    return sentry.from_environment(controller_id="Anna BTC", environment="production", version="0.1.0", redactor=Redactor())


def batch(desk: Desk, now_ns: int, *events: e.Event) -> CommittedBatch:
    return CommittedBatch(tuple((ENTRY, event) for event in events), desk.state, now_ns, now_ns, now_ns)


async def test_a_check_in_arrives_with_its_schedule_release_and_environment(project: Collector) -> None:
    running = reports()
    running.at_stage("LIVE_€10")
    first = running.check_in(BACKUP, Status.IN_PROGRESS)
    assert running.check_in(BACKUP, Status.OK, check_in_id=first, duration_s=1.5) == first
    await running.aclose()
    began, ended = sorted(project.check_ins(), key=lambda one: one["status"])
    assert (began["status"], ended["status"], ended["duration"]) == ("in_progress", "ok", 1.5)
    assert began["check_in_id"] == ended["check_in_id"] == first
    assert began["monitor_slug"] == "anna-btc-backup"
    assert (began["environment"], began["release"]) == ("production", "gatehouse@0.1.0")
    assert began["monitor_config"]["schedule"] == {"type": "interval", "value": 1, "unit": "day"}
    assert project.sentry_events() == []


@pytest.mark.parametrize("monitor", [HEARTBEAT, RECONCILIATION, BACKUP, drill_monitor("halt")])
def test_a_slug_is_one_that_sentry_takes(monitor: Monitor) -> None:
    for name in ("anna-btc", "Zoë's bot №1", "x" * 80):
        assert re.fullmatch(r"[a-z0-9_][a-z0-9_-]{0,49}", monitor.slug(name))


class Noted:
    """Reports that are noted."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self.stages: list[str] = []

    def at_stage(self, stage: str) -> None:
        self.stages.append(stage)

    def check_in(self, monitor: Monitor, status: Status, *, check_in_id: str = "", duration_s: float | None = None) -> str:
        self.found.append((monitor.name, status.value))
        return "id"

    def event(self, title: str, detail: str, *, level: str, tags: object) -> None: ...

    def error(self, error: BaseException, *, tags: object = None) -> None: ...

    async def aclose(self) -> None: ...


def test_a_heartbeat_comes_once_a_minute_and_a_halt_at_once() -> None:
    desk, noted = Desk().walk_to(Stage.TESTNET_VALIDATING), Noted()
    follower = CheckIns(noted)
    for number in range(8):
        follower.on_batch(batch(desk, number * EVERY_NS // 4))
    assert noted.found == [("heartbeat", "ok")] * 2
    desk.give(i.HaltAsked("test", "stop"))
    follower.on_batch(batch(desk, 2 * EVERY_NS - 1))
    assert noted.found[2:] == [("heartbeat", "error")]
    assert noted.stages == ["TESTNET_VALIDATING", "HALTED"]


def test_a_difference_is_an_error_at_once() -> None:
    desk, noted = Desk().walk_to(Stage.TESTNET_VALIDATING), Noted()
    follower = CheckIns(noted)
    clean = next(event for event in reversed(desk.events(e.Reconciled)))
    assert isinstance(clean, e.Reconciled)
    follower.on_batch(batch(desk, 1, clean))
    follower.on_batch(batch(desk, 2, clean))
    follower.on_batch(batch(desk, 3, clean.model_copy(update={"clean": False, "breaks": ("USDT",)})))
    assert [status for name, status in noted.found if name == "reconciliation"] == ["ok", "error"]


def test_a_drill_is_in_progress_until_it_ends() -> None:
    desk, noted = Desk().walk_to(Stage.VALIDATED), Noted()
    desk.ask(Verb.DRILL, HALT_DRILL, "alice")
    started = desk.events(e.DrillStarted)
    follower = CheckIns(noted)
    follower.on_batch(batch(desk, 1, *started))
    failed = e.DrillFailed(
        command_id=started[0].command_id,  # type: ignore[attr-defined]
        venue=started[0].venue,  # type: ignore[attr-defined]
        drill=started[0].drill,  # type: ignore[attr-defined]
        reason="late",
    )
    follower.on_batch(batch(desk, 2, failed))
    assert [one for one in noted.found if one[0] == "drill-halt"] == [("drill-halt", "in_progress"), ("drill-halt", "error")]
