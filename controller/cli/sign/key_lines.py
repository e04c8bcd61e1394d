"""Makes the roster line of a key that gatehouse did not make. ``gatehouse keys import`` calls this."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from controller.authority.roster import RosterKey, roster_key
from controller.authority.tokens import find_key, is_token_uri
from controller.cli.sign.command_files import read_bytes
from controller.cli.sign.pins import pin_source


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A roster's entry for a key, and what to sign with: ``source`` is the complete URI or the file."""

    source: str
    entry: RosterKey

    @property
    def lines(self) -> str:
        """The entry as TOML, for its person's ``keys``."""
        pin = ", pin_required = true" if self.entry.pin_required else ""
        key = f'{{ id = "{self.entry.id}", type = "{self.entry.type}", public = "{self.entry.public}"{pin} }}'
        return f"# {self.source}: add this line to the person's `keys = [ … ]`\n{key},\n"


def enrolment(source: str, *, pin_required: bool) -> Enrolment:
    """Read the key.

    Raises:
        GatehouseError: the token or the file cannot be read, or the key is not one that can sign.
    """
    if is_token_uri(source):
        key = find_key(source, pin_source(source))
        return Enrolment(key.uri, roster_key(key.public.line, key.type, pin_required=pin_required))
    line = read_bytes(Path(source)).decode("utf-8", "replace")
    return Enrolment(source, roster_key(line, pin_required=pin_required))
