"""The line between the journal and the channels, and what a start notices by itself."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.bootstrap.alerts import hide
from controller.bootstrap.crashes import MARK_FILE, note_crash
from controller.bootstrap.key_ends import look
from controller.core.effects import Alert, AlertKind
from controller.core.state import State
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
