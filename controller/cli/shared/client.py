"""The operator API as the command line calls it, over the deployment's unix socket (architecture.md §10). Most verbs use it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from pwd import getpwuid
from types import TracebackType
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from controller.cli.shared.http import Answer, JsonClient
from controller.cli.shared.instance import start_command
from controller.console.schema import (
    BalanceView,
    EntryView,
    ErrorView,
    FillView,
    GateView,
    HaltRequest,
    OrderView,
    ProposalView,
    ProposeRequest,
    ReceiptView,
    SeriesView,
    StatusView,
)
from controller.settings.deployment import load_settings
from exchange.errors import (
    DeadlineExceeded,
    GatehouseError,
    Halted,
    IntegrityError,
    Refused,
    Unauthorised,
    Unreachable,
    UsageError,
)

SOCKET_NAME = "gatehouse.sock"

_T = TypeVar("_T")
_BY_EXIT_CODE: dict[int, type[GatehouseError]] = {
    kind.exit_code: kind for kind in (UsageError, Refused, Unauthorised, Halted, Unreachable, DeadlineExceeded)
}


def data_directory(directory: Path) -> Path:
    """Where a deployment keeps its journal and its socket. Raises ``ConfigError`` when ``directory`` is no deployment."""
    return directory / load_settings(directory).data


class OperatorClient:
    """One running controller. Raises ``Unreachable`` when it is not running, and the error the controller answered otherwise."""

    def __init__(self, directory: Path, *, answer_within_s: float | None = None) -> None:
        settings = load_settings(directory)
        path = directory / settings.data / SOCKET_NAME
        remedy = f"Start the controller with `{start_command(directory, settings)}`, or pass the right --dir."
        pid = _require_listener(path, directory, remedy)
        known = f"process {pid}" if pid else "a process"
        self._http = JsonClient(
            "the controller",
            base="http://gatehouse",
            remedy=remedy,
            socket=path,
            answer_within_s=answer_within_s,
            remedy_if_silent=f"It is up, as {known}, so do not start another. Run `gatehouse halt --dir {directory}`. If it "
            f"still does "
            f"not answer, end it with `kill -KILL {pid or 'PID'}` and start it again: that start is HALTED and cancels what "
            f"is open "
            "(ops/docs/runbooks/controller-hung.md).",
        )

    def __enter__(self) -> OperatorClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.close()

    def status(self) -> StatusView:
        """The deployment now."""
        return self._get(StatusView, "/v1/status")

    def gates(self) -> list[GateView]:
        """The gates of the next steps up, evaluated now."""
        return self._get(list[GateView], "/v1/gates")

    def orders(self, limit: int) -> list[OrderView]:
        """The latest orders, newest first."""
        return self._get(list[OrderView], "/v1/orders", {"limit": limit})

    def fills(self, limit: int) -> list[FillView]:
        """The latest fills, newest first."""
        return self._get(list[FillView], "/v1/fills", {"limit": limit})

    def balances(self) -> list[BalanceView]:
        """The balances of every venue."""
        return self._get(list[BalanceView], "/v1/balances")

    def series(self, after: int = 0) -> SeriesView:
        """Equity and exposure over time."""
        return self._get(SeriesView, "/v1/series", {"after": after})

    def journal(self, after: int, limit: int) -> list[EntryView]:
        """Entries after a sequence number, oldest first."""
        return self._get(list[EntryView], "/v1/journal", {"after": after, "limit": limit})

    def propose(self, request: ProposeRequest) -> ProposalView:
        """The payload of a command, to be signed."""
        return _parse(ProposalView, self._http.post("/v1/propose", request.model_dump(mode="json", exclude_none=True)))

    def submit(self, envelope: str) -> ReceiptView:
        """Submit a signed command; its bytes are sent unchanged."""
        return _parse(ReceiptView, self._http.post_text("/v1/commands", envelope))

    def halt(self, reason: str) -> ReceiptView:
        """Halt now. Access to the socket is the authorisation; no signature is needed."""
        return _parse(ReceiptView, self._http.post("/v1/halt", HaltRequest(reason=reason).model_dump(mode="json")))

    def _get(self, shape: type[_T], path: str, params: Mapping[str, str | int] | None = None) -> _T:
        return _parse(shape, self._http.get(path, params))


def is_up(directory: Path) -> bool:
    """Whether a controller of this deployment is there: its socket answers, or it holds its journal, as while it starts."""
    path = data_directory(directory) / SOCKET_NAME
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except PermissionError:
            return True
        except OSError:
            return bool(_writes_its_journal(path.parent))
    return True


def listener(directory: Path) -> int:
    """The process that serves the deployment's socket, also while it hangs; 0 when nobody does."""
    try:
        return _require_listener(data_directory(directory) / SOCKET_NAME, directory, "")
    except Unreachable:
        return 0


