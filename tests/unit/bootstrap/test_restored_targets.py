"""Every kind of checkpoint target tells a restored start what the copy lacks: directory, git remote, locked bucket, witness."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from controller.bootstrap.restored import halt_of_restored, verified_as_restored
from controller.core.causes import Cause
from controller.journal.chain import Record
from controller.journal.checkpoint import Anchor
from controller.journal.publishing import read_from
from controller.journal.sqlite import SqliteJournal, open_journal
from controller.journal.verify import VerifyReport, verify_journal
from controller.runtime.followers.latchfile import LatchFile
from controller.runtime.recovery.old_roster import OldRoster, read_old_roster, write_old_roster
from controller.runtime.recovery.restored import RestoredMark, write_restored
from exchange.model import Millis
from policies import canonical
from tests.support.checkpoint_target_cases import KINDS, opened, published
from tests.unit.bootstrap.test_restored_start import places

COPIED, KNOWN = 5, 9


def written(path: Path, owner: str, count: int) -> SqliteJournal:
    journal = open_journal(path, owner)
    for number in range(count):
        journal.append([Record("noted", canonical.encode({"number": number}))], Millis(1))
    return journal


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_target_knows_halts_a_restored_start(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "var"
    data.mkdir()
    (tmp_path / "target").mkdir()
    async with opened(kind, tmp_path / "target") as case:
        with closing(written(tmp_path / "original.db", case.log.owner, KNOWN)) as original:
            leaves = [bytes.fromhex(entry.hash.removeprefix("sha256:")) for entry in original.read()]
        monkeypatch.setattr(case.log, "leaves", lambda size: leaves[:size])
        await published(case.target, case.log, KNOWN)
        # The restored deployment is another process: it has no working file of the target.
        reading = await read_from(case.another_process(case.log.key))
        assert reading.held is not None, reading.problem
        with closing(written(data / "journal.db", case.log.owner, COPIED)) as copy:
            mark = RestoredMark("copy.age", copy.head.seq, copy.head.hash, Millis(1_000), Millis(2_000))
        write_restored(data, mark)
        write_old_roster(data, OldRoster(confirmed=False))

        def verify(*, checkpoints: tuple[Anchor, ...]) -> VerifyReport:
            path = data / "journal.db"
            return verify_journal(path, case.log.owner, monotonic_ns=lambda: 0, checkpoints=checkpoints)

        report, lost = verified_as_restored(verify, (Anchor(reading.target, reading.held),), mark)
        assert report.first_problem is None
        with closing(open_journal(data / "journal.db", case.log.owner)) as copy:
            halt = halt_of_restored(places(data), LatchFile(data / "latch"), copy, lost, reading.held.size)
    assert halt is not None
    assert halt.request.cause is Cause.RESTORED_OLDER
    assert f"{reading.target} knows {KNOWN - COPIED} later entries" in halt.request.reason
    assert read_old_roster(data) == OldRoster(confirmed=False)
