"""At HALTED ``status`` and ``explain halt`` list what helps first, as commands that can be pasted."""

from __future__ import annotations

from pathlib import Path

from controller.cli.show.ways_out_view import pasteable, way_out_lines
from controller.console.flatten import WayOutView
from policies.authority import Verb


def way(verb: Verb, refused: str = "", persons: int = 1) -> WayOutView:
    return WayOutView(
        verb=verb,
        target="MOCK",
        persons_needed=persons,
        cooling_off_ms=0,
        gate="",
        refused=refused,
        remedy="Wait." if refused else "",
        since_ms=None,
        command=f"gatehouse {verb.value}{' --key KEY' * persons} --reason …",
    )


def test_open_ways_come_first_in_the_order_in_which_they_help(tmp_path: Path) -> None:
    ways = way(Verb.RESUME, "it stands"), way(Verb.RESET), way(Verb.FLATTEN), way(Verb.REBASELINE)
    lines = [line.plain for line in way_out_lines(ways, tmp_path)]
    assert [line.split()[:2] for line in lines] == [["1.", "rebaseline"], ["2.", "flatten"], ["3.", "reset"], ["–", "resume"]]
    assert lines[3].endswith("it stands. Wait.")


def test_a_command_names_the_key_files_and_the_folder_of_the_deployment(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    for name in ("alice", "bob"):
        (tmp_path / "keys" / f"{name}.key").touch()
    command = "gatehouse resume --key KEY --key KEY --key KEY --reason …"
    keys = f"--key {tmp_path}/keys/alice.key --key {tmp_path}/keys/bob.key --key KEY"
    assert pasteable(command, tmp_path) == f"gatehouse resume {keys} --reason … --dir {tmp_path}"


def test_a_command_without_key_files_in_its_own_folder_stays_as_it_is() -> None:
    assert pasteable("gatehouse reset --key KEY --reason …", Path()) == "gatehouse reset --key KEY --reason …"
