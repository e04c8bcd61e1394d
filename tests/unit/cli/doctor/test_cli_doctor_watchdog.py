"""``gatehouse doctor`` on the dead man's switch."""

from pathlib import Path

from tests.support.cli_kit import Run, printed


def row(run: Run, deployment: Path) -> dict[str, str]:
    rows = printed(run("doctor", "--dir", deployment, "-o", "json"))
    return next(one for one in rows if one["check"] == "watchdog")


def test_a_new_deployment_has_a_watchdog(run: Run, deployment: Path) -> None:
    assert (row(run, deployment)["verdict"], row(run, deployment)["found"]) == ("PASS", "on this host, lease 30 s")


def test_a_deployment_without_a_watchdog_is_warned(run: Run, deployment: Path) -> None:
    settings = deployment / "gatehouse.toml"
    settings.write_text(settings.read_text().replace("[watchdog]\nenabled = true", "[watchdog]\nenabled = false"))
    assert row(run, deployment)["verdict"] == "WARN"
