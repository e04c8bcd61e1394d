"""``gatehouse doctor`` says when the certificate of a checkpoint target's server ends, and what is wrong with it."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

import pytest

from controller.cli.doctor import certificates
from controller.cli.doctor.certificates import check_authorities, check_remote_console, check_server, judge, read_file, require_key
from controller.cli.doctor.result import Warned
from controller.settings.console import RemoteConsoleSettings
from exchange.errors import ConfigError, Unreachable
from exchange.model import Millis
from tests.support.certificates import DAY, Issued, issue, showing
from tests.support.cli_kit import Run, printed

HOUR = dt.timedelta(hours=1)


def now() -> Millis:
    return Millis(int(dt.datetime.now(dt.UTC).timestamp() * 1000))


def judged(issued: Issued) -> str | Warned:
    return judge(issued.parsed, now(), what="nothing works", renew="Renew it.")


def test_a_certificate_with_60_days_left_passes_with_the_number(tmp_path: Path) -> None:
    found = judged(issue(tmp_path, 60 * DAY + HOUR))
    assert isinstance(found, str)
    assert found.startswith("good for 60 days, until ")
    assert found.endswith("for 127.0.0.1")


def test_a_certificate_that_ends_in_20_hours_warns(tmp_path: Path) -> None:
    found = judged(issue(tmp_path, 20.5 * HOUR))
    assert isinstance(found, Warned)
    assert found.found.startswith("the certificate ends in 20 hours, on ")
    assert found.found.endswith("and then nothing works")
    assert found.fix == "Renew it."


@pytest.mark.parametrize(("left_days", "warns"), [(2, False), (1, True)])
def test_a_certificate_of_six_days_warns_in_its_last_quarter(tmp_path: Path, left_days: int, warns: bool) -> None:
    found = judged(issue(tmp_path, left_days * DAY, began=(6 - left_days) * DAY))
    assert isinstance(found, Warned) is warns


def test_a_certificate_that_has_ended_fails_with_how_long_ago(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ended 3 days ago") as failed:
        judged(issue(tmp_path, -3 * DAY - HOUR))
    assert failed.value.code == "certificate-ended"


def test_a_certificate_that_has_not_begun_fails(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"begins on .*, in 1 day|in 47 hours"):
        judged(issue(tmp_path, 60 * DAY, began=-2 * DAY))


def trusting(monkeypatch: pytest.MonkeyPatch, issued: Issued) -> None:
    """As on a machine whose system trusts the authority."""
    context = ssl.create_default_context(cafile=str(issued.certificate))
    monkeypatch.setattr(certificates, "tls_context", lambda: context)


def test_a_target_whose_certificate_is_accepted_shows_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = issue(tmp_path, 60 * DAY + HOUR)
    trusting(monkeypatch, issued)
    with showing(issued) as port:
        assert "good for 60 days" in str(check_server(f"https://127.0.0.1:{port}/hook", now()))


def test_a_target_whose_certificate_has_ended_fails_for_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = issue(tmp_path, -2 * DAY - HOUR)
    trusting(monkeypatch, issued)
    with showing(issued) as port, pytest.raises(ConfigError, match="ended 2 days ago") as failed:
        check_server(f"https://127.0.0.1:{port}/hook", now())
    assert "Renew the certificate on 127.0.0.1" in failed.value.remedy


def test_a_target_with_a_certificate_for_another_address_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = issue(tmp_path, 60 * DAY, host="127.0.0.9")
    trusting(monkeypatch, issued)
    with showing(issued) as port, pytest.raises(ConfigError, match=r"it is for 127\.0\.0\.9") as failed:
        check_server(f"https://127.0.0.1:{port}/hook", now())
    assert failed.value.code == "certificate-refused"


def test_a_target_with_a_certificate_that_nobody_vouches_for_fails(tmp_path: Path) -> None:
    with showing(issue(tmp_path, 60 * DAY)) as port, pytest.raises(ConfigError, match="self-signed") as failed:
        check_server(f"https://127.0.0.1:{port}/hook", now())
    assert "update-ca-certificates" in failed.value.remedy


def test_a_target_that_does_not_answer_fails(tmp_path: Path) -> None:
    with showing(None) as port:
        pass
    with pytest.raises(Unreachable, match="does not show a certificate"):
        check_server(f"https://127.0.0.1:{port}/hook", now())


def test_a_refused_certificate_is_one_failure_of_the_report(run: Run, deployment: Path, tmp_path: Path) -> None:
    with showing(issue(tmp_path, -DAY)) as port:
        path = deployment / "gatehouse.toml"
        table = f'[[checkpoints]]\nto = "webhook"\nname = "desk"\nurl = "https://127.0.0.1:{port}/hook"\n'
        path.write_text(f"{path.read_text()}\n{table}")
        rows = {row["check"]: row for row in printed(run("doctor", "--dir", deployment, "-o", "json"))}
    assert rows["certificate of webhook desk"]["verdict"] == "FAIL"
    assert rows["after certificate of webhook desk"]["found"] == "not checked: checkpoints"


def test_an_authority_that_ended_beside_its_successor_is_left_alone(tmp_path: Path) -> None:
    both = tmp_path / "both.crt"
    old, new = issue(tmp_path, -DAY, name="old"), issue(tmp_path, 60 * DAY + HOUR, name="new")
    both.write_bytes(old.certificate.read_bytes() + new.certificate.read_bytes())
    assert "good for 60 days" in str(check_authorities(both, now()))
    with pytest.raises(ConfigError, match="ended"):
        check_authorities(old.certificate, now())


@pytest.mark.parametrize("content", [None, b"no certificate"], ids=["missing", "something else"])
def test_a_certificate_file_that_cannot_be_read_fails(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "root.crt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"root\.crt, the root, cannot be read"):
        read_file(path, "the root")


def test_a_key_file_is_private_and_of_its_certificate(tmp_path: Path) -> None:
    own, other = issue(tmp_path, DAY), issue(tmp_path, DAY, name="other")
    require_key(own.key, own.parsed)
    with pytest.raises(ConfigError, match="is not the key of its certificate"):
        require_key(other.key, own.parsed)
    own.key.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        require_key(own.key, own.parsed)
    own.key.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        require_key(own.key, own.parsed)


def remote(certificate: Path, key: Path) -> RemoteConsoleSettings:
    return RemoteConsoleSettings(host="127.0.0.1", port=0, names=("desk.example",), certificate=str(certificate), key=str(key))


def test_the_certificate_of_the_remote_console_shows_its_end(tmp_path: Path) -> None:
    issued = issue(tmp_path, 60 * DAY + HOUR)
    found = check_remote_console(tmp_path, remote(issued.certificate, issued.key), now())
    assert isinstance(found, str)
    assert found.startswith("good for 60 days")


def test_the_remote_console_without_its_key_fails(tmp_path: Path) -> None:
    issued, other = issue(tmp_path, 60 * DAY), issue(tmp_path, 60 * DAY, name="other")
    with pytest.raises(ConfigError) as failed:
        check_remote_console(tmp_path, remote(issued.certificate, other.key), now())
    assert failed.value.code == "console-tls"


def test_doctor_looks_at_the_certificate_of_the_remote_console(tmp_path: Path, run: Run) -> None:
    issued = issue(tmp_path, -DAY)
    assert run("init", tmp_path / "desk", "--profile", "demo").exit_code == 0
    table = '\n[console.remote]\nhost = "127.0.0.1"\nport = 8702\nnames = ["desk.example"]\ncertificate = "{}"\nkey = "{}"\n'
    with (tmp_path / "desk" / "gatehouse.toml").open("a") as settings:
        settings.write(table.format(issued.certificate, issued.key))
    rows = printed(run("doctor", "--dir", tmp_path / "desk", "-o", "json"))
    (row,) = [row for row in rows if row["check"] == "certificate of the remote console"]
    assert row["ok"] is False
    assert "browsers refuse the remote console" in row["found"]
