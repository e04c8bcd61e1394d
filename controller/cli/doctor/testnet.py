"""The check of ``gatehouse doctor`` that the testnet is the one that the policy names. ``doctor.verb`` calls this (ADR 47)."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

from controller.cli.doctor.checks import CheckResult
from controller.core.decisions.attestation import NO_KEY
from controller.settings.deployment import Settings, load_settings
from controller.settings.venues import endpoint_of
from controller.version import VERSION
from exchange.errors import GatehouseError
from exchange.mexc.statements import StatementSource
from exchange.ports import VenueName
from exchange.statement import Challenge, Refused, fingerprint, read_answer
from policies.document import load_policy

_NAME = "testnet key"


def check_testnet_key(directory: Path) -> CheckResult:
    """Ask the testnet for a statement under the key of the policy file."""
    settings = load_settings(directory)
    try:
        key = load_policy((directory / settings.policy).read_bytes()).testnet.key
    except OSError as error:
        return CheckResult(_NAME, ok=False, found=f"the policy cannot be read: {error.strerror}", fix="Create the policy file.")
    if key is None:
        return CheckResult(_NAME, ok=True, found="its evidence is unattested: the policy names no key", fix=NO_KEY, warns=True)
    challenge = Challenge(secrets.token_hex(32), settings.controller_id, settings.testnet.api_key, "gh-doctor-")
    try:
        reply = asyncio.run(_asked(settings, challenge))
    except GatehouseError as error:
        return CheckResult(_NAME, ok=True, found=f"no statement: {error.message}", fix=error.remedy, warns=True)
    found = read_answer(reply, challenge, key)
    if isinstance(found, Refused):
        fix = (
            "Find out what listens at that address. If the testnet's key is really another one now, put the line that "
            "`gatehouse keys show` prints of it into the policy and sign `gatehouse set-policy`."
        )
        named = f"; it names {fingerprint(found.key)}" if found.key else ""
        return CheckResult(_NAME, ok=False, found=f"{found.why}{named}; the policy names {fingerprint(key)}", fix=fix)
    if found.software != f"gatehouse {VERSION}":
        return CheckResult(
            _NAME, ok=True, found=f"it is {found.software}, this is gatehouse {VERSION}", fix="Start the testnet again.", warns=True
        )
    return CheckResult(_NAME, ok=True, found=f"{fingerprint(key)} signs for {found.source.value} data, run {found.run}")


async def _asked(settings: Settings, challenge: Challenge) -> bytes:
    source = StatementSource(endpoint_of(settings, VenueName.TESTNET), challenge.account)
    try:
        return await source(challenge)
    finally:
        await source.aclose()
