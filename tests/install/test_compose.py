"""The compose file: every file that it mounts is here, nothing runs as root with powers, and every image has a version."""

from __future__ import annotations

import re

from ops.deb.version import VERSION
from ops.image.__main__ import USER
from tests.support.tidiness import ROOT

FILE = ROOT / "ops/compose/docker-compose.yml"
TEXT = FILE.read_text(encoding="utf-8")


def test_every_file_that_is_mounted_is_here() -> None:
    mounted = re.findall(r"^ +- (\.\./[^:]+):", TEXT, re.MULTILINE)
    assert len(mounted) == 5
    assert [name for name in mounted if not (FILE.parent / name).exists()] == []


def test_every_image_has_a_version() -> None:
    images = re.findall(r"image: (\S+)", TEXT)
    assert f"gatehouse:{VERSION}" in images
    assert len(images) == 4
    assert all(re.search(r":v?\d+\.\d+\.\d+$", image) for image in images)


def test_gatehouse_runs_as_the_images_user_on_a_read_only_root() -> None:
    common = TEXT.partition("x-gatehouse:")[2].partition("\nservices:")[0]
    assert f'user: "{USER}:{USER}"' in common
    assert {"read_only: true", "cap_drop: [ALL]", "network_mode: host"} <= {line.strip() for line in common.splitlines()}


def test_the_watchdog_has_a_container_of_its_own() -> None:
    services = re.findall(r"^  ([a-z]+):$", TEXT.partition("\nservices:")[2].partition("\nvolumes:")[0], re.MULTILINE)
    assert services == ["gatehouse", "watchdog", "prometheus", "grafana", "collector"]
