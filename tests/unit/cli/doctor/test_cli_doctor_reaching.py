"""``gatehouse doctor`` on a venue that it does not reach: each cause has its own remedy."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from controller.cli.doctor import reaching
from controller.settings.deployment import load_settings
from exchange.errors import Unreachable
from exchange.ports import VenueName
from tests.support.certificates import issue, showing


def _asked(directory: Path, name: VenueName) -> Unreachable:
    settings = load_settings(directory)
    with pytest.raises(Unreachable) as refused:
        reaching.reach(name, settings.live if name is VenueName.LIVE else settings.testnet, directory, settings, {})
    return refused.value


def test_a_certificate_that_is_refused_is_not_called_a_broken_network(
    deployment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaching, "_LOOPBACK", ("https://127.0.0.1:",))
    with showing(issue(tmp_path, dt.timedelta(days=1))) as port:
        path = deployment / "gatehouse.toml"
        path.write_text(path.read_text().replace(load_settings(deployment).live.rest, f"https://127.0.0.1:{port}"))
        error = _asked(deployment, VenueName.LIVE)
    assert error.code == "certificate-refused"
    assert "self-signed certificate" in error.message
    assert "openssl s_client -connect 127.0.0.1:443" in error.remedy


def test_a_testnet_without_a_unit_is_started_by_its_verb(deployment: Path) -> None:
    assert "gatehouse testnet --port" in _asked(deployment, VenueName.TESTNET).remedy
