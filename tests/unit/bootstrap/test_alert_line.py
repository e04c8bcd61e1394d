"""The line between the journal and the channels, and what a start notices by itself."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.alerts.notice import Notice, Source
from controller.bootstrap.alerts import AlertLine
from controller.bootstrap.crashes import MARK_FILE, note_crash
from controller.bootstrap.key_ends import look
from controller.core.effects import Alert, AlertKind
from controller.core.inputs import AlertDelivered, Input
from controller.core.state import OpenAlert, State
from controller.settings.channels import hide
from controller.settings.deployment import Settings
from controller.telemetry.alerts import Alerts
from controller.telemetry.redact import Redactor
from controller.telemetry.sentry import NO_REPORTS
from exchange.model import Millis

NOW = int(datetime(2027, 1, 10, tzinfo=UTC).timestamp() * 1000)


class SetClock:
    def now(self) -> Millis:
        return Millis(NOW)

    def monotonic_ns(self) -> int:
        return 0


@dataclass
class Deployed:
    """What the line reads of a deployment."""

    directory: Path
    settings: Settings


class Assembled:
    """What the line connects to: the writer's state, and an inbox that keeps what it gets."""

    def __init__(self, state: State | None = None) -> None:
        self.state = state or State()
        self.writer = self.inbox = self
        self.inputs: list[Input] = []

    def fact(self, input_: Input, _: int) -> None:
        self.inputs.append(input_)

    def add_follower(self, _: object) -> None:
        pass


def settings(ends: object) -> Settings:
    venue = {"rest": "http://127.0.0.1:1", "ws": "ws://127.0.0.1:1"}
    account = {"api_key": "k", "secret_file": "s", **venue}
    return Settings.model_validate(
        {
            "controller_id": "anna",
            "environment": "rehearsal",
            "release": {"name": "a", "version": "1", "artifact": "sha256:" + "0" * 64},
            "testnet": account,
            "live": {**account, "api_key_ends": ends},
            "bots": (),
            "mock_balances": {},
        }
    )


@pytest.mark.parametrize(("day", "alerted"), [(14, True), (9, True), (16, False)])
def test_a_key_that_ends_within_five_days_is_alerted(day: int, alerted: bool) -> None:
    sent, ended = list[Alert](), list[str]()
    alerts = Alerts(clock=SetClock(), reports=NO_REPORTS, redactor=Redactor(), deliver=sent.append)
    alerts.follow(lambda _: False, lambda _, title, __: ended.append(title))
    look(settings(datetime(2027, 1, day, tzinfo=UTC)), alerts, SetClock())
    assert [one.kind for one in sent] == ([AlertKind.KEY_EXPIRY] if alerted else [])
    assert bool(ended) is not alerted


async def test_a_process_that_did_not_end_by_itself_is_noticed_by_the_next(tmp_path: Path) -> None:
    sent = list[Alert]()
    killed = AsyncExitStack()
    note_crash(tmp_path, State(), sent.append, killed)
    assert sent == []
    async with AsyncExitStack() as stack:
        note_crash(tmp_path, State(), sent.append, stack)
    assert [one.kind for one in sent] == [AlertKind.CRASH]
    assert not (tmp_path / MARK_FILE).exists()
    async with AsyncExitStack() as stack:
        note_crash(tmp_path, State(), sent.append, stack)
    assert len(sent) == 1


async def test_what_was_handed_over_before_the_journal_was_open_is_journalled(tmp_path: Path) -> None:
    line = AlertLine(Deployed(tmp_path, settings("never")), SetClock(), Redactor(), NO_REPORTS)  # type: ignore[arg-type]
    notice = Notice(Source("anna", "rehearsal"), AlertKind.CRASH, "killed", "", Millis(NOW))
    line._handed_over("chat", notice)
    await asyncio.sleep(0)
    assembly = Assembled()
    async with AsyncExitStack() as stack:
        line.connect(assembly, stack)  # type: ignore[arg-type]
    line._handed_over("pager", notice)
    await asyncio.sleep(0)
    assert assembly.inputs == [AlertDelivered(AlertKind.CRASH, "killed", one) for one in ("chat", "pager")]


async def test_a_start_offers_what_a_channel_did_not_take_over_before(tmp_path: Path) -> None:
    offered: list[tuple[str, int, int, tuple[str, ...]]] = []
    line = AlertLine(Deployed(tmp_path, settings("never")), SetClock(), Redactor(), NO_REPORTS)  # type: ignore[arg-type]

    def keep(alert: Alert, at: Millis, reached: tuple[str, ...]) -> None:
        offered.append((alert.title, alert.step, at, reached))

    line.delivery.offer_again = keep  # type: ignore[assignment]

    def alert(title: str, at: int, *reached: str) -> OpenAlert:
        return OpenAlert("A-1", AlertKind.DISK, title, "", Millis(at), 1, Millis(at), reached=reached, escalated=2)

    state = State(alerts=(alert("old", 1, "chat"), alert("of this start", 20)), started_at=Millis(10))
    async with AsyncExitStack() as stack:
        line.connect(Assembled(state), stack)  # type: ignore[arg-type]
    assert offered == [("old", 2, 1, ("chat",))]


def test_the_parts_of_an_address_that_look_like_tokens_are_hidden() -> None:
    redactor = Redactor()
    hide(redactor, "tgram://123456789:AAF9abcDEF_x/987654321/?format=text")
    hide(redactor, "json://user:pass-w0rd-of-mine@127.0.0.1:8000/room")
    text = redactor.text("POST /bot123456789:AAF9abcDEF_x to 127.0.0.1:8000 as pass-w0rd-of-mine")
    assert "AAF9" not in text
    assert "w0rd" not in text
    assert "127.0.0.1" in text


def test_an_alert_that_the_journal_knows_to_go_on_is_not_sent_again() -> None:
    sent, low = list[Alert](), Alert(AlertKind.DISK, "the journal's disk gets low", "3 %")
    alerts = Alerts(clock=SetClock(), reports=NO_REPORTS, redactor=Redactor(), deliver=sent.append)
    alerts.follow(lambda alert: alert == low, lambda *_: None)
    assert not alerts.notify(low)
    assert alerts.notify(Alert(AlertKind.DISK, "the journal has no disk reserve", ""))
    assert [one.title for one in sent] == ["the journal has no disk reserve"]


def test_an_escalation_is_sent_although_the_alert_was_just_sent() -> None:
    sent = list[Alert]()
    alerts = Alerts(clock=SetClock(), reports=NO_REPORTS, redactor=Redactor(), deliver=sent.append)
    for step in (0, 0, 1):
        alerts.decided(Alert(AlertKind.HALTED, "MOCK → HALTED", "stop", step))
    assert [one.step for one in sent] == [0, 1]
