"""What ``gatehouse run`` does about the signer before it loads the controller. ``run.processes`` calls it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from controller.settings.deployment import Settings, secret_variable
from controller.signer.protocol import VENUES
from controller.signer.spawn import DESCRIPTOR, PID, Spawned, spawn


def start_signer(directory: Path, settings: Settings) -> Spawned | None:
    """Start the signer process of these settings; ``None`` without one, and where one was started already or by somebody else."""
    if settings.signer is None or settings.signer.socket or DESCRIPTOR in os.environ:
        return None
    return spawn(directory)


def hide_secrets(directory: Path, settings: Settings) -> None:
    """Hand secrets in this process's environment to the signer, and begin this program again without them.

    A process keeps the environment it was started with readable in ``/proc``, so removing a variable is not enough. Returns when
    there is nothing to hide.
    """
    secrets = {variable for venue in VENUES if (variable := secret_variable(venue)) in os.environ}
    if settings.signer is None or settings.signer.socket or not secrets:
        return
    sys.stderr.write(
        f"gatehouse: warning: {', '.join(sorted(secrets))} in the environment. A systemd credential or a file of mode 0600 is "
        "safer: only with them the signer is started again by itself.\n"
    )
    sys.stderr.flush()
    connection, pid = spawn(directory)
    connection.set_inheritable(True)
    kept = {name: value for name, value in os.environ.items() if name not in secrets}
    environment = {**kept, DESCRIPTOR: str(connection.fileno()), PID: str(pid)}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - this program itself
