"""``gatehouse alerts``: what is open, what it means, and whether the channels deliver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.console.alerts import AlertView
from controller.console.schema import OversightView
from tests.support.cli_kit import Run, Served, printed
from tests.support.operator_port import NOW, a_status
from tests.support.receivers import Receiver, receiving

ALERT = AlertView(
    id="A-17",
    kind="halted",
    title="VALIDATED → HALTED",
    detail="stop",
    at_ms=NOW,
    times=1,
    last_at_ms=NOW,
    severity="critical",
    escalated=1,
    reached=("mail",),
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def with_channels(served: Served, **urls: str) -> Path:
    settings = served.directory / "gatehouse.toml"
    text = settings.read_text()
    for name, url in urls.items():
        (served.directory / f"{name}.url").write_text(url)
        (served.directory / f"{name}.url").chmod(0o600)
        text += f'\n[[alerts.channels]]\nname = "{name}"\nto = "apprise"\nurl_file = "{name}.url"\n'
    settings.write_text(text)
    return served.directory


def test_the_list_says_what_is_open_and_who_was_told(run: Run, served: Served) -> None:
    served.port.view = a_status(oversight=OversightView(alerts=(ALERT,)))
    done = run("alerts", "list", "--dir", served.directory)
    assert done.exit_code == 0
    for text in ("A-17", "critical", "VALIDATED → HALTED", "escalated 1×", "mail"):
        assert text in done.stdout
    assert printed(run("alerts", "list", "--dir", served.directory, "-o", "json"))[0]["reached"] == ["mail"]


def test_an_empty_list_says_so(run: Run, served: Served) -> None:
    assert "No alert waits" in run("alerts", "list", "--dir", served.directory).stdout


def test_a_kind_is_explained_without_a_controller(run: Run, tmp_path: Path) -> None:
    shown = printed(run("alerts", "show", "unknown-overdue", "--dir", tmp_path, "-o", "json"))
    assert shown["severity"] == "critical"
    assert shown["page"] == "ops/docs/runbooks/venue-down.md"


def test_an_open_alert_is_explained_with_how_to_acknowledge_it(run: Run, served: Served) -> None:
    served.port.view = a_status(oversight=OversightView(alerts=(ALERT,)))
    shown = printed(run("alerts", "show", "A-17", "--dir", served.directory, "-o", "json"))
    assert shown["acknowledge"] == "gatehouse ack-alert A-17 --key KEY --reason WHY"
    assert run("alerts", "show", "A-18", "--dir", served.directory).exit_code == 2


def test_each_channel_is_tested_and_says_why_not(run: Run, served: Served, receiver: Receiver) -> None:
    with receiving(500) as broken:
        directory = with_channels(
            served, good=f"json://127.0.0.1:{receiver.port}/of-mine", bad=f"json://127.0.0.1:{broken.port}/of-mine"
        )
        done = run("alerts", "test", "--dir", directory, "-o", "json")
    assert done.exit_code == 6
    found = {one["channel"]: (one["handed_over"], one["why"]) for one in printed(done)}
    assert found["good"] == (True, "")
    assert found["bad"] == (False, "HTTP 500")
    assert found["log"] == (True, "")
    assert b"[TEST]" in receiver.posts[0].body
    assert "of-mine" not in done.stdout + done.stderr


def test_a_secret_that_others_can_read_is_named_and_the_rest_is_tested(run: Run, served: Served, receiver: Receiver) -> None:
    directory = with_channels(served, open=f"json://127.0.0.1:{receiver.port}", good=f"json://127.0.0.1:{receiver.port}")
    (directory / "open.url").chmod(0o644)
    done = run("alerts", "test", "--dir", directory, "-o", "json")
    assert [one["handed_over"] for one in printed(done)[:2]] == [False, True]
    assert "can be read by others" in printed(done)[0]["why"]
