"""The controller's hold on a real signer process: it starts, it comes back, and it learns again who leads."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.bootstrap.signer import SignerProcess
from controller.cli.setup.deployment import DEFAULT_PORTS, write_deployment
from controller.runtime.loop.clock import SystemClock
from controller.runtime.loop.permit import PermitOffice
from controller.settings.deployment import SignerSettings, load_settings, read_exchange_secret
from controller.signer.protocol import Kind
from controller.signer.remote import RemoteSigner
from exchange.errors import GatehouseError, Refused, Unreachable
from exchange.ports import VenueName
from exchange.wire.signing import signature
from tests.support.memory import runs
from tests.unit.signer.signer_kit import buy, payload_of

EPOCH = 5
LEAD = ((Kind.LEAD, 0, b"%d" % EPOCH),)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    place = tmp_path / "desk"
    write_deployment(place, DEFAULT_PORTS)
    return place


@contextmanager
def started(directory: Path, alerts: list[str] | None = None, **settings: object) -> Iterator[SignerProcess]:
    process = SignerProcess(directory, SignerSettings(**settings), (alerts if alerts is not None else []).append)  # type: ignore[arg-type]
    process.start()
    try:
        yield process
    finally:
        process.close()


def until(work: Callable[[], str]) -> str:
    """The signature, as soon as the signer is back; a busy machine may take long to start a process."""
    for _ in range(1200):
        try:
            return work()
        except Refused as error:
            if error.code != "signer-silent":
                raise
            time.sleep(0.05)
    raise AssertionError("the signer did not come back")


def an_order(process: SignerProcess) -> Callable[[], str]:
    office = PermitOffice(SystemClock(), EPOCH)
    signer = RemoteSigner(process.link, VenueName.TESTNET, "mx0key")

    def sign() -> str:
        office.renew()
        return signer.sign_order(buy(), payload_of(buy()), office.current())

    return sign


def expected(directory: Path) -> str:
    return signature(read_exchange_secret(directory, load_settings(directory), VenueName.TESTNET), payload_of(buy()))


def test_a_killed_signer_comes_back_and_learns_again_who_leads(directory: Path) -> None:
    alerts: list[str] = []
    with started(directory, alerts) as process:
        process.inform(LEAD)
        sign, first = an_order(process), process.pid
        assert sign() == expected(directory)
        os.kill(first, signal.SIGKILL)
        assert until(sign) == expected(directory)
        assert process.pid not in {0, first}
        assert alerts
        second = process.pid
    assert not runs(second)


def test_a_signer_that_was_only_slow_is_kept(directory: Path) -> None:
    with started(directory, answer_within_ms=50) as process:
        process.inform(LEAD)
        sign, pid = an_order(process), process.pid
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(GatehouseError):
            sign()
        os.kill(pid, signal.SIGCONT)
        assert until(sign) == expected(directory)
        assert process.pid == pid


def test_a_signer_that_ends_while_it_is_told_again_is_replaced(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(directory, answer_within_ms=50) as process:
        process.inform(LEAD)
        sign, first, probe = an_order(process), process.pid, process.link.probe

        def killed_before_it_is_told(kind: Kind, venue: int, body: bytes, within_s: float) -> bytes:
            if kind is Kind.LEAD and process.pid == first:
                os.kill(first, signal.SIGKILL)
            return probe(kind, venue, body, within_s)

        monkeypatch.setattr(process.link, "probe", killed_before_it_is_told)
        process._wake_up()
        while process.pid == first and not process.link.down_because:
            time.sleep(0.01)
        assert until(sign) == expected(directory)
        assert process.pid != first


def test_a_killed_signer_that_cannot_end_is_replaced_too(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waitpid, stuck, forever = os.waitpid, set[int](), threading.Event()

    def waits(pid: int, options: int) -> tuple[int, int]:
        if pid in stuck:
            return (0, 0) if options & os.WNOHANG else (forever.wait(), (pid, 0))[1]
        return waitpid(pid, options)

    monkeypatch.setattr(os, "waitpid", waits)
    with started(directory) as process:
        process.inform(LEAD)
        sign, first = an_order(process), process.pid
        stuck.add(first)
        os.kill(first, signal.SIGKILL)
        assert until(sign) == expected(directory)
        assert process.pid != first
    waitpid(first, 0)


@pytest.mark.parametrize(
    "spoil", ["secrets/testnet.secret", "roster.toml"], ids=["a secret others can read", "a roster others can write"]
)
def test_a_signer_that_cannot_trust_its_files_does_not_start(directory: Path, spoil: str) -> None:
    (directory / spoil).chmod(0o666)
    process = SignerProcess(directory, SignerSettings(), print)
    with pytest.raises(Unreachable) as caught:
        process.start()
    assert caught.value.code == "signer-not-started"
    process.close()


def test_a_signer_of_another_user_is_connected_to_again_and_never_ended(directory: Path, tmp_path: Path) -> None:
    path = tmp_path / "signer.sock"

    def another() -> subprocess.Popen[bytes]:
        path.unlink(missing_ok=True)
        one = subprocess.Popen([sys.executable, "-m", "controller", "signer", "--dir", str(directory), "--socket", str(path)])
        while not path.exists():
            assert one.poll() is None
            time.sleep(0.05)
        return one

    running = another()
    with started(directory, socket=str(path)) as process:
        process.inform(LEAD)
        sign = an_order(process)
        assert sign() == expected(directory)
        assert path.stat().st_mode & 0o777 == 0o660
        running.kill()
        running.wait()
        running = another()
        assert until(sign) == expected(directory)
    assert running.poll() is None
    running.terminate()
    running.wait()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nothing_is_signed_when_nobody_supervises_the_signer(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: SignerProcess) -> bool:
        raise RuntimeError("nobody expected it")

    alerts: list[str] = []
    ended = threading.Event()
    monkeypatch.setattr(SignerProcess, "_answers", broken)
    with started(directory, alerts) as process:
        monkeypatch.setattr(process, "_on_trouble", lambda because: (alerts.append(because), ended.set()))
        process._wake_up()
        assert ended.wait(60)
        assert "restart the controller" in process.link.down_because
    assert alerts == ["the thread that supervises the signer has ended by an error; restart the controller"]


def test_code_where_the_controller_was_started_is_not_run_by_the_signer(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the exchange keys, and a bot's directory may have any module in it."""
    for name in ("controller", "json", "random"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)
    with started(directory) as process:
        process.inform(LEAD)
        assert until(an_order(process)) == expected(directory)
