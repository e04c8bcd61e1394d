"""Every released version's journal, settings and policy are read by this version, and what a newer one wrote is refused whole."""

from __future__ import annotations

import gzip
import json
import shutil
from hashlib import sha256
from pathlib import Path

import apsw
import pytest

from controller.authority.roster import load_roster
from controller.cli.update.checks import look
from controller.cli.update.folding import fold_deployment
from controller.core import event_codec
from controller.core import events as e
from controller.journal.chain import Record
from controller.journal.sqlite import open_journal
from controller.settings.deployment import load_settings
from controller.version import VERSION
from exchange.model import Millis
from policies.document import canonical_bytes, digest, looser_places, parse_journalled
from tests.support.kept_journals import FILES, KEPT

VERSIONS = sorted(path.name for path in KEPT.iterdir() if path.is_dir())
LATER = Millis(1_900_000_000_000)


def kept(version: str, directory: Path) -> Path:
    """The deployment that ``version`` left, in ``directory``, with made-up secrets."""
    for name in FILES:
        shutil.copy(KEPT / version / name, directory / name)
    (directory / "var").mkdir(mode=0o700)
    (directory / "var" / "journal.db").write_bytes(gzip.decompress((KEPT / version / "journal.db.gz").read_bytes()))
    settings = load_settings(directory)
    for name in (settings.testnet.secret_file, settings.live.secret_file, *(bot.secret_file for bot in settings.bots)):
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("made-up\n")
        path.chmod(0o600)
    return directory


def test_the_present_version_keeps_its_journal() -> None:
    assert VERSION in VERSIONS, "run: python -m tests.support.kept_journals"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_kept_journal_verifies_and_folds_to_its_end(version: str, tmp_path: Path) -> None:
    at_end = json.loads((KEPT / version / "kept.json").read_text())
    folded, verified = fold_deployment(kept(version, tmp_path))
    assert (folded.problem, verified.first_problem) == (None, None)
    assert (verified.entries, verified.head.hash) == (at_end["entries"], at_end["head"])
    state = folded.reached
    assert str(state.position) == at_end["stage"]
    assert (len(state.commands), len(state.orders)) == (at_end["commands"], at_end["orders"])
    assert folded.versions == [version]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_kind_of_a_kept_version_is_read_with_each_field(version: str) -> None:
    lines = [json.loads(line) for line in (KEPT / version / "events.jsonl").read_text().splitlines()]
    assert len(lines) > 50
    for line in lines:
        body = json.loads(line["body"])
        found = event_codec.decode(line["kind"], line["body"].encode())
        assert json.loads(event_codec.encode(found)).items() >= body.items(), line["kind"]


@pytest.mark.parametrize("version", VERSIONS)
def test_settings_and_policies_of_a_kept_version_are_accepted(version: str, tmp_path: Path) -> None:
    directory = kept(version, tmp_path)
    settings = load_settings(directory)
    assert looser_places((directory / settings.policy).read_bytes()) == ()
    assert load_roster(directory / settings.roster).persons
    team = (KEPT / version / "team.json").read_bytes()
    assert canonical_bytes(parse_journalled(team)) == team
    assert digest(parse_journalled(team)) == json.loads((KEPT / version / "kept.json").read_text())["team"]


# A step back: this version is the older one, and the journal has what a newer one wrote.


def digest_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def appended(directory: Path, kind: str, body: dict[str, object]) -> Path:
    path = directory / "var" / "journal.db"
    journal = open_journal(path, load_settings(directory).controller_id)
    journal.append([Record(kind, json.dumps(body, sort_keys=True, separators=(",", ":")).encode())], LATER)
    journal.close()
    return path


STARTED = {"epoch": 9, "gatehouse_version": "9.9.9", "high_water": True, "unmarked": False, "witnesses": []}


def test_a_step_back_reads_what_a_newer_version_wrote_in_known_kinds(tmp_path: Path) -> None:
    directory = kept(VERSION, tmp_path)
    appended(directory, e.ControllerStarted.kind, STARTED)
    report = look(directory)
    assert report.folded is not None
    assert report.folded.problem is None
    assert report.folded.versions == [VERSION, "9.9.9"]


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("weather-noted", {"rain": True}, "unknown-event"),
        (e.ControllerStarted.kind, {**STARTED, "weather": "rain"}, "malformed-event"),
    ],
)
def test_a_step_back_stops_at_the_first_entry_it_does_not_know(
    tmp_path: Path, kind: str, body: dict[str, object], code: str
) -> None:
    directory = kept(VERSION, tmp_path)
    path = appended(directory, kind, body)
    before = digest_of(path)
    report = look(directory)
    assert report.folded is not None
    assert report.folded.problem is not None
    last = json.loads((KEPT / VERSION / "kept.json").read_text())["entries"] + 1
    assert (report.folded.problem.code, report.folded.at, report.ok) == (code, last, False)
    assert f"entry {last} cannot be read by {VERSION}" in next(row.found for row in report.rows if row.name == "journal")
    assert digest_of(path) == before


def test_a_step_back_refuses_a_file_of_a_newer_schema(tmp_path: Path) -> None:
    directory = kept(VERSION, tmp_path)
    path = directory / "var" / "journal.db"
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version = 3")
    connection.close()
    report = look(directory)
    assert not report.ok
    assert [row.verdict for row in report.rows if row.name == "journal"] == ["FAIL"]
