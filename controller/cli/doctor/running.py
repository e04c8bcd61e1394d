"""The checks of ``gatehouse doctor`` on the controller: does it run, is it armed, what is in force? ``checks`` calls it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controller.cli.doctor.result import Absent, Found, Warned
from controller.cli.shared.client import OperatorClient, is_up
from controller.console.schema import StatusView
from controller.core.decisions.governance import release_digest
from controller.settings.artifact import artifact_digest
from controller.settings.deployment import Settings
from controller.settings.listen import Listen
from controller.settings.policy_file import read_policy
from exchange.errors import ConfigError, Unreachable
from policies.document import digest

_ANSWER_WITHIN_S = 5.0


@dataclass(slots=True)
class Controller:
    """The controller of a deployment, asked once. ``status`` is set once ``check`` found that it runs."""

    directory: Path
    settings: Settings
    status: StatusView | None = field(default=None, init=False)

    def check(self, venue_fails: Callable[[], str]) -> Found:
        """Whether it runs and is reconciled. ``venue_fails`` names a venue's failed check, for which a controller cannot be armed.

        Raises:
            ConfigError: it is not armed, or something else uses its ports.
            GatehouseError: it is up and does not answer.
        """
        if not is_up(self.directory):
            console = self.settings.console
            remote = {"console.remote": console.remote} if console.remote is not None else {}
            return _ports_free({"gateway": self.settings.gateway, "console": console, **remote})
        try:
            with OperatorClient(self.directory, answer_within_s=_ANSWER_WITHIN_S) as client:
                self.status = client.status()
        except Unreachable as error:
            if error.code != "not-answering" or not (cause := venue_fails()):
                raise
            return Absent(f"starting: it waits for what `{cause}` says")
        if self.status.reconciled:
            return f"running at {self.status.position}, {'armed' if self.status.armed else 'reconciled'}"
        why = f"running at {self.status.position}, not armed: {self.status.not_armed_because}"
        if cause := venue_fails():
            return Warned(why, f"See `{cause}`: it arms by itself when that is repaired.")
        raise ConfigError(
            why,
            code="not-armed",
            remedy="Wait 10 s and run `gatehouse doctor` again: it arms when every venue's balances and orders agree with its "
            "books. If it still does not, `gatehouse status` says what differs.",
        )

    def proposals(self) -> str | Warned:
        """The files that the running controller found changed. Without one nobody has compared them with what is in force."""
        if self.status is None:
            return "the next start compares the files with what is in force"
        if not self.status.proposals:
            return self._compared(self.status)
        found = "; ".join(
            f"the {one.document} in the file is not in force: {', '.join(one.changes)}" for one in self.status.proposals
        )
        return Warned(found, _SIGN_OR_RESTORE)

    def _compared(self, status: StatusView) -> str | Warned:
        """The files against what is in force. A controller compares them only when it starts."""
        release = self.settings.release
        changed = {
            "policy": digest(read_policy(self.directory / self.settings.policy)) != status.policy.digest,
            "release": release_digest(release.name, release.version, release.artifact) != status.release.digest,
        }
        if not any(changed.values()):
            return "the policy and the release in the files are in force"
        named = " and ".join(f"the {document} in the file" for document, differs in changed.items() if differs)
        return Warned(f"not in force, because it was changed after the start: {named}", _SIGN_OR_RESTORE)


_SIGN_OR_RESTORE = (
    "Sign it, or restore the file and restart: `gatehouse set-policy policy.toml --key KEY --reason WHY` for the policy, "
    "`gatehouse set-release --name NAME --version VERSION --artifact DIGEST --key KEY --reason WHY` for the release."
)


def check_release(directory: Path, settings: Settings) -> str:
    """Whether the bot's files are the release of the settings.

    Raises:
        ConfigError: they are not, or cannot be read.
    """
    release = settings.release
    if not release.path:
        return f"{release.artifact[:19]}… is compared with nothing: [release] names no path"
    found = artifact_digest(directory / release.path)
    if found != release.artifact:
        raise ConfigError(
            f"{directory / release.path} has the digest {found}, and [release] names {release.artifact}",
            code="release-differs",
            remedy="Restore the bot's files, or write the digest into gatehouse.toml and sign `gatehouse set-release "
            f"--name {release.name} --version VERSION --artifact {found} --key KEY --reason WHY`.",
        )
    return f"{release.name} {release.version}: {directory / release.path} has its digest {found[:19]}…"


def _ports_free(listeners: dict[str, Listen]) -> Found:
    taken = [(section, one) for section, one in listeners.items() if not _is_free(one)]
    if taken:
        raise ConfigError(
            f"not running, and {_ports(taken)} taken by another program",
            code="port-taken",
            remedy=f"`ss -ltnp 'sport = :{taken[0][1].port}'` names that program: stop it, or set another port below "
            f"{' and '.join(f'[{section}]' for section, _ in taken)} in gatehouse.toml.",
        )
    return "not running; its ports are free"


def _ports(taken: Sequence[tuple[str, Listen]]) -> str:
    numbers = " and ".join(str(one.port) for _, one in taken)
    return f"port {numbers} is" if len(taken) == 1 else f"ports {numbers} are"


def _is_free(listen: Listen) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in listen.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen.host, listen.port))
        except OSError:
            return False
    return True
