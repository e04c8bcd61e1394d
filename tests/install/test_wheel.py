"""The wheel, in an environment that has no checkout: the command line, the demo's files and a new deployment are in it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from ops.deb.locked import runtime_lock
from ops.deb.tree import PYTHON_WITH_PIP, own_wheel
from tests.support.tidiness import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of a fresh environment: the wheel, and the dependencies of this one."""
    place = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    python = place / "bin" / "python"
    pip = [PYTHON_WITH_PIP, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", wheel]
    subprocess.run(pip, check=True, env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    site = next((place / "lib").glob("python*/site-packages"))
    # A plain line adds a folder without the editable install that is in it.
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return place / "bin" / "gatehouse"


def ran(program: Path, *arguments: str, cwd: Path) -> str:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "COLUMNS": "200"}
    done = subprocess.run([program, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_installed_command_says_what_it_is(installed: Path, tmp_path: Path) -> None:
    said = ran(installed, "version", cwd=tmp_path)
    assert said.startswith("gatehouse 0.1.0, Python 3.")
    assert str(ROOT) not in said


def test_the_installed_command_has_the_demo(installed: Path, tmp_path: Path) -> None:
    assert "sample bot" in ran(installed, "demo", "--help", cwd=tmp_path)
    ran(installed, "init", "new", "--profile", "demo", cwd=tmp_path)
    assert (tmp_path / "new" / "gatehouse.toml").is_file()


def test_two_wheels_of_one_tree_are_equal(wheel: Path, tmp_path: Path) -> None:
    assert own_wheel(tmp_path).read_bytes() == wheel.read_bytes()


def test_the_wheel_has_every_file_that_the_product_opens(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    wanted = [path for top in ("controller", "exchange", "gates", "policies") for path in (ROOT / top).rglob("*") if path.is_file()]
    names = {str(path.relative_to(ROOT)) for path in wanted if "__pycache__" not in path.parts}
    assert names - packed == set()


def test_a_server_gets_no_tool_of_developers() -> None:
    lock = runtime_lock(ROOT)
    assert "\nnumpy==" in lock
    assert "--hash=sha256:" in lock
    assert not [name for name in ("pytest", "ruff", "mypy", "hypothesis", "playwright") if f"\n{name}==" in lock]
