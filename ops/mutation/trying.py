"""Tries mutants: pytest collects the tests once, and a forked child runs those that cover one mutant until one of them fails.

No test runs in the process that forks, so every child begins as fresh as pytest does. A child has a limit of processor time,
and one that sleeps for ever is ended too. Both count as killed.
"""

from __future__ import annotations

import gc
import json
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from mutmut.utils.format_utils import mangled_name_from_mutant_name

SURVIVED, KILLED, NOT_COVERED, TIMED_OUT = "survived", "killed", "not covered", "timed out"

QUIETLY = (
    *("-o", "addopts=", "--import-mode=importlib", "--assert=plain"),
    *(f"-pno:{name}" for name in ("cacheprovider", "schemathesis", "xdist", "terminal")),
)
"""The project's own options, but nothing is printed, explained or remembered."""

_POLL_S = 0.01
_ASLEEP_S = 6.0
"""No unit test waits this long for anything but another process."""
_MOST_TESTS = 250


def folder(module: str) -> str:
    """Where the tests of ``module`` are: the folder that mirrors its package."""
    package = module.split(".")
    return "tests/unit/policies/" if package[0] == "policies" else f"tests/unit/{package[1]}/"


@dataclass
class Covering:
    """Which tests run a function, and how long each takes."""

    tests: dict[str, list[str]]
    seconds: dict[str, float]
    killed_before: dict[str, list[str]] = field(default_factory=dict)

    def killed(self, mutant: str, test: str) -> None:
        """Ask ``test`` first from now on: a test that kills one mutant of a function often kills the next."""
        before = self.killed_before.setdefault(mangled_name_from_mutant_name(mutant), [])
        if test in before:
            before.remove(test)
        before.insert(0, test)

    def of(self, mutant: str) -> list[str]:
        """The tests to ask: those that run the function and are in the folder of its package. Fast ones come first."""
        function = mangled_name_from_mutant_name(mutant)
        before = {test: place for place, test in enumerate(self.killed_before.get(function, ()))}
        own = [test for test in self.tests.get(function, ()) if test.startswith(folder(function))]
        return sorted(own, key=lambda test: (before.get(test, len(before)), self.seconds[test]))


@dataclass
class Running:
    """A child that tries one mutant, and since when it sleeps without having used any processor time."""

    mutant: str
    tests: list[str]
    used: str = ""
    asleep_since: float = 0.0

    def waits_for_ever(self, child: int) -> bool:
        """Whether it sleeps for so long that nothing will wake it. A child that a busy machine keeps waiting is not asleep."""
        try:
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return False
        state, used = fields[0], " ".join(fields[11:15])
        if state != "S" or used != self.used:
            self.used, self.asleep_since = used, time.monotonic()
        return time.monotonic() - self.asleep_since > _ASLEEP_S


@dataclass
class Trial:
    """The plugin that does it inside one run of pytest. ``outcomes`` is filled when pytest returns.

    ``progress`` is called with every mutant and its outcome. When it returns false, no further mutant is tried.
    """

    mutants: Sequence[str]
    workers: int
    progress: Callable[[str, str], bool]
    outcomes: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    _items: dict[str, pytest.Item] = field(default_factory=dict)

    def pytest_configure(self, config: pytest.Config) -> None:
        """To explain a failure takes longer than most tests do."""
        config.option.tbstyle = "no"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of running every test once."""
        self._items = {item.nodeid: item for item in session.items}
        gc.freeze()
        covering = self._measure(session)
        if covering is not None:
            self._try_all(session, covering)
        return True

    def _measure(self, session: pytest.Session) -> Covering | None:
        """Run every test on the code as it is, in a child, and note which functions it runs."""
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            os.close(reading)
            _quiet()
            set_mutant_under_test("stats")
            hit: set[str] = state()._stats  # noqa: SLF001 (the wrappers of mutmut write there)
            tests: dict[str, list[str]] = {}
            seconds: dict[str, float] = {}
            for item, following in _pairs(list(self._items.values())):
                hit.clear()
                before = time.process_time()
                item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
                seconds[item.nodeid] = time.process_time() - before
                for function in hit:
                    tests.setdefault(function, []).append(item.nodeid)
                if session.testsfailed:
                    tests, seconds = {}, {item.nodeid: 0.0}
                    break
            with os.fdopen(writing, "w") as pipe:
                json.dump([tests, seconds], pipe)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            tests, seconds = json.load(pipe)
        os.waitpid(child, 0)
        if not tests:
            self.problem = f"a test fails on the code as it is: {', '.join(seconds)}"
            return None
        return Covering(tests, seconds)

    def _try_all(self, session: pytest.Session, covering: Covering) -> None:
        running: dict[int, Running] = {}
        waiting = list(reversed(self.mutants))
        while (waiting or running) and not self.problem:
            while waiting and len(running) < self.workers:
                mutant = waiting.pop()
                tests = covering.of(mutant)
                if tests:
                    used = sum(covering.seconds[test] for test in tests)
                    running[self._begin(session, mutant, tests, used)] = Running(mutant, tests)
                else:
                    self._note(mutant, NOT_COVERED)
            self._reap(running, covering)
        for child in running:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    def _note(self, mutant: str, outcome: str) -> None:
        self.outcomes[mutant] = outcome
        if not self.progress(mutant, outcome):
            self.problem = "not every mutant was tried in time"

    def _begin(self, session: pytest.Session, mutant: str, tests: list[str], used: float) -> int:
        if child := os.fork():
            return child
        _quiet()
        most = math.ceil(2 + 5 * used)
        resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))
        set_mutant_under_test(mutant)
        try:
            for at, (item, following) in enumerate(_pairs([self._items[test] for test in tests])):
                item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    os._exit(min(at, _MOST_TESTS) + 1)
        except BaseException:  # noqa: BLE001 (whatever it is, the mutant is noticed)
            os._exit(_MOST_TESTS + 1)
        os._exit(0)

    def _reap(self, running: dict[int, Running], covering: Covering) -> None:
        ended = False
        for child, one in list(running.items()):
            found, status = os.waitpid(child, os.WNOHANG)
            if found:
                ended = True
                del running[child]
                code = os.waitstatus_to_exitcode(status)
                self._note(one.mutant, TIMED_OUT if code < 0 else KILLED if code else SURVIVED)
                if 0 < code <= min(_MOST_TESTS, len(one.tests)):
                    covering.killed(one.mutant, one.tests[code - 1])
            elif one.waits_for_ever(child):
                os.kill(child, signal.SIGKILL)
        if not ended and running:
            time.sleep(_POLL_S)


def attempt(trial: Trial, tree: Path, tests: Sequence[str], options: Sequence[str]) -> None:
    """Run ``trial`` on the copy in ``tree``. Nothing of the product may be loaded in this process before."""
    here = Path.cwd()
    sys.path[:] = [str(tree), *(entry for entry in sys.path if Path(entry or ".").resolve() != here)]
    os.chdir(tree)
    try:
        code = pytest.main(["--rootdir=.", *QUIETLY, *options, *tests], plugins=[trial])
    finally:
        os.chdir(here)
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        trial.problem = trial.problem or f"pytest cannot collect the tests: {code!r}"


def _pairs(items: list[pytest.Item]) -> Iterable[tuple[pytest.Item, pytest.Item | None]]:
    return zip(items, [*items[1:], None], strict=True)


def _quiet() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        os.dup2(null, descriptor)
