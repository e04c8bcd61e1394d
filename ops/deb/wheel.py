"""Builds the wheel into ``dist``, and with ``--house`` also a folder of everything it needs, to install without a network.

``make wheel`` runs it. The folder has the wheels of ``requirements.lock`` for this machine's Python, checked by their hashes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from ops.deb.locked import runtime_lock
from ops.deb.tree import ROOT, own_wheel, pip


def main() -> None:
    """Build what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--house", action="store_true", help="also dist/wheelhouse, for pip install --no-index")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gatehouse-wheel-") as scratch:
        work = Path(scratch)
        wheel = chosen.out / shutil.copy(own_wheel(work), chosen.out)
        print(wheel)
        if chosen.house:
            house, lock = chosen.out / "wheelhouse", work / "runtime.lock"
            lock.write_text(runtime_lock(ROOT), encoding="utf-8")
            options = ("--require-hashes", "--no-deps", "--only-binary=:all:", "--dest", house, "-r", lock)
            pip("--python", sys.executable, "download", *options)
            shutil.copy(wheel, house)
            print(house)


if __name__ == "__main__":
    main()
