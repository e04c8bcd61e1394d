"""What the gateway answers about the market is read again as it was answered, and what was not recorded is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.runtime.replay import recording
from controller.runtime.replay.recording import AGAIN_MS, MarketRecording, Recorded
from exchange.model import Millis

PATH = "/api/v3/ticker/price"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000

    def __call__(self) -> Millis:
        return Millis(self.now)


class Scene:
    """One folder of recordings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.start()

    def start(self) -> None:
        """Begin to record, as a process does."""
        self.recording = MarketRecording(self.folder, self.clock)
        self.recording.open()

    def crash(self) -> None:
        """The process ends without a word."""
        if self.recording._file is not None:
            self.recording._file.close()

    def answer(self, at: int, body: bytes = b"{}", path: str = PATH, query: bytes = b"") -> None:
        self.clock.now = at
        self.recording.answered(path, query, 200, body)

    def read(self, since: int = 0, until: int = 10**9, now: int | None = None) -> tuple[list[dict[str, Any]], Any]:
        recorded = Recorded(self.folder, Millis(since), Millis(until), None if now is None else Millis(now))
        return [json.loads(line) for line in recorded], recorded.spans


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path / "served")
    yield scene
    scene.crash()


def test_an_answer_is_read_as_it_was_sent(scene: Scene) -> None:
    scene.answer(1_500, b'{"price":"60000.10"}', query=b"symbol=BTCUSDT")
    (answer,), _ = scene.read()
    assert answer == {"at": 1_500, "path": PATH, "query": "symbol=BTCUSDT", "status": 200, "body": {"price": "60000.10"}}


@given(st.binary(max_size=30), st.dictionaries(st.text(max_size=5), st.text(max_size=10)))
def test_no_query_and_no_body_breaks_a_line(tmp_path_factory: pytest.TempPathFactory, query: bytes, body: dict[str, str]) -> None:
    scene = Scene(tmp_path_factory.mktemp("r") / "served")
    scene.answer(1_500, json.dumps(body, indent=1).encode(), query=query)
    scene.answer(1_600)
    scene.crash()
    first, second = scene.read()[0]
    assert (first["query"].encode("latin-1"), first["body"], second["at"]) == (query, body, 1_600)


def test_what_goes_on_is_recorded_until_now(scene: Scene) -> None:
    scene.answer(1_500)
    assert scene.read(now=2_000)[1] == ((1_000, 2_000),)


def test_after_a_crash_nobody_knows_what_came_after_the_last_line(scene: Scene) -> None:
    scene.answer(1_500)
    scene.crash()
    scene.clock.now = 5_000
    scene.start()
    scene.answer(5_500)
    assert scene.read(now=6_000)[1] == ((1_000, 1_500), (5_000, 6_000))


def test_a_recording_that_was_closed_lasts_until_then(scene: Scene) -> None:
    scene.answer(1_500)
    scene.clock.now = 1_900
    scene.recording.close()
    assert scene.read()[1] == ((1_000, 1_900),)


def test_a_file_that_a_crash_cut_keeps_its_whole_lines(scene: Scene) -> None:
    scene.answer(1_500, b'{"price":"1"}')
    scene.answer(1_600, b'{"price":"2"}')
    (path,) = scene.folder.iterdir()
    path.write_bytes(path.read_bytes()[:-6])
    answers, spans = scene.read()
    assert ([one["at"] for one in answers], spans) == ([1_500], ((1_000, 1_500),))


def test_damage_ends_a_file_and_not_the_reading(scene: Scene) -> None:
    scene.answer(1_500)
    (path,) = scene.folder.iterdir()
    path.write_bytes(path.read_bytes()[:-6] + b"\xff" * 64)
    scene.crash()
    scene.clock.now = 2_000
    scene.start()
    scene.answer(2_500)
    assert [one["at"] for one in scene.read()[0]] == [2_500]


def test_only_the_time_that_is_asked_for_is_read(scene: Scene) -> None:
    for at in (1_100, 1_200, 1_300, 1_400):
        scene.answer(at)
    assert [one["at"] for one in scene.read(1_200, 1_300)[0]] == [1_200, 1_300]


def test_files_that_ended_before_are_not_opened(scene: Scene) -> None:
    scene.answer(1_500)
    (path,) = scene.folder.iterdir()
    scene.crash()
    scene.clock.now = 2_000
    scene.start()
    path.write_bytes(b"")
    assert scene.read(since=2_000, now=2_500)[1] == ((2_000, 2_500),)


def test_the_oldest_files_make_room(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "FILE_MOST", 300)
    monkeypatch.setattr(recording, "ALL_MOST", 1_200)
    for at in range(1_000, 1_400):
        scene.answer(at, json.dumps({"price": str(at * at)}).encode())
    sizes = [path.stat().st_size for path in scene.folder.iterdir()]
    answers, spans = scene.read()
    assert sum(sizes) <= 1_200 + 300
    assert answers[-1]["at"] == 1_399
    assert answers[0]["at"] > 1_000
    assert all(one[1] == other[0] for one, other in pairwise(spans))


def test_a_disk_that_takes_nothing_fails_no_request(tmp_path: Path) -> None:
    (tmp_path / "served").touch()
    scene = Scene(tmp_path / "served")
    scene.answer(1_500)
    (tmp_path / "served").unlink()
    scene.answer(1_000 + AGAIN_MS - 1)
    assert not scene.folder.exists()
    scene.answer(1_500 + AGAIN_MS)
    scene.crash()
    assert scene.read()[1] == ((1_500 + AGAIN_MS, 1_500 + AGAIN_MS),)


def test_others_cannot_read_it(scene: Scene) -> None:
    assert {path.stat().st_mode & 0o077 for path in (scene.folder, *scene.folder.iterdir())} == {0}


def test_without_a_recording_there_is_nothing(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path / "served", Millis(0), Millis(10))
    assert (list(recorded), recorded.spans) == ([], ())