def _require_listener(path: Path, directory: Path, remedy: str) -> int:
    """Connect once, and return the process that listens: a missing or stale socket means that the controller does not run."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except PermissionError:
            raise Unreachable(
                f"the socket {path} belongs to {_owner(path)}, and only that user may use it",
                code="not-permitted",
                remedy=f"Run the command as that user: `sudo -u {_owner(path)} gatehouse …`.",
            ) from None
        except OSError as error:
            because = f"nothing answers at {path} ({error.strerror or error})"
            if pid := _writes_its_journal(path.parent):
                raise Unreachable(
                    f"the controller, process {pid}, has its journal open, but {because}: it is starting, waits for a venue, "
                    f"or hangs",
                    code="not-answering",
                    remedy=f"Do not start another. `gatehouse doctor --dir {directory}` says which venue it waits for. If "
                    f"every venue "
                    f"answers and this lasts longer than a minute, end it with `kill {pid}` and start it again.",
                ) from None
            raise Unreachable(f"the controller is not running: {because}", code="not-running", remedy=remedy) from None
        pid, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        return int(pid)


def _owner(path: Path) -> str:
    try:
        return getpwuid(path.lstat().st_uid).pw_name
    except (OSError, KeyError):
        return "another user"


def _writes_its_journal(data: Path) -> int:
    """The process of this machine that holds the journal's lock, or 0: Linux lists it, so nothing is locked to find out."""
    try:
        inode = (data / "journal.db.lock").stat().st_ino
        held = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    locks = (line.split() for line in held)
    return next((int(lock[4]) for lock in locks if lock[1] == "FLOCK" and lock[5].rpartition(":")[2] == str(inode)), 0)


def _parse(shape: type[_T], answer: Answer) -> _T:
    if not answer.ok:
        raise _error(answer)
    try:
        return TypeAdapter(shape).validate_python(answer.body)
    except ValidationError as error:
        raise _foreign(f"its answer does not parse at {error.errors()[0]['loc']}") from None


def _error(answer: Answer) -> GatehouseError:
    try:
        view = ErrorView.model_validate(answer.body)
    except ValidationError:
        return _foreign(f"it answered HTTP {answer.status} without an error body")
    detail = view.error
    kind = _BY_EXIT_CODE.get(detail.exit_code, IntegrityError)
    error = kind(detail.message, code=detail.code, remedy=detail.remedy)
    return AnsweredWithGate(error, view.gate) if view.gate is not None and kind is Refused else error


class AnsweredWithGate(Refused):
    """A refusal with the result of the gate that refused."""

    def __init__(self, error: GatehouseError, gate: GateView) -> None:
        super().__init__(error.message, code=error.code, remedy=error.remedy)
        self.gate = gate


def _foreign(why: str) -> Unreachable:
    return Unreachable(
        f"the controller and this command line do not match: {why}",
        code="foreign-controller",
        remedy="Run the command with the same gatehouse version as the controller.",
    )
