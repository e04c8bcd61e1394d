"""``gatehouse drill restore``: the newest backup is restored, verified and replayed beside the controller, which goes on trading.

It measures how long that takes (``rto_ms``) and how old the restored copy's last entry is (``rpo_ms``). Whatever goes wrong is
about the backup and not about the deployment: the drill then fails, and nothing halts.
"""

from __future__ import annotations

from controller.core.state import Drill
from controller.runtime.drills.practice import Bench, Measured, NotExercised


async def practise(bench: Bench, drill: Drill) -> Measured:  # noqa: ARG001 - there is one journal, whatever the drill is about
    """Restore the newest backup, as the settings say where it is and what opens it."""
    if bench.means.restore is None:
        raise NotExercised(
            "gatehouse.toml does not say where the backups are and what opens them",
            "Write directory and identity_file below [backup] in gatehouse.toml, and start again",
        )
    return await bench.means.restore()
