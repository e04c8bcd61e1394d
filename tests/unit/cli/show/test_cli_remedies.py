"""An error of the command line names the process, the file or the folder that is meant, and its remedy works."""

from __future__ import annotations

import fcntl
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from controller.authority.keys import load_key
from controller.cli.shared.client import SOCKET_NAME, OperatorClient, is_up, listener
from controller.settings.deployment import load_settings
from exchange.errors import ConfigError, DeadlineExceeded, Unreachable
from exchange.mexc.rest import VenueRefusal
from exchange.wire.errors import ErrorCode, WireError
from tests.support.cli_kit import Run, printed

HANGING = """
import socket, sys, time
taken = socket.socket(socket.AF_UNIX)
taken.bind(sys.argv[1])
taken.listen()
print(flush=True)
time.sleep(600)
"""


@contextmanager
def hanging(path: Path) -> Iterator[int]:
    """A process that takes connections at ``path`` and answers none; its id."""
    process = subprocess.Popen([sys.executable, "-c", HANGING, str(path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def test_a_controller_that_hangs_is_named_with_its_process(deployment: Path) -> None:
    with hanging(deployment / "var" / SOCKET_NAME) as pid:
        assert listener(deployment) == pid
        with pytest.raises(DeadlineExceeded) as caught, OperatorClient(deployment, answer_within_s=0.2) as client:
            client.status()
    assert caught.value.message == "the controller took the question /v1/status and gave no answer within 0.2 s"
    assert f"`kill -KILL {pid}`" in caught.value.remedy
    assert f"`gatehouse halt --dir {deployment}`" in caught.value.remedy


def test_ending_the_named_process_leaves_no_controller(deployment: Path) -> None:
    with hanging(deployment / "var" / SOCKET_NAME) as pid:
        assert is_up(deployment)
        os.kill(listener(deployment), 9)
        os.waitpid(pid, 0)
        assert not is_up(deployment)


def test_a_controller_that_starts_is_named_with_its_process(deployment: Path) -> None:
    with (deployment / "var" / "journal.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Unreachable) as caught:
            OperatorClient(deployment)
    assert caught.value.code == "not-answering"
    assert f"process {os.getpid()}, has its journal open" in caught.value.message
    assert f"`gatehouse doctor --dir {deployment}` says which venue it waits for" in caught.value.remedy


def test_a_socket_of_another_user_names_that_user(deployment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    (deployment / "var" / SOCKET_NAME).touch()
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(Unreachable, match="belongs to ") as caught:
        OperatorClient(deployment)
    owner = (deployment / "var" / SOCKET_NAME).owner()
    assert caught.value.remedy == f"Run the command as that user: `sudo -u {owner} gatehouse …`."


def test_a_wrong_folder_names_the_deployment_that_is_near(run: Run, tmp_path: Path) -> None:
    deployment = tmp_path / "mine"
    run("init", deployment, "--profile", "demo")
    missed = printed(run("status", "--dir", tmp_path, "-o", "json"), error=True)["error"]
    assert missed["code"] == "no-settings"
    assert f"add --dir {deployment} to the command" in missed["remedy"]
    inside = printed(run("status", "--dir", deployment / "keys", "-o", "json"), error=True)["error"]
    assert f"add --dir {deployment} to the command" in inside["remedy"]


def test_a_folder_without_a_deployment_near_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path)
    assert "`gatehouse init DIR --profile demo`" in caught.value.remedy


def test_the_remedys_command_prints_the_digest_that_init_leaves_empty(run: Run, tmp_path: Path) -> None:
    bot = tmp_path / "bot.py"
    bot.write_text("buy()")
    run("init", tmp_path / "new", "--profile", "solo", "--live-key", "mx0abc", "--watchdog-key", "mx0dog")
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path / "new")
    command = shlex.split(caught.value.remedy.split("`")[1].replace("BOT", str(bot)))
    settings = tmp_path / "new" / "gatehouse.toml"
    settings.write_text(settings.read_text().replace('artifact = ""', f'artifact = "{run(*command[1:]).stdout.strip()}"'))
    assert load_settings(tmp_path / "new").release.name == "bot"


def test_a_missing_key_lists_the_key_files_that_are_there(deployment: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_key(deployment / "keys" / "carol.key")
    assert caught.value.remedy == f"Key files there: {deployment}/keys/alice.key, {deployment}/keys/bob.key."


def test_a_key_with_a_passphrase_says_so_and_how_to_sign_with_it(tmp_path: Path) -> None:
    path = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(path)], check=True)
    with pytest.raises(ConfigError, match="has a passphrase") as caught:
        load_key(path)
    assert "`ssh-keygen -Y sign -n gatehouse-command@v1 -f KEY message`" in caught.value.remedy
    assert "`gatehouse approve command.json --attach message.sig`" in caught.value.remedy


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (ErrorCode.BAD_ACCESS_KEY, "it ended 90 days after it was made"),
        (ErrorCode.BAD_SIGNATURE, "The secret does not belong to the key"),
        (ErrorCode.OUTSIDE_RECV_WINDOW, "`timedatectl set-ntp true`"),
        (ErrorCode.IP_NOT_WHITELISTED, "Add this host's public address"),
        (ErrorCode.NO_PERMISSION, "Give the key the permissions"),
        (ErrorCode.TOO_MANY_REQUESTS, "Wait 10 s"),
        (ErrorCode.INVALID_SYMBOL, "error codes explains 30014"),
    ],
)
def test_a_refusal_of_the_venue_says_what_to_do_about_its_code(code: ErrorCode, says: str) -> None:
    assert says in VenueRefusal("GET /api/v3/account", WireError.of(code, "no")).remedy


def test_a_gate_that_is_not_next_says_where_it_is_judged(run: Run, deployment: Path) -> None:
    from tests.support.cli_kit import write_journal
    from tests.support.desk import Desk

    write_journal(Desk().arm(), deployment)
    refused = printed(run("explain", "live-ready", "--dir", deployment, "-o", "json"), error=True)["error"]
    assert refused["code"] == "not-decided"
    assert "advance from VALIDATED" in refused["remedy"]
