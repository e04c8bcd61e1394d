"""How old the last copies are, and the alert when they are too old."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.bootstrap.backups import TITLE, BackupAges
from controller.core.effects import Alert, AlertKind
from controller.journal.last_backup import FILE_NAME, CopyMade, age_of_verified_backup_ms, record_created, record_verified
from exchange.model import Millis
from exchange.ports import Clock

HOUR = 3_600_000
NOW = Millis(1_800_000_000_000)


class Heard:
    """Alerts as they are raised and cleared."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def notify(self, alert: Alert) -> None:
        assert (alert.kind, alert.title) == (AlertKind.BACKUP, TITLE)
        self.lines.append(alert.detail)

    def ended(self, kind: AlertKind, title: str, proof: str) -> None:
        assert (kind, title) == (AlertKind.BACKUP, TITLE)
        self.lines.append(proof)


class Fixed(Clock):
    def now(self) -> Millis:
        return NOW

    def monotonic_ns(self) -> int:
        return 0


def copy(ends_ms_ago: int, seq: int = 7) -> CopyMade:
    return CopyMade("copy.age", NOW, seq, Millis(NOW - ends_ms_ago))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def ages(tmp_path: Path, heard: Heard) -> BackupAges:
    return BackupAges(tmp_path, Fixed(), heard, 26 * HOUR)  # type: ignore[arg-type]


async def test_a_copy_that_was_never_verified_counts_as_none(tmp_path: Path, ages: BackupAges, heard: Heard) -> None:
    record_created(tmp_path, copy(HOUR))
    await ages.look()
    view = ages.view()
    assert view is not None
    assert (view.age_ms, view.made_age_ms) == (None, 0)
    assert heard.lines == ["no copy was ever verified; the last was made 0 min ago; one that ends at most 26 h ago is wanted"]


async def test_an_alert_is_raised_once_and_ends_with_a_newer_copy(tmp_path: Path, ages: BackupAges, heard: Heard) -> None:
    record_verified(tmp_path, copy(27 * HOUR))
    await ages.look()
    await ages.look()
    record_verified(tmp_path, copy(HOUR, seq=8))
    await ages.look()
    assert heard.lines == [
        "the last verified copy ends 27 h ago; none was made here; one that ends at most 26 h ago is wanted",
        "a newer backup is verified",
    ]


async def test_without_somebody_who_opens_copies_nothing_alerts(tmp_path: Path, heard: Heard) -> None:
    await BackupAges(tmp_path, Fixed(), heard, None).look()  # type: ignore[arg-type]
    assert heard.lines == []


def test_verifying_an_older_copy_makes_no_backup_older(tmp_path: Path) -> None:
    record_verified(tmp_path, copy(HOUR, seq=8))
    record_verified(tmp_path, copy(9 * HOUR, seq=7))
    assert age_of_verified_backup_ms(tmp_path, NOW) == HOUR


@pytest.mark.parametrize("content", [None, "", "{", '{"created": null}', '{"created": null, "verified": {"file": "x"}}'])
def test_a_file_that_says_nothing_means_never(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / FILE_NAME).write_text(content)
    assert age_of_verified_backup_ms(tmp_path, NOW) is None
