"""Whether a file that holds a secret can be read by others. The testnet, its command and the settings ask before they read one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_OTHERS = 0o077
_OF_A_CREDENTIAL = 0o037


def can_be_read_by_others(path: Path, status: os.stat_result) -> bool:
    """What the mode of ``path`` says.

    systemd of Debian 13 hands a credential to its unit with an access list, which the mode shows as root's file that its group may
    read. Nobody else can enter the folder, which ``CREDENTIALS_DIRECTORY`` names (systemd.exec(5), "Credentials").
    """
    named = os.environ.get("CREDENTIALS_DIRECTORY", "")
    handed = bool(named) and path.parent == Path(named) and status.st_uid == 0
    return bool(stat.S_IMODE(status.st_mode) & (_OF_A_CREDENTIAL if handed else _OTHERS))
