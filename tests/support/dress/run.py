"""``make dress``: a rehearsal of production by the commands that operators type, on an installed gatehouse in a private world.

It needs root, and fails where no private world can be made. ops/docs/dress.md says what it shows and what it does not.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.dress.installed import install, linked_libraries
from tests.support.dress.units import users
from tests.support.ordinary import world

INSIDE = "tests.support.dress.run"
PERSONS = ("alice", "bob", "carol", "bot")
FIRST_ID = 6_000


def main() -> int:
    """The command line: install, make the world, and rehearse in it."""
    options = _options()
    if options.inside is not None:
        return asyncio.run(_rehearse(options))
    if reason := world.why_not():
        print(f"dress: cannot run here: {reason}")
        return 1
    directory = Path(tempfile.mkdtemp(prefix="dress-"))
    directory.chmod(0o755)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        print("dress: building the wheel and installing it outside of the checkout", flush=True)
        began = time.monotonic()
        product = install(directory, from_index=not (options.short or options.look or options.linked))
        print(f"dress: installed in {time.monotonic() - began:.0f} s; {shortened()}", flush=True)
        arguments = ["-m", INSIDE, "--inside", str(directory), *sys.argv[1:]]
        # The libraries have to be there before the authorities in them are covered.
        command = world.enter(directory, arguments, product, [*machine(directory), *linked_libraries(directory)])
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(world.ROOT), "LANG": "C.UTF-8"}
        return subprocess.run(command, env=environment, check=False).returncode
    finally:
        if options.keep:
            print(f"kept: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=("solo", "team", "both"), default="both")
    parser.add_argument("--keep", action="store_true", help="keep the world's files")
    parser.add_argument("--short", action="store_true", help="up to TESTNET_VALIDATING, with the checkout's libraries")
    parser.add_argument("--look", action="store_true", help="set up and look, start nothing, with the checkout's libraries")
    parser.add_argument("--linked", action="store_true", help="all the way, with the checkout's libraries")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def machine(directory: Path) -> list[str]:
    """Lines of shell that make this namespace a machine of its own: /etc with the package's users, /var/lib, /srv and /run."""
    etc = directory / "etc"
    shutil.copytree("/etc", etc, symlinks=True)
    for name in ("hosts", "resolv.conf"):
        (etc / name).unlink(missing_ok=True)
        (etc / name).touch()
    shutil.rmtree(etc / "gatehouse", ignore_errors=True)
    made = [*users(), *((person, person, f"/home/{person}") for person in PERSONS)]
    groups = list(dict.fromkeys(group for _, group, _ in made))
    with (etc / "group").open("a") as file:
        file.writelines(f"{group}:x:{FIRST_ID + number}:\n" for number, group in enumerate(groups))
    with (etc / "passwd").open("a") as file:
        file.writelines(
            f"{name}:x:{FIRST_ID + number}:{FIRST_ID + groups.index(group)}::{home}:/usr/sbin/nologin\n"
            for number, (name, group, home) in enumerate(made)
        )
    folders = [
        ("root", "root", "0755", "/etc/gatehouse"),
        ("root", "gatehouse", "0750", "/var/lib/gatehouse"),
        ("gatehouse", "gatehouse", "0700", "/var/lib/gatehouse/.local"),
    ]
    folders += [(name, group, "0700", home) for name, group, home in users() if name != "gatehouse"]
    return [
        f"mount --bind '{etc}' /etc",
        *(f"mount -t tmpfs -o mode=755 tmpfs {place}" for place in ("/var/lib", "/run", "/srv")),
        *(f"install -d -o {user} -g {group} -m {mode} {place}" for user, group, mode, place in folders),
    ]


def shortened() -> str:
    """What the world makes shorter, for the first lines of the output."""
    return "times are shortened as ops/docs/dress.md says, and by nothing else"


async def _rehearse(options: argparse.Namespace) -> int:
    from policies.stage import Mode
    from tests.support.dress.operator import NotAsExpected
    from tests.support.dress.stage import stage
    from tests.support.dress.walk import Walk
    from tests.support.ordinary.load import favour

    favour()
    program = options.inside / "installed/bin/gatehouse"
    ended_well = True
    for mode in (Mode.SOLO, Mode.TEAM) if options.mode == "both" else (Mode(options.mode),):
        print(f"\n{mode}: production, MEXC's stand-in behind TLS", flush=True)
        async with stage(options.inside, mode, program) as here:
            walk, failed = Walk(here), False
            try:
                await (walk.look() if options.look else walk.opening() if options.short else walk.play())
            except NotAsExpected as error:
                ended_well, failed = False, True
                print(f"dress: {error}", flush=True)
                print(here.units["controller"].tail() if here.units["controller"].log.exists() else "", flush=True)
            print(f"\n{here.terminal.table()}\n\n{here.record.table()}\n", flush=True)
            print(
                f"{mode}: {'ended otherwise' if failed else 'every step as expected'}, {len(here.terminal.steps)} steps", flush=True
            )
    return 0 if ended_well else 1


if __name__ == "__main__":
    sys.exit(main())
