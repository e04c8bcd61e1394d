"""Each process loads what it needs (ADR 59). A start with real money waits for every module that is loaded and not used."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

from controller.cli.verbs import PROCESSES, VERBS
from tests.support.rig import ROOT

BUILT = """
import sys
from controller.cli.loading import begin_loading
begin_loading()
import typer.main
from controller.cli.root import app_of
typer.main.get_command(app_of({verb!r}))
import {modules}
print("\\n".join(name for name, module in sys.modules.items() if module is not None))
"""
BODIES = {
    "run": "controller.bootstrap",
    "signer": "controller.cli.run.signer_run, controller.signer.process",
    "watchdog": "controller.cli.run.watchdog_run",
    "testnet": "controller.cli.run.testnet_run, controller.cli.run.testnet_options",
    "witness": "controller.cli.run.witness_run",
    "fleet": "controller.cli.run.fleet_run",
}
"""For each verb what it imports when it runs."""

STATISTICS = {"numpy", "scipy", "pandas", "statsmodels", "arch"}
"""They cost three seconds and 170 MB. What computes the statistics of a run loads them when it first does."""

NOWHERE = {"rich", "pygments", "jinja2", "psycopg", "opentelemetry", "sentry_sdk", "ccxt", "controller.cli.app"} | STATISTICS
NEVER = {
    "run": NOWHERE | {"exchange.testnet.server", "exchange.testnet.venue", "controller.audit"},
    "signer": NOWHERE
    | {"httpx", "httpcore", "websockets", "google.protobuf", "uvicorn", "starlette", "apsw", "transitions"}
    | {"controller.bootstrap", "controller.core", "controller.console", "controller.gateway", "controller.journal"},
    "watchdog": NOWHERE
    | {"uvicorn", "starlette", "apsw", "transitions", "cryptography", "gates"}
    | {"controller.bootstrap", "controller.console", "controller.gateway", "controller.authority", "exchange.matching"},
    "testnet": NOWHERE
    | {"httpx", "httpcore", "transitions", "pydantic_settings", "exchange.mexc"}
    | {"controller.bootstrap", "controller.console", "controller.core", "controller.gateway", "controller.journal"},
    "witness": NOWHERE
    | {"httpx", "httpcore", "transitions"}
    | {"controller.bootstrap", "controller.console", "exchange.mexc", "exchange.testnet"},
    "fleet": NOWHERE - {"jinja2"} | {"controller.bootstrap", "controller.gateway", "exchange.mexc", "exchange.testnet"},
}
"""For each verb packages that its process does not load."""

SIGNS = {"controller.signer.grants", "controller.signer.ledger", "exchange.mexc.signer", "exchange.wire.signing", "hmac"}
SWITCHES = {
    "controller.watchdog.emptying",
    "controller.watchdog.lease",
    "controller.telemetry.alerts",
    "exchange.mexc.client",
    "exchange.mexc.trading",
    "httpx",
}


@cache
def loaded(verb: str) -> frozenset[str]:
    """The modules of the process that a verb runs."""
    text = BUILT.format(verb=verb, modules=BODIES[verb])
    done = subprocess.run((sys.executable, "-c", text), capture_output=True, text=True, check=True, cwd=ROOT)
    return frozenset(done.stdout.split())


@pytest.mark.parametrize("verb", BODIES)
def test_a_process_does_not_load_what_it_does_not_need(verb: str) -> None:
    assert not loaded(verb) & NEVER[verb]


def test_every_verb_that_runs_a_process_is_listed() -> None:
    assert set(BODIES) == set(PROCESSES)


@pytest.mark.parametrize(("verb", "modules"), [("signer", SIGNS), ("watchdog", SWITCHES)])
def test_a_process_loads_what_it_must_not_wait_for(verb: str, modules: set[str]) -> None:
    assert not modules - loaded(verb)


AT_EXIT = "import atexit, sys; atexit.register(lambda: print(*(name for name, it in sys.modules.items() if it is not None)))\n"


def typed(*arguments: str) -> tuple[str, set[str]]:
    """What the command prints for a line that somebody types, and the modules that it loads."""
    text = f"{AT_EXIT}sys.argv[1:] = {list(arguments)!r}\nfrom controller.__main__ import main\nmain()"
    done = subprocess.run((sys.executable, "-c", text), capture_output=True, text=True, check=False, cwd=ROOT)
    said, _, modules = done.stdout.rstrip("\n").rpartition("\n")
    return said, set(modules.split())


def test_help_loads_no_verb_and_no_library() -> None:
    said, modules = typed("--help")
    assert "Exit codes:" in said
    assert not ({"typer", "rich", "pydantic", "httpx", "cryptography", "asyncio", "controller.cli.app"} | STATISTICS) & modules
    assert not {name for name in modules if name.startswith("controller.cli.") and name != "controller.cli.help_page"}


@pytest.mark.parametrize("verb", ["status", "gates", "propose", "sign", "submit", "halt"])
def test_a_verb_that_is_typed_loads_no_other_verb_and_no_process(verb: str) -> None:
    _, modules = typed(verb, "--help")
    assert VERBS[verb] in modules
    assert not {"controller.cli.app", "controller.bootstrap", "controller.core", "httpx", "cryptography", "asyncio"} & modules
    shared = {module for name, module in VERBS.items() if module != VERBS[verb]} & modules
    assert shared <= {"controller.cli.sign.signing"}, "the moves share the options of a signature"


DECISIONS = {"controller.bootstrap", "controller.core.events", "controller.core.decide", "controller.core.state"}


@pytest.mark.parametrize(
    ("arguments", "never"),
    [
        (["status", "-d", "/nowhere"], DECISIONS | {"cryptography", "policies.schema", "controller.runtime"}),
        (["gates", "-d", "/nowhere"], DECISIONS | {"cryptography", "policies.schema", "controller.runtime"}),
        (
            ["halt", "--reason", "x", "-d", "/nowhere"],
            DECISIONS | {"cryptography.x509", "policies.schema", "controller.runtime.loop"},
        ),
        (["propose", "advance", "--reason", "x", "-d", "/nowhere"], DECISIONS | {"cryptography.x509", "controller.runtime"}),
        (["sign", "/nowhere"], DECISIONS | {"httpx", "cryptography.x509", "controller.runtime"}),
        (["submit", "/nowhere"], DECISIONS | {"cryptography.x509", "controller.runtime"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_verb_that_ran_has_loaded_what_it_shows_and_no_decision(arguments: list[str], never: set[str]) -> None:
    _, modules = typed(*arguments)
    assert VERBS[arguments[0]] in modules
    assert not never & modules


def test_a_request_searches_for_no_module() -> None:
    text = "import sys, exchange.mexc.connections\nsys.meta_path.clear()\nimport httpcore._synchronization as one\n"
    text += "print(one.current_async_library(), 'sniffio' in sys.modules)"
    done = subprocess.run((sys.executable, "-c", text), capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["asyncio", "True"]
