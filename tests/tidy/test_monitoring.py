"""Alerts and dashboards name metrics that exist, every alert is played, and a board asks for what is true now."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.telemetry.instruments import INSTRUMENTS, Kind
from tests.support.proofs import long_form
from tests.support.tidiness import ROOT

PROMETHEUS = ROOT / "ops" / "prometheus"
RULES = (PROMETHEUS / "gatehouse.rules.yml").read_text(encoding="utf-8")
PLAYED = (PROMETHEUS / "gatehouse.test.yml").read_text(encoding="utf-8")
DASHBOARDS = sorted((ROOT / "ops" / "grafana" / "dashboards").glob("*.json"))
METRIC = re.compile(r"\bgatehouse_\w+\b")
EXPRESSION = re.compile(r"expr: (.*\n(?: {10}.*\n)*)")
LABELS = {f"gatehouse_{label}" for one in INSTRUMENTS for label in one.labels} - {one.prometheus_name for one in INSTRUMENTS}


def series_names() -> set[str]:
    """Every name that a series can have in Prometheus."""
    names = {one.prometheus_name for one in INSTRUMENTS if one.kind is not Kind.HISTOGRAM}
    durations = [one.prometheus_name for one in INSTRUMENTS if one.kind is Kind.HISTOGRAM]
    return names | {f"{name}_{part}" for name in durations for part in ("bucket", "count", "sum")}


def queries(path: Path) -> Iterator[str]:
    """Every query of a dashboard, of its panels and its variables."""
    board = json.loads(path.read_text(encoding="utf-8"))
    yield from (target["expr"] for panel in board["panels"] for target in panel["targets"])
    yield from (variable["query"] for variable in board["templating"]["list"] if variable["type"] == "query")


def metrics_in(query: str) -> set[str]:
    return set(METRIC.findall(query)) - LABELS


def test_alerts_name_metrics_that_exist() -> None:
    expressions = EXPRESSION.findall(RULES)
    assert len(expressions) == RULES.count("- alert: ")
    assert set().union(*map(metrics_in, expressions)) <= series_names()


def test_every_alert_is_played() -> None:
    assert re.findall(r"- alert: (\w+)", RULES) == re.findall(r"- name: (\w+)", PLAYED)


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    for alert in re.split(r"- alert: ", RULES)[1:]:
        assert all(part in alert for part in ("severity: ", "summary: ", "action: ")), alert


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_names_metrics_that_exist(path: Path) -> None:
    for query in queries(path):
        found = metrics_in(query)
        assert found <= series_names(), query
        assert found or "up{" in query or "target_info{" in query, query


def test_the_three_dashboards_are_there() -> None:
    assert [path.stem for path in DASHBOARDS] == ["deployment", "fleet", "venue"]


@pytest.mark.parametrize("name", ["deployment", "fleet"])
def test_a_board_shows_a_halt_and_a_missing_answer(name: str) -> None:
    path = next(path for path in DASHBOARDS if path.stem == name)
    assert any("gatehouse_halted" in query and query.endswith("or vector(-1)") for query in queries(path))


def test_a_panel_of_now_asks_for_now() -> None:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            assert all(target["instant"] is (panel["type"] == "stat") for target in panel["targets"]), panel["title"]


@long_form(short="test_every_alert_is_played")
def test_promtool_plays_the_alerts() -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing: `make tools TOOLS=promtool:prometheus` installs it as root"
    for arguments in ("check config prometheus.yml", "check rules gatehouse.rules.yml", "test rules gatehouse.test.yml"):
        command = [promtool, *arguments.split()]
        done = subprocess.run(command, check=False, cwd=PROMETHEUS, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
