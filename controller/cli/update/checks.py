"""The checks of ``gatehouse update check``, in the order in which a start meets them. ``verb`` prints what they find.

Each check reads and none writes. One that cannot be made is a FAIL, because an unknown answer is no reason to change a version.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from controller.bootstrap.read import read_deployment
from controller.cli.doctor.result import CheckResult
from controller.cli.shared.output import duration
from controller.cli.update.folding import Folded, fold_deployment
from controller.cli.update.starting import Start, first_start
from controller.journal.verify import VerifyReport
from controller.settings.deployment import Settings, load_settings, require_signer
from controller.telemetry.redact import Redactor
from controller.version import VERSION
from exchange.errors import ConfigError, GatehouseError
from exchange.model import Millis
from policies.document import load_policy, looser_places
from policies.floors import Violation, violations
from policies.schema import Policy

_KEEP = "Keep the installed version running; nothing was changed."
_OLD = "Keep running the version that wrote the journal, or install that one or a later one."


@dataclass(slots=True)
class UpdateReport:
    """What was found. ``looser``: where the policy file is looser than the floors of this version. ``start`` is absent when it
    could not be decided.
    """

    rows: list[CheckResult] = field(default_factory=list)
    looser: tuple[Violation, ...] = ()
    folded: Folded | None = None
    verified: VerifyReport | None = None
    start: Start | None = None

    @property
    def ok(self) -> bool:
        """Whether this version can take the deployment over."""
        return bool(self.rows) and all(row.ok for row in self.rows)

    def good(self, name: str, found: str) -> None:
        """Add a row that passed."""
        self.rows.append(CheckResult(name, ok=True, found=found))

    def warn(self, name: str, found: str, fix: str) -> None:
        """Add a row that does not keep this version from starting."""
        self.rows.append(CheckResult(name, ok=True, found=found, fix=fix, warns=True))

    def bad(self, name: str, found: str, fix: str) -> None:
        """Add a row that keeps this version from starting."""
        self.rows.append(CheckResult(name, ok=False, found=found, fix=fix))


def look(directory: Path) -> UpdateReport:
    """Make every check that can be made on the deployment in ``directory``."""
    report = UpdateReport()
    settings = _settings(report, directory)
    if settings is None:
        return report
    _policy(report, directory / settings.policy)
    _journal(report, directory)
    _first_start(report, directory, settings)
    return report


def _settings(report: UpdateReport, directory: Path) -> Settings | None:
    try:
        settings = load_settings(directory)
        require_signer(settings)
    except ConfigError as error:
        report.bad("settings", error.message, f"{error.remedy} {_KEEP}")
        return None
    report.good("settings", f"gatehouse.toml is accepted for {settings.environment}")
    return settings


def _policy(report: UpdateReport, path: Path) -> None:
    """The policy file, with every place that the floors of this version do not allow."""
    try:
        source = path.read_bytes()
        report.looser = looser_places(source)
        for one in report.looser:
            where = f"{one.path} is {one.measured}, and the floor of this version is {one.bound}: {one.why}"
            report.bad("policy", where, f"Make {one.path} {one.bound} and sign it with the running version. {_KEEP}")
        if not report.looser:
            load_policy(source)
            report.good("policy", f"{path.name} has every field and is within the floors of {VERSION}")
    except OSError as error:
        report.bad("policy", f"{path} cannot be read: {error.strerror}", _KEEP)
    except ConfigError as error:
        report.bad("policy", error.message, f"{error.remedy} {_KEEP}")


def _journal(report: UpdateReport, directory: Path) -> None:
    try:
        folded, verified = fold_deployment(directory)
    except GatehouseError as error:
        report.bad("journal", error.message, error.remedy)
        return
    report.folded, report.verified = folded, verified
    if folded.problem is not None:
        what = f"entry {folded.at} cannot be read by {VERSION}: {folded.problem.message}"
        report.bad("journal", what, f"{_OLD} {_KEEP}")
    elif verified.first_problem is not None:
        what = f"{verified.first_problem.message} ({verified.entries} entries before it are good)"
        report.bad("journal", what, "Halt, and restore the journal from a verified backup before any change of version.")
    elif verified.missing:
        files = ", ".join(one.file for one in verified.missing)
        fix = f"Put the files into the folder `archive` beside journal.db, then check again. {_KEEP}"
        report.bad(
            "journal", f"not checked: another version folds every entry again, and these archives are not here: {files}", fix
        )
    else:
        report.good("journal", f"{verified.entries} entries are read and folded, the chain is whole, head {verified.head.hash}")
        _in_force(report, folded.reached.policy)


def _in_force(report: UpdateReport, policy: Policy | None) -> None:
    """The policy that a signature put in force may be older than the floors. It stays readable, and a new one must be stricter."""
    found = violations(policy) if policy is not None else ()
    if found:
        places = "; ".join(f"{one.path} is {one.measured}, and a new policy needs {one.bound}" for one in found)
        report.warn("policy in force", places, "It stays in force. Write the next policy within the floors, then sign it.")


def _first_start(report: UpdateReport, directory: Path, settings: Settings) -> None:
    folded = report.folded
    if folded is None or not all(row.ok for row in report.rows):
        report.bad("first start", "not decided, because of the rows above", "Correct what they name, then check again.")
        return
    try:
        if not (directory / settings.data).is_dir():
            raise ConfigError(
                f"{directory / settings.data} does not exist", code="no-data", remedy="Correct `data` in gatehouse.toml."
            )
        deployment = read_deployment(directory, Redactor())
        report.start = first_start(folded.reached, deployment.boot, Millis(time.time_ns() // 1_000_000))
    except GatehouseError as error:
        report.bad("first start", error.message, f"{error.remedy} {_KEEP}")
        return
    _consequences(report, report.start, folded.reached.gatehouse_version)


def _consequences(report: UpdateReport, start: Start, written_by: str) -> None:
    what = f"from {written_by or 'none'} to {VERSION}"
    if start.before == start.after and not start.lines:
        report.good("first start", f"{what}: the stage stays {start.after}")
    else:
        moved = f"{start.before} → {start.after}" if start.before != start.after else f"the stage stays {start.after}"
        cancelled = f"; {start.cancels} open orders are cancelled" if start.cancels else ""
        held = ", ".join(f"{amount.normalize():f} {asset}" for asset, amount in start.held.items())
        stays = f"; {held} stays at the venue" if held and start.before != start.after else ""
        report.warn("first start", f"{what}: {moved}{cancelled}{stays}. {' · '.join(start.lines)}".strip(), _before(start))
    if start.kept and not start.again_ms:
        report.good("validation", f"the run at {start.before} goes on; nothing is lost")
        return
    lost = f"the run at {start.before} begins anew: {duration(start.lost_ms)} of covered time is lost"
    again = f"; the validation that was passed is void, and needs {duration(start.again_ms)} again" if start.again_ms else ""
    report.warn("validation", lost + again, "Change the version between two validations, or accept the loss.")


def _before(start: Start) -> str:
    if start.held and start.before != start.after:
        return (
            "Sell what is held first, while the present stage allows it: `gatehouse flatten --key KEY --reason WHY`. Then stop, "
            "change the version and start."
        )
    return "Stop the controller, change the version and start; then sign the steps up again."
