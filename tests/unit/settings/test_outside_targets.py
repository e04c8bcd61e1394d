"""Which checkpoint targets count as outside the folder, and where this user keeps state outside every folder."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from controller.authority.keys import generate_key
from controller.bootstrap.checkpoint_targets import TargetContext, open_targets
from controller.journal.cosignature import cosigner_key
from controller.settings.checkpoints import BucketSettings, CheckpointSettings, DirectorySettings, GitSettings, WitnessSettings
from controller.settings.deployment import Settings
from controller.settings.outside import outside_targets
from controller.settings.state_directory import state_directory
from exchange.model import Millis

COSIGNER = cosigner_key("witness.example", generate_key())
ONE: TypeAdapter[CheckpointSettings] = TypeAdapter(CheckpointSettings)
BUCKET = {"endpoint": "https://s3.example", "bucket": "desk-checkpoints", "access_key": "A", "secret_file": "s"}


def settings(data: str, *checkpoints: dict[str, object], witnesses: tuple[str, ...] = ()) -> Settings:
    listed = tuple(ONE.validate_python({"name": "one", **target}) for target in checkpoints)
    return Settings.model_construct(data=data, witnesses=witnesses, checkpoints=listed)


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ({"to": "directory", "path": "/mnt/nas"}, ("directory /mnt/nas",)),
        ({"to": "directory", "path": "../elsewhere"}, ("directory {desk}/../elsewhere",)),
        ({"to": "directory", "path": "inside"}, ()),
        ({"to": "directory", "path": "../desk/inside"}, ()),
        ({"to": "directory", "path": "."}, ()),
        ({"to": "directory", "path": "link"}, ()),
        ({"to": "directory", "path": "../state/kept"}, ()),
        ({"to": "git", "remote": "ssh://git@example.com/desk.git"}, ("git remote one",)),
        ({"to": "git", "remote": "git@example.com:desk.git"}, ("git remote one",)),
        ({"to": "git", "remote": "../backup.git"}, ("git remote one",)),
        ({"to": "git", "remote": "backup.git"}, ()),
        ({"to": "webhook", "url": "https://example.com/hook"}, ()),
        ({"to": "witness", "url": "https://example.com", "key": "k"}, ("witness one",)),
        ({"to": "bucket", **BUCKET}, ("bucket one",)),
    ],
)
def test_a_target_is_outside_when_the_folder_does_not_hold_it(
    tmp_path: Path, target: dict[str, object], named: tuple[str, ...]
) -> None:
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "link").symlink_to(folder / "var")
    found = outside_targets(folder, settings("../state", target))
    assert found == tuple(name.format(desk=folder) for name in named)


def test_a_target_answers_under_the_name_by_which_it_is_outside(tmp_path: Path) -> None:
    """Otherwise a checkpoint of that target would never count as one outside the folder."""
    listed = (
        DirectorySettings(to="directory", name="disk", path="/mnt/nas"),
        GitSettings(to="git", name="repo", remote="git@example.com:desk.git"),
        BucketSettings.model_validate({"to": "bucket", "name": "locked", **BUCKET}),
        WitnessSettings(to="witness", name="near", url="https://example.com", key=COSIGNER.text),
    )
    context = TargetContext(tmp_path, tmp_path, "desk", COSIGNER, lambda _: "secret", lambda: Millis(0), loopback=True)
    opened = open_targets((), listed, context)
    made = Settings.model_construct(data="var", witnesses=(), checkpoints=listed)
    assert outside_targets(tmp_path, made) == tuple(target.name for target in opened)


def test_a_git_remote_that_is_a_path_is_a_folder_too(tmp_path: Path) -> None:
    remotes = (
        {"to": "git", "remote": f"file://{tmp_path}/desk/backup.git"},
        {"to": "git", "remote": f"{tmp_path}/desk/backup.git"},
    )
    assert outside_targets(tmp_path / "desk", settings("var", *remotes)) == ()


def test_witnesses_are_directories_by_their_path(tmp_path: Path) -> None:
    found = outside_targets(tmp_path / "desk", settings("var", witnesses=("var/copies", "/mnt/nas")))
    assert found == ("directory /mnt/nas",)


def test_state_is_kept_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_directory() == tmp_path / "gatehouse"


@pytest.mark.parametrize("named", ["", "relative"])
def test_state_is_kept_in_the_home_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", named)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_directory() == tmp_path / ".local" / "state" / "gatehouse"


def test_without_a_home_there_is_no_such_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "missing"))
    assert state_directory() is None


def test_a_home_that_this_user_cannot_enter_holds_no_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("controller.settings.state_directory.os.access", lambda *_: False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert state_directory() is None
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_directory() is None


def test_a_named_place_that_is_no_directory_holds_no_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    assert state_directory() is None
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "to-come"))
    assert state_directory() == tmp_path / "to-come" / "gatehouse"
