"""Each promise that the campaign watches can break: the entries of one rehearsal, each time with one thing spoiled."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from controller.cli.rehearse.parts import processes
from controller.core import events as e
from controller.core.fold.apply import apply
from controller.core.state import State
from controller.journal.chain import Entry
from controller.rehearsal.bots import load_bot
from controller.rehearsal.folder import Folder
from controller.rehearsal.run import rehearse
from controller.rehearsal.scene import Rehearsal, Script
from exchange.model import OrderStatus
from exchange.ports import VenueName
from policies.stage import Stage
from tests.support.campaign.promises import Promises
from tests.support.campaign.watching import Watch
from tests.support.rehearsing import bars

Seen = tuple[State, Entry, e.Event]


@dataclass
class Recording(Watch):
    """A watch that keeps what it saw."""

    entries: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def begin(self, rehearsal: Rehearsal) -> None:
        super().begin(rehearsal)
        self.folder = rehearsal.folder
        follow = self._others.entry

        def kept(before: State, entry: Entry, event: e.Event) -> None:
            self.entries.append((before, entry, event))
            follow(before, entry, event)

        self._others.entry = kept  # type: ignore[method-assign]

    @property
    def after(self) -> State:
        before, entry, event = self.entries[-1]
        return apply(before, event, entry.at)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    folder = tmp_path_factory.mktemp("promises")
    watch = Recording()
    script = Script(folder / "d", (bars(folder / "bars.csv"),), 0.02, 3, load_bot(None), Stage.VALIDATED)
    result = rehearse(script, processes(), on_built=watch.begin, on_ended=watch.end)
    assert (result.stage, watch.problems) == (Stage.VALIDATED.value, [])
    return watch


def broken(entries: Iterable[Seen]) -> list[str]:
    problems: list[str] = []
    promises = Promises(lambda kept, problem: None if kept else problems.append(problem), Counter())
    for before, entry, event in entries:
        promises.entry(before, entry, event)
        promises.batch(apply(before, event, entry.at))
    return problems


def spoiled(played: Recording, kind: type[Any], change: Callable[[Seen], Seen | list[Seen]], number: int = 0) -> list[str]:
    """What is broken when one event of a kind is changed."""
    places = [place for place, (_, _, event) in enumerate(played.entries) if isinstance(event, kind)]
    place = places[number]
    changed = change(played.entries[place])
    return broken([*played.entries[:place], *(changed if isinstance(changed, list) else [changed]), *played.entries[place + 1 :]])


def test_the_entries_as_they_are_break_nothing(played: Recording) -> None:
    assert broken(played.entries) == []


def test_an_entry_of_an_older_epoch_is_noticed(played: Recording) -> None:
    found = spoiled(played, e.OrderAdmitted, lambda one: (one[0], one[1]._replace(epoch=one[1].epoch - 1), one[2]))
    assert any(problem.startswith("10: entry") for problem in found)


def test_a_second_start_with_the_same_epoch_is_noticed(played: Recording) -> None:
    found: list[str] = []
    promises = Promises(lambda kept, problem: None if kept else found.append(problem), Counter())
    for _ in range(2):
        promises.started(None, played.entries[0][0])
        promises.entry(*played.entries[0])
    assert any(problem.startswith("10: a start") for problem in found)


def test_an_order_after_a_breach_is_noticed(played: Recording) -> None:
    found: list[str] = []
    promises = Promises(lambda kept, problem: None if kept else found.append(problem), Counter())
    before, entry, event = next(one for one in played.entries if isinstance(one[2], e.OrderAdmitted))
    breach = e.BreachDetected(guard="fees", level="halt", measured="2", threshold="1", message="too much", venue=VenueName.TESTNET)
    promises.entry(before, entry, breach)
    promises.entry(before, entry, event)
    assert any(problem.startswith("8:") for problem in found)


def test_a_start_that_ends_a_halt_is_noticed(played: Recording) -> None:
    found: list[str] = []
    promises = Promises(lambda kept, problem: None if kept else found.append(problem), Counter())
    halted = replace(played.after, position=replace(played.after.position, stage=Stage.HALTED))
    promises.started(halted, played.after)
    assert found
    assert found[0].startswith("8: a start ends the halt")


def test_a_command_with_too_few_persons_is_noticed(played: Recording) -> None:
    found = spoiled(played, e.CommandAccepted, lambda one: (*one[:2], one[2].model_copy(update={"persons": ()})))
    assert any(problem.startswith("9:") for problem in found)


def test_a_command_whose_gate_did_not_pass_is_noticed(played: Recording) -> None:
    def failed(one: Seen) -> Seen:
        result = one[2].result.replace('"PASS"', '"FAIL"')  # type: ignore[attr-defined]
        return (*one[:2], one[2].model_copy(update={"result": result}))

    assert any("with the verdict" in problem for problem in spoiled(played, e.CommandAccepted, failed, -1))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"from_stage": Stage.RAMPING}, "4: a move begins at"),
        ({"stage": Stage.RAMPING}, "4: no edge leads"),
        ({"command_id": "nobody"}, "4: nobody signed"),
    ],
)
def test_a_move_that_is_not_declared_or_not_signed_is_noticed(played: Recording, change: dict[str, Any], says: str) -> None:
    before, entry, event = next(one for one in played.entries if isinstance(one[2], e.StageChanged) and one[2].command_id)
    found: list[str] = []
    promises = Promises(lambda kept, problem: None if kept else found.append(problem), Counter())
    promises.entry(before, entry, event.model_copy(update=change))
    assert any(problem.startswith(says) for problem in found)


def test_a_trade_that_is_booked_twice_is_noticed(played: Recording) -> None:
    found = spoiled(played, e.FillBooked, lambda one: [one, one], -1)
    assert any("was booked twice" in problem for problem in found)


def test_books_that_do_not_follow_from_the_fills_are_noticed(played: Recording) -> None:
    before, entry, event = [one for one in played.entries if isinstance(one[2], e.FillBooked)][-1]
    assert isinstance(event, e.FillBooked)
    place = played.entries.index((before, entry, event))
    promises_found: list[str] = []
    promises = Promises(lambda kept, problem: None if kept else promises_found.append(problem), Counter())
    for one in played.entries[:place]:
        promises.entry(*one)
    promises.batch(before)
    promises.entry(before, entry, event.model_copy(update={"fee": event.fee + Decimal("0.01")}))
    promises.batch(apply(before, event, entry.at))
    assert any("baseline and fills give" in problem for problem in promises_found)


@pytest.mark.parametrize("change", [{"status": OrderStatus.UNKNOWN, "unknown_since": None}, {"status": OrderStatus.FILLED}])
def test_an_open_order_in_a_wrong_state_is_noticed(played: Recording, change: dict[str, Any]) -> None:
    after = next(state for state, _, _ in reversed(played.entries) if any(_untouched(state, one) for one in state.open))
    client_id = next(one for one in after.open if _untouched(after, one))
    found: list[str] = []
    promises = Promises(lambda kept, problem: None if kept else found.append(problem), Counter())
    promises.batch(replace(after, open=after.open.set(client_id, replace(after.open[client_id], **change))))
    assert any(problem.startswith("6:") for problem in found)


def _untouched(state: State, client_id: str) -> bool:
    order = state.open[client_id]
    return order.status is not OrderStatus.UNKNOWN and order.executed == order.booked == 0


class Ended:
    """The end of a rehearsal, once more."""

    def __init__(self, played: Recording) -> None:
        self.found: list[str] = []
        self._promises = Promises(lambda kept, problem: None if kept else self.found.append(problem), Counter())
        self._folder: Folder = played.folder

    def of(self, after: State | None) -> list[str]:
        self._promises.end(after, self._folder, {})
        return self.found


def test_a_state_that_a_replay_does_not_give_is_noticed(played: Recording) -> None:
    assert any(problem.startswith("5:") for problem in Ended(played).of(replace(played.after, order_number=0)))


def test_a_secret_in_a_file_is_noticed(played: Recording) -> None:
    leak = Path(played.folder.directory) / "rehearsal.leak"
    leak.write_text(f"the token is {played.folder.control_token}")
    try:
        assert any("a secret is in rehearsal.leak" in problem for problem in Ended(played).of(None))
    finally:
        leak.unlink()


def test_a_socket_to_another_machine_is_noticed(played: Recording) -> None:
    ended = Ended(played)
    sys.audit("socket.connect", None, ("192.0.2.1", 443))
    assert any(problem.startswith("12:") for problem in ended.of(None))


def test_a_quantity_that_did_not_trade_at_the_venue_is_noticed(played: Recording) -> None:
    found: list[str] = []
    promises = Promises(lambda kept, problem: None if kept else found.append(problem), Counter())
    for one in played.entries:
        promises.entry(*one)

    class NothingTraded:
        """A venue whose engine knows of no trade."""

        class venue:  # noqa: N801 - the venue's own attribute
            class engine:  # noqa: N801
                rules = ("BTCUSDT",)
                fills = staticmethod(lambda _name, _symbol: ())

    promises._against_the_venues({"testnet": NothingTraded()})  # type: ignore[dict-item]
    assert any("traded at testnet" in problem for problem in found)
