"""Runs the model in Spin: no configuration has a violation, and every mutant has the violation it was made for.

``make model`` prints the results; ``tests/model`` asserts them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
MEMORY_MB = 1900
WITHIN_S = 600


@dataclass(frozen=True, slots=True)
class Configuration:
    """The bounds of a search. ``live``: also check that a breach ends in HALTED, under weak fairness."""

    name: str
    flags: tuple[str, ...]
    live: bool = False


@dataclass(frozen=True, slots=True)
class Mutant:
    """A protection that is removed, the configuration that needs it, and the violation that pan reports."""

    switch: str
    where: Configuration
    says: str


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a search. ``problem`` is pan's text for the first violation, empty when a complete search found none."""

    states: int
    seconds: float
    megabytes: float
    problem: str


def _within(name: str, *flags: str, live: bool = False) -> Configuration:
    return Configuration(name, tuple(f"-D{flag}" for flag in flags), live)


TEAM = _within("commands of a team", "COMMANDS=2", "NO_ORDERS", "FAULTS=1", "BREACHES=0")
SOLO = _within("commands of one person, with cooling-off", "SOLO", "COMMANDS=2", "NO_ORDERS", "FAULTS=1", "BREACHES=0")
BOTH = _within("a command and an order", "COMMANDS=1", "ORDERS=1", "FROM_LIVE", "FAULTS=1", "BREACHES=1")
ORDERS = _within("two orders", "NO_COMMANDS", "ORDERS=2", "FROM_LIVE", "FAULTS=2", "BREACHES=1")
THREE = _within("three orders", "NO_COMMANDS", "ORDERS=3", "FROM_LIVE", "FAULTS=2", "BREACHES=0")
HALTS = _within("a breach ends in HALTED, with orders", "NO_COMMANDS", "FROM_LIVE", "FAULTS=2", "BREACHES=2", live=True)
HALTS_TOO = _within("a breach ends in HALTED, with a command", "COMMANDS=1", "NO_ORDERS", "FAULTS=1", "BREACHES=1", live=True)

ALONE = _within("one command and no faults", "COMMANDS=1", "NO_ORDERS", "FAULTS=0", "BREACHES=0")

CONFIGURATIONS = (TEAM, SOLO, BOTH, ORDERS, THREE, HALTS, HALTS_TOO)

MUTANTS = (
    Mutant("NO_FENCE", TEAM, r"L\[c\]\.\w+==J\."),
    Mutant("NO_LEASE", ORDERS, r"permit\[\(1-c\)\]"),
    Mutant("PERMIT_DATED_LATE", ORDERS, r"permit\[\(1-c\)\]"),
    Mutant("RENEW_UNWRITTEN", ORDERS, r"permit\[\(1-c\)\]"),
    Mutant("PERMIT_OUTLIVES_LATCH", ORDERS, r"J\.stage!=0"),
    Mutant("UNARMED", BOTH, r"J\.armed"),
    Mutant("SEND_FIRST", ORDERS, r"J\.order\[n\]==1"),
    Mutant("RESEND", ORDERS, r"placed&|J\.order\[n\]==1"),
    Mutant("COMMIT_ASSUMED", ORDERS, r"L\[c\]\.\w+(\[i\])?==J\."),
    Mutant("FORGET_UNKNOWN", ORDERS, r"venue\[0\].*<=1"),
    Mutant("NO_GRACE", ORDERS, r"venue\[arg\[c\]\]!="),
    Mutant("ANY_EDGE", TEAM, r"cmd\[arg\[c\]\]\.verb==7"),
    Mutant("RESUME_UP", TEAM, r"<=J\.from"),
    Mutant("UNDER_QUORUM", ALONE, r"who>=2"),
    Mutant("NO_GATE", TEAM, r"proven\[c\]"),
    Mutant("REUSE_COMMAND", TEAM, r"applied&"),
    Mutant("TAKE_STALE", TEAM, r"J\.stale&"),
    Mutant("TAKE_EXPIRED", TEAM, r"expired"),
    Mutant("IGNORE_REVOCATION", TEAM, r"J\.revoked"),
    Mutant("VETO_IGNORED", SOLO, r"J\.waits=="),
    Mutant("LOST_BREACH", HALTS, "acceptance cycle"),
    Mutant("NO_TAKEOVER", HALTS, "acceptance cycle"),
    Mutant("NO_EXIT", HALTS, "acceptance cycle"),
)


def missing() -> str:
    """The tools that are needed but not installed; empty when the model can be run."""
    return ", ".join(tool for tool in ("spin", "gcc") if shutil.which(tool) is None)


def explore(configuration: Configuration, mutant: str = "") -> Result:
    """Search all states within the configuration's bounds, or until the first violation.

    Raises:
        RuntimeError: the model does not compile, or the search did not complete within its memory and depth.
    """
    flags = [*configuration.flags, *(["-DLIVE"] if configuration.live else []), *(["-DMUTANT", f"-D{mutant}"] if mutant else [])]
    kind = ["-DNFAIR=3"] if configuration.live else ["-DSAFETY", "-DNOFAIR"]
    with tempfile.TemporaryDirectory(prefix="gatehouse-model-") as directory:
        for source in HERE.glob("*.pml"):
            shutil.copy(source, directory)
        _run(directory, "spin", "-a", *flags, "gatehouse.pml")
        # Partial-order reduction does not help, because all state is shared. A mutant is found sooner than optimised code compiles.
        speed = "-O0" if mutant else "-O2"
        _run(directory, "gcc", speed, "-w", *kind, "-DNOREDUCE", "-DNOBOUNDCHECK", f"-DMEMLIM={MEMORY_MB}", "-o", "pan", "pan.c")
        output = _run(directory, "./pan", "-n", "-m100000", *(["-a", "-f"] if configuration.live else []))
    return _read(output)


def _read(output: str) -> Result:
    problem = re.search(r"^pan:1: (.*)$", output, re.MULTILINE)
    incomplete = "errors: 0" not in output or "max search depth too small" in output or "Search not completed" in output
    if problem is None and incomplete:
        raise RuntimeError(f"the search was not complete:\n{output[-2000:]}")
    return Result(
        states=int(_number(r"^\s*(\d+) states, stored", output)),
        seconds=_number(r"elapsed time ([\d.e+-]+) seconds", output),
        megabytes=_number(r"([\d.]+)\s+total actual memory usage", output),
        problem=problem.group(1) if problem else "",
    )


def _number(pattern: str, output: str) -> float:
    found = re.search(pattern, output, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


def _run(directory: str, *command: str) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    if done.returncode and command[0] != "./pan":
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def main() -> int:
    """Explore every configuration. Returns 1 when a violation was found."""
    if missing():
        print(f"not installed: {missing()}")
        return 2
    found = 0
    for configuration in CONFIGURATIONS:
        result = explore(configuration)
        found += bool(result.problem)
        verdict = result.problem or "no violation"
        print(
            f"{configuration.name}: {result.states:,} states, {result.seconds:.0f} s, {result.megabytes:.0f} MB: {verdict}",
            flush=True,
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
