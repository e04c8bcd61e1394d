"""The check of ``gatehouse doctor`` that the testnet is the one that the policy names. ``doctor.checks`` calls this (ADR 47)."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

from controller.cli.doctor.result import CheckResult
from controller.core.decisions.attestation import NO_KEY
from controller.settings.deployment import Settings, load_settings
from controller.settings.venues import endpoint_of
from controller.version import VERSION
from exchange.errors import GatehouseError
from exchange.mexc.statements import SILENT, StatementSource
from exchange.ports import VenueName
from exchange.statement import Challenge, Refused, Statement, fingerprint, read_answer
from policies.document import load_policy

_NAME = "testnet key"


def check_testnet_key(directory: Path) -> list[CheckResult]:
    """Ask the testnet for a statement under the key of the policy file. One that does not answer has its own row already."""
    settings = load_settings(directory)
    try:
        key = load_policy((directory / settings.policy).read_bytes()).testnet.key
    except OSError as error:
        return [_result(f"the policy cannot be read: {error.strerror}", fix="Create the policy file.", ok=False)]
    if key is None:
        return [_result("its evidence is unattested: the policy names no key", fix=NO_KEY)]
    challenge = Challenge(secrets.token_hex(32), settings.controller_id, settings.testnet.api_key, "gh-doctor-")
    try:
        reply = asyncio.run(_asked(settings, challenge))
    except GatehouseError as error:
        return [] if error.code == SILENT else [_result(f"it is unattested: {error.message}", fix=error.remedy)]
    return [_judged(read_answer(reply, challenge, key), key)]


def _judged(found: Statement | Refused, key: str) -> CheckResult:
    if isinstance(found, Refused):
        fix = (
            "Find out what listens at that address. If the testnet's key is really another one now, put the line that "
            "`gatehouse keys show KEY` prints of it into policy.toml and sign "
            "`gatehouse set-policy policy.toml --key KEY --reason WHY`."
        )
        named = f"; it names {fingerprint(found.key)}" if found.key else ""
        return _result(f"{found.why}{named}; the policy names {fingerprint(key)}", fix=fix, ok=False)
    if found.software != f"gatehouse {VERSION}":
        return _result(f"it is {found.software}, this is gatehouse {VERSION}", fix="Start the testnet again.")
    return CheckResult(_NAME, ok=True, found=f"{fingerprint(key)} signs for {found.source.value} data, run {found.run}")


def _result(found: str, *, fix: str, ok: bool = True) -> CheckResult:
    return CheckResult(_NAME, ok=ok, found=found, fix=fix, warns=ok)


async def _asked(settings: Settings, challenge: Challenge) -> bytes:
    source = StatementSource(endpoint_of(settings, VenueName.TESTNET), challenge.account)
    try:
        return await source(challenge)
    finally:
        await source.aclose()
