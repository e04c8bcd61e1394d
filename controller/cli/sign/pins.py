"""Reads a token's PIN from a file of mode 0600 or from the terminal, never from an argument. The signing verbs use it."""

from __future__ import annotations

import os
import stat
import sys
from functools import cache
from pathlib import Path

import typer

from controller.authority.tokens import PinSource
from exchange.errors import ConfigError, UsageError

PIN_FILE = "GATEHOUSE_PIN_FILE"
"""The environment variable that names a file with the PIN, for a machine without a terminal."""


def pin_source(uri: str) -> PinSource:
    """A function that asks at most once, and only when the token needs its PIN.

    The source raises:
        ConfigError: the file cannot be read, or others can read it.
        UsageError: there is neither a file nor a terminal.
    """

    @cache
    def ask() -> str:
        named = os.environ.get(PIN_FILE)
        if named:
            return _from_file(Path(named))
        if not sys.stdin.isatty():
            raise UsageError(
                f"{uri} needs a PIN and there is no terminal",
                code="no-pin",
                remedy=f"Run it in a terminal, or set {PIN_FILE} to a file of mode 0600 that holds the PIN.",
            )
        return str(typer.prompt(f"PIN of {uri}", hide_input=True, err=True))

    return ask


def _from_file(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            exposed = stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077
            pin = file.read(1024).removesuffix("\n")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            f"the PIN file {path} cannot be read", code="no-pin", remedy=f"Set {PIN_FILE} to a readable file with the PIN."
        ) from None
    if exposed:
        raise ConfigError(f"others can read the PIN file {path}", code="secret-exposed", remedy=f"Run `chmod 600 {path}`.")
    return pin
