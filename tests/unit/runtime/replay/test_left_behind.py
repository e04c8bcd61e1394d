"""A killed controller leaves no replay behind, and where memory runs out the kernel ends the replay first."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from controller.runtime.replay.apart import ReplayFailed, decide_again

ROOT = Path(__file__).parents[4]
STARTS = """
import asyncio, sys
from pathlib import Path
from controller.runtime.replay.apart import decide_again
asyncio.run(decide_again(["python3", "bot.py"], Path(sys.argv[1]), Path(sys.argv[2]), [b"{}"], within_s=200))
"""


def running(mark: str) -> list[int]:
    """The processes whose folder or command says ``mark``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "cmdline").read_text(errors="replace"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def until(least: int, most: int, mark: str) -> list[int]:
    """Wait until so many of them run."""
    deadline = time.monotonic() + 60
    while not least <= len(found := running(mark)) <= most:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def test_a_killed_controller_leaves_no_replay(tmp_path: Path) -> None:
    bot, scratch = tmp_path / "bot", tmp_path / "root"
    bot.mkdir()
    scratch.mkdir()
    mark = f"mark-{tmp_path.name}"
    (bot / f"{mark}.py").write_text("import time; time.sleep(200)")
    script = STARTS.replace("bot.py", f"{mark}.py")
    controller = subprocess.Popen([sys.executable, "-c", script, str(bot), str(scratch)], cwd=ROOT)
    try:
        # The command line of the controller has the mark too, and so has that of unshare.
        found = until(3, 9, mark)
        scores = {Path(f"/proc/{one}/oom_score_adj").read_text().strip() for one in found if one != controller.pid}
        assert "1000" in scores
    finally:
        controller.kill()
        controller.wait()
    until(0, 0, mark)


async def test_a_replay_that_crashes_has_no_result(tmp_path: Path) -> None:
    bot, scratch = tmp_path / "bot", tmp_path / "root"
    bot.mkdir()
    scratch.mkdir()
    (bot / "bot.py").write_text("print('5 BTCUSDT BUY', flush=True)\nimport ctypes\nctypes.string_at(0)")
    with pytest.raises(ReplayFailed, match="exit code -11"):
        await decide_again(["python3", "bot.py"], bot, scratch, [b"{}\n"], within_s=60)
