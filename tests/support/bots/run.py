"""``make bots``: real bots that we did not write, each governed from MOCK up to LIVE_€10, in a network that has loopback only.

A testnet on loopback stands for MEXC; it plays a recorded market, and the policy's times are the demo's. What comes out is measured
in this run: by the journal, and by what the bot itself says.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from controller.cli.bots.clients import Client, ClientName, load_clients
from tests.support.bots import installing
from tests.support.rig import ROOT

INSIDE = "tests.support.bots.run"
RESULTS = installing.RECIPES / "results.json"
LONGEST_S = {ClientName.FREQTRADE: 900.0}
"""Seconds for the whole way up. freqtrade trades once a minute."""
USUAL_S = 300.0


def main() -> int:
    """Install, then play inside, then write the table."""
    options = _options()
    clients = [client for name, client in load_clients().items() if not options.only or name in options.only]
    if options.inside is not None:
        return asyncio.run(_play(options.inside, clients))
    directory = Path(tempfile.mkdtemp(prefix="bots-"))
    try:
        for client in clients:
            print(f"{client.title} {client.version}: installing", flush=True)
            if problem := installing.install(client):
                (directory / f"{client.name}.json").write_text(json.dumps({"failed": f"not installed: {problem}"}))
        command = [*_alone(), sys.executable, "-m", INSIDE, "--inside", str(directory)]
        command += [word for client in clients for word in ("--only", client.name)]
        code = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False).returncode
        _remember(clients, directory)
        return code
    finally:
        if options.keep:
            print(f"kept: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", type=ClientName, help="this client only; may be repeated")
    parser.add_argument("--keep", action="store_true", help="keep the deployments' files and the bots' logs")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _alone() -> list[str]:
    """The beginning of a command that runs the rest in a network of its own, where only loopback exists."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *user, "--net", "--pid", "--fork", "--kill-child", "sh", "-c", 'ip link set lo up && "$@"; exit $?', "bots"]


async def _play(directory: Path, clients: list[Client]) -> int:
    from tests.support.bots.governed import govern

    print(
        "simulated: the market is recorded, MEXC is a stand-in on loopback, and every time of the policy is shortened", flush=True
    )
    failures = 0
    for client in clients:
        path = directory / f"{client.name}.json"
        if not path.is_file():
            path.write_text(
                json.dumps(await govern(client, directory / client.name, LONGEST_S.get(client.name, USUAL_S)), ensure_ascii=False)
            )
        failed = json.loads(path.read_text()).get("failed")
        if failed:
            failures += 1
            print(f"  FAILED {client.title}: {failed}", flush=True)
    return 1 if failures else 0


def _remember(clients: list[Client], directory: Path) -> None:
    """Write what was measured into the results, transcripts and ``ops/docs/bots.md``, and print the table."""
    from ops.docs.bots_page import bots, table

    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for client in clients:
        path = directory / f"{client.name}.json"
        if not path.is_file():
            continue
        found = json.loads(path.read_text())
        transcript = found.pop("transcript", None)
        if transcript:
            (installing.RECIPES / client.name / "transcript.txt").write_text(transcript)
        found |= {"version": client.version, "python": client.python, "on": dt.datetime.now(dt.UTC).date().isoformat()}
        results[client.name] = found
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    (ROOT / "ops" / "docs" / "bots.md").write_text(bots())
    print("\n".join(table(results)))


if __name__ == "__main__":
    sys.exit(main())
