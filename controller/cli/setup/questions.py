"""The questions of ``gatehouse init`` where its flags are missing and a person sits at a terminal. ``setup.init`` calls it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from exchange.errors import UsageError

PROFILES = ("solo", "team", "demo")
Ask = Callable[[str, str], str]
"""Shows a question and a default, and returns the answer."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the five questions bring. What nobody knows yet is empty, and ``doctor`` names it."""

    profile: str
    persons: tuple[str, ...] = ()
    live_key: str = ""
    watchdog_key: str = ""
    bot: Path | None = None


def asked(ask: Ask) -> Answers:
    """Ask for everything. For the demo the first question is the only one, because it brings its own persons, keys and bot.

    Raises:
        UsageError: the kind of deployment is none of ``PROFILES``, or the bot's file does not exist.
    """
    profile = ask("1 of 5  What for: solo (one signer), team (two signers) or demo (no real money)?", "demo")
    if profile not in PROFILES:
        raise _refused(f"{profile!r} is no kind of deployment", f"Answer one of {', '.join(PROFILES)}.")
    if profile == "demo":
        return Answers(profile)
    everyone = "operator" if profile == "solo" else "operator, approver"
    persons = ask("2 of 5  Who signs? Names with commas between, the operator first", everyone)
    live_key = ask("3 of 5  The public half of the MEXC API key; empty if you have none yet", "")
    watchdog_key = ask("4 of 5  The public half of the watchdog's own MEXC API key, of the same account; empty if none yet", "")
    bot = ask("5 of 5  The bot's file; empty if there is none yet", "")
    if bot and not Path(bot).is_file():
        raise _refused(f"{bot} is no file", "Name the bot's file, or answer nothing and name it later in gatehouse.toml.")
    names = tuple(name for name in (part.strip() for part in persons.split(",")) if name)
    return Answers(profile, names, live_key, watchdog_key, Path(bot) if bot else None)


def _refused(message: str, remedy: str) -> UsageError:
    return UsageError(message, code="usage", remedy=remedy)
