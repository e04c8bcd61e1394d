"""Bots and markets that are broken: a rehearsal ends, names what is wrong, and leaves the verdict readable."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.cli.rehearse import show
from controller.cli.rehearse.parts import processes
from controller.cli.shared.output import Output
from controller.rehearsal.bots import Bot, BotPort, Trade, load_bot, run_bot
from controller.rehearsal.run import Result, rehearse
from controller.rehearsal.scene import Script
from controller.rehearsal.time import TimeStops
from exchange.errors import ConfigError, IntegrityError
from policies.stage import Stage
from tests.support.rehearsing import bars

Rows = list[str]


def traded(folder: Path, trade: Trade, market: Path | None = None, hours: float = 0.01, until: Stage = Stage.MOCK) -> Result:
    tape = bars(folder / "bars.csv") if market is None else market
    return rehearse(Script(folder / "d", (tape,), hours, 7, Bot("hostile", trade, b""), until), processes())


async def idle(port: BotPort) -> None:
    await port.sleep(1_000_000)


def spoilt(path: Path, change: Callable[[Rows], None]) -> Path:
    """A market whose rows are changed."""
    rows = bars(path).read_text().splitlines()
    change(rows)
    path.write_text("\n".join(rows) + "\n")
    return path


def no_number(rows: Rows) -> None:
    rows[3] = rows[3].replace("60000", "NaN", 1).replace("59988", "NaN", 1)


def swapped(rows: Rows) -> None:
    rows[3], rows[4] = rows[4], rows[3]


def twice(rows: Rows) -> None:
    rows.insert(3, rows[3])


@pytest.mark.parametrize("change", [no_number, swapped, twice])
def test_a_row_that_is_damaged_later_on_ends_it_and_names_the_file(tmp_path: Path, change: Callable[[Rows], None]) -> None:
    market = spoilt(tmp_path / "market.csv", change)
    with pytest.raises(IntegrityError, match=r"market\.csv") as ended:
        traded(tmp_path, idle, market, hours=0.1, until=Stage.VALIDATED)
    assert ended.value.code == "bars-unusable"


def test_a_file_that_is_no_market_leaves_no_directory_behind(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        traded(tmp_path, idle, tmp_path / "missing.csv")
    assert not (tmp_path / "d").exists()


def test_a_bot_that_never_waits_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.rehearsal.time._TURNS_AT_ONCE_MOST", 20_000)

    async def spins(port: BotPort) -> None:
        await port.sleep(5)
        for _ in itertools.count():
            await asyncio.sleep(0)

    with pytest.raises(TimeStops) as ended:
        traded(tmp_path, spins)
    assert "port.sleep" in ended.value.remedy


def test_a_bot_that_takes_no_end_is_left(tmp_path: Path) -> None:
    async def goes_on(port: BotPort) -> None:
        while True:
            try:
                await port.sleep(30)
            except asyncio.CancelledError:
                continue

    assert traded(tmp_path, goes_on).bot_ended == ""


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError(), ValueError("[/bold]")])
async def test_what_a_bot_raises_ends_the_bot_alone(error: BaseException) -> None:
    async def fails(_: BotPort) -> None:
        raise error

    assert await run_bot(Bot("hostile", fails, b""), None) == repr(error)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["raise RuntimeError('no')", "import sys; sys.exit(9)", "def trade(:", "def trade(port): return 5"]
)
def test_a_module_that_cannot_be_a_bot_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (tmp_path / "hostile_module.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "hostile_module", raising=False)
    with pytest.raises(ConfigError) as refused:
        load_bot("hostile_module")
    assert refused.value.code == "rehearsal-bot"


def test_the_verdict_is_shown_though_the_report_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = Result("MOCK", "MOCK", "sha256:0", 1, 1.0, 1.0, 1.0, 1, 1, "x", 0, bot_ended="ValueError('[/bold]')")
    monkeypatch.setattr(show, "rehearse", lambda *_: result)

    def full(*_: object) -> None:
        raise ConfigError("the report cannot be written", code="report-not-written", remedy="")

    monkeypatch.setattr(show, "write_report", full)
    (tmp_path / "d").mkdir()
    with pytest.raises(ConfigError):
        show.rehearse_and_show(tmp_path / "d", (), 1, 1, until="MOCK", bot=None, faults="", policy=None, output=Output.TABLE)
    assert "ValueError('[/bold]')" in capsys.readouterr().out
