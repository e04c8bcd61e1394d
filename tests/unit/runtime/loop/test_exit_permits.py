"""The writer grants the sale of a flatten its own permit, also while HALTED, and a halt takes it away at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.core import inputs as i
from controller.core.effects import Effect, PlaceExit
from exchange.model import Side
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.flattening import EVERY_MS, flatten, hold
from tests.support.shell import Shell, tick


@pytest.fixture(scope="module")
def selling() -> Desk:
    """HALTED, with a signed flatten whose venue has shown that it is empty."""
    desk = hold(Desk().walk_to(Stage.LIVE_EUR10), "0.00008")
    desk.give(i.HaltAsked("operator", "enough"))
    assert flatten(desk).code == ""
    desk.sweep_all()
    return desk


@pytest.fixture
def shell(selling: Desk, tmp_path: Path) -> Iterator[Shell]:
    made = Shell(selling.fork(), tmp_path / "journal.db")
    made.permits.latch("halted")
    made.clock.ns += 1_000
    yield made
    made.journal.close()


def sale_due(shell: Shell) -> None:
    shell.desk.pass_time(EVERY_MS)
    shell.clock.at = shell.desk.now
    shell.inbox.fact(tick(shell), shell.clock.monotonic_ns())


async def test_only_the_permit_of_the_sale_is_live_when_it_is_performed(shell: Shell) -> None:
    seen: list[tuple[bool, bool, bool]] = []

    def look(effect: Effect) -> None:
        if isinstance(effect, PlaceExit):
            own, other = shell.permits.exit_permit(effect.intent.client_id), shell.permits.exit_permit("another")
            seen.append((own.is_live(), other.is_live(), shell.permits.current().is_live()))

    shell.on_perform = look
    sale_due(shell)
    await shell.step()
    assert seen == [(True, False, False)]
    assert shell.permits.latched_because


async def test_the_sale_is_on_disk_before_it_is_performed(shell: Shell) -> None:
    kinds: list[str] = []
    shell.on_perform = lambda effect: kinds.extend(shell.kinds_on_disk()[-2:]) if isinstance(effect, PlaceExit) else None
    sale_due(shell)
    await shell.step()
    assert kinds == ["order-admitted", "flatten-sliced"]


async def test_a_halt_decided_in_the_same_batch_leaves_the_sale_without_a_permit(shell: Shell) -> None:
    """The tick is decided before the halt, as when the halt arrives during the append."""
    live: list[bool] = []
    shell.on_perform = lambda effect: (
        live.append(shell.permits.exit_permit(effect.intent.client_id).is_live()) if isinstance(effect, PlaceExit) else None
    )
    sale_due(shell)
    taken = await shell.inbox.take(1)
    answer = shell.ask(i.HaltAsked("operator", "stop selling"))
    shell.writer.step([*taken, *await shell.inbox.take(1)])
    assert (live, answer.done(), shell.writer.state.flatten) == ([False], True, None)


async def test_a_halt_revokes_the_permit_of_a_sale_that_is_under_way(shell: Shell) -> None:
    sale_due(shell)
    await shell.step()
    (place,) = [effect for effect in shell.performed if isinstance(effect, PlaceExit)]
    permit = shell.permits.exit_permit(place.intent.client_id)
    assert permit.is_live()
    asking = asyncio.ensure_future(shell.ask(i.HaltAsked("operator", "stop selling")))
    await shell.step()
    assert (permit.is_live(), (await asking).after.flatten) == (False, None)


async def test_a_failed_journal_takes_it_too(shell: Shell) -> None:
    sale_due(shell)
    await shell.step()
    (place,) = [effect for effect in shell.performed if isinstance(effect, PlaceExit)]
    permit = shell.permits.exit_permit(place.intent.client_id)
    shell.journal.close()
    shell.clock.at = shell.desk.now
    shell.inbox.fact(i.HaltCompleted("halt", 1, 1, 0, verified_empty=True), 0)
    await shell.step()
    assert shell.writer.failed_because
    assert not permit.is_live()


async def test_halted_a_bots_sale_leads_to_no_order_and_no_permit(shell: Shell) -> None:
    shell.ask(shell.desk.requested("0.00008", side=Side.SELL))
    await shell.step()
    assert shell.performed == []
    assert shell.kinds_on_disk()[-1] == "order-denied"
