"""The digest of a bot: what changes it, what it refuses, and that the commands in the document give the same."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.settings.artifact import artifact_digest
from exchange.errors import ConfigError
from tests.support.rig import ROOT


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    """A bot's directory with one of everything."""
    bot = tmp_path / "bot"
    for name, content in (("main.py", "buy()"), ("lib/a b.py", "x = 1"), ("lib-2/z.py", ""), ("Ä/ö.txt", "ü"), ("-n", "")):
        (bot / name).parent.mkdir(parents=True, exist_ok=True)
        (bot / name).write_text(content, encoding="utf-8")
    (bot / "run.sh").write_text("exec python main.py")
    (bot / "run.sh").chmod(0o755)
    (bot / "latest").symlink_to("lib/a b.py")
    (bot / "libs").symlink_to("lib")
    (bot / "empty").mkdir()
    for left_out in (".git/HEAD", "lib/__pycache__/a.pyc"):
        (bot / left_out).parent.mkdir()
        (bot / left_out).write_text("x")
    return bot


def test_a_file_has_the_digest_of_its_content(bot: Path) -> None:
    assert artifact_digest(bot / "main.py") == "sha256:" + hashlib.sha256(b"buy()").hexdigest()


def test_the_commands_in_the_document_give_the_same_digest(bot: Path) -> None:
    script = re.search(r"```bash\n(.*?)```", (ROOT / "ops" / "docs" / "release.md").read_text(encoding="utf-8"), re.DOTALL)
    assert script is not None
    command = script[1].replace("cd BOT", f"cd {bot}")
    printed = subprocess.run(["bash", "-euc", command], capture_output=True, text=True, check=True).stdout
    assert artifact_digest(bot) == f"sha256:{printed.split()[0]}"


CHANGES: dict[str, Callable[[Path], object]] = {
    "a content": lambda bot: (bot / "lib-2" / "z.py").write_text("y"),
    "a name": lambda bot: (bot / "main.py").rename(bot / "main2.py"),
    "a place": lambda bot: (bot / "lib" / "a b.py").rename(bot / "a b.py"),
    "a new file": lambda bot: (bot / "empty" / "new").touch(),
    "a missing file": lambda bot: (bot / "-n").unlink(),
    "a mode": lambda bot: (bot / "main.py").chmod(0o744),
    "a link that leads elsewhere": lambda bot: ((bot / "latest").unlink(), (bot / "latest").symlink_to("main.py")),
    "a copy in the place of a link": lambda bot: ((bot / "latest").unlink(), (bot / "latest").write_text("x = 1")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_run_changes_the_digest(bot: Path, change: Callable[[Path], object]) -> None:
    before = artifact_digest(bot)
    change(bot)
    assert artifact_digest(bot) != before


SAME: dict[str, Callable[[Path], object]] = {
    "times": lambda bot: os.utime(bot / "main.py", (1, 1)),
    "the modes of others": lambda bot: (bot / "main.py").chmod(0o600),
    "what git keeps": lambda bot: (bot / ".git" / "HEAD").write_text("y"),
    "what Python compiles": lambda bot: (bot / "lib" / "__pycache__" / "b.pyc").touch(),
    "an empty directory": lambda bot: (bot / "empty").rmdir(),
    "the directory's own place": lambda bot: None,
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_what_is_not_run_does_not(bot: Path, change: Callable[[Path], object]) -> None:
    before = artifact_digest(bot)
    change(bot)
    moved = bot.rename(bot.with_name("moved"))
    assert artifact_digest(moved) == before


NOT_COVERED: dict[str, Callable[[Path], object]] = {
    "a link out of it": lambda bot: (bot / "out").symlink_to("/etc/hosts"),
    "a link up and out": lambda bot: (bot / "lib" / "out").symlink_to("../../other"),
    "a link to what is left out": lambda bot: (bot / "hook").symlink_to(".git/HEAD"),
    "a pipe": lambda bot: os.mkfifo(bot / "pipe"),
    "a line break": lambda bot: (bot / "a\nb").touch(),
}


@pytest.mark.parametrize("change", NOT_COVERED.values(), ids=NOT_COVERED)
def test_what_a_digest_cannot_vouch_for_is_refused(bot: Path, change: Callable[[Path], object]) -> None:
    change(bot)
    with pytest.raises(ConfigError) as refused:
        artifact_digest(bot)
    assert refused.value.code == "artifact-not-covered"


def test_nothing_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="it holds no file"):
        artifact_digest(tmp_path)
    with pytest.raises(ConfigError, match="missing cannot be read: No such file"):
        artifact_digest(tmp_path / "missing")
