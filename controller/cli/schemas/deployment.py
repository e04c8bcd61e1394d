"""The documents of the verbs that set a deployment up and run it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from controller.cli.schemas.document import Document, JsonObject


class WrittenFile(Document):
    """A file that was written, and what it is for."""

    file: str
    purpose: str


class InitDocument(Document):
    """What ``init`` wrote, and the commands to type next, in order."""

    directory: str
    files: list[WrittenFile]
    next: list[str]


class VersionDocument(Document):
    """Which gatehouse runs, on which Python, from which directory."""

    version: str
    python: str
    installed: str


class InstallationDocument(Document):
    """An installation against its signed manifest; ``wrong`` names each difference."""

    ok: bool
    version: str
    place: str
    files: int
    signer: str
    test_key: bool
    wrong: list[str]


class CheckDocument(Document):
    """One row of ``doctor``; ``ok`` is null where the check was skipped."""

    check: str
    ok: bool | None
    verdict: Literal["PASS", "WARN", "FAIL", "SKIP"]
    found: str
    fix: str


class ControllerReady(Document):
    """The controller takes orders of bots at ``gateway``; ``console`` is its page."""

    event: Literal["ready"]
    gateway: str
    console: str


class ControllerStandby(Document):
    """Another controller leads the journal; this one waits to take over."""

    event: Literal["standby"]
    console: str


class TestnetReady(Document):
    """A testnet answers at ``address``; ``state`` is the directory it keeps its books in, or empty."""

    __test__ = False

    event: Literal["ready"]
    address: str
    market: str
    state: str


class WaitingDocument(Document):
    """What a start waits for, since when (UTC milliseconds), for how long, why, and what to do."""

    event: Literal["waiting"]
    what: str = Field(alias="for")
    since: int
    seconds: int
    because: str
    do: str


class WatchdogReady(Document):
    """The watchdog answers; without a renewal for ``lease_s`` seconds it cancels every order."""

    event: Literal["ready"]
    address: str
    lease_s: int


class WitnessReady(Document):
    """The witness answers; ``key`` is its public key."""

    event: Literal["ready"]
    address: str
    key: str


class FleetReady(Document):
    """The fleet page answers at ``address``."""

    event: Literal["ready"]
    address: str


class BotConfigDocument(Document):
    """What the client of a bot needs; ``configuration`` is the text for ``file``. The secret itself stays in its file."""

    client: str
    version: str
    bot: str
    key: str
    gateway: str
    secret_file: str
    secret_variable: str
    file: str
    configuration: str


class ReleaseDocument(Document):
    """What identifies a bot's code."""

    path: str
    artifact: str


class PolicyChecked(Document):
    """A policy file that is valid."""

    file: str
    digest: str
    ok: Literal[True]


class PolicyShown(Document):
    """A policy, with every default filled in, and its digest."""

    digest: str
    policy: JsonObject


class UpdateCheck(Document):
    """One row of ``update check``."""

    check: str
    verdict: str
    found: str
    fix: str


class Looser(Document):
    """A limit of the policy that is looser than this version allows."""

    path: str
    measured: str
    bound: str
    why: str


class UpdatedStart(Document):
    """What the first start of the installed version does. Durations are milliseconds."""

    stage: str
    becomes: str
    kept: bool
    lost_ms: int
    again_ms: int
    cancels: int
    held: dict[str, str]
    events: list[str]


class UpdateDocument(Document):
    """What the installed version does to a deployment; what could not be decided is null."""

    ok: bool
    installed: str
    written_by: str | None
    versions: list[str] | None
    checks: list[UpdateCheck]
    looser: list[Looser]
    entries: int | None
    head: str | None
    start: UpdatedStart | None
    next: str
