"""The cancel-all of a campaign's shell: ``controller.runtime.venues.cancel_all`` as entries of the world's queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.core import inputs as i
from controller.core.order_state import IN_FLIGHT
from controller.runtime.venues.cancel_all import CONFIRM_AFTER_S, RETRY_AFTER_MOST_S, RETRY_AFTER_S, trades_on
from exchange.ports import VenueName
from policies.stage import Stage

if TYPE_CHECKING:
    from tests.support.campaign.world import World

_MS = 1_000


class Emptying:
    """One cancel-all of one venue. ``again``: another one was asked for meanwhile."""

    def __init__(self, world: World, name: VenueName) -> None:
        self._world, self._name = world, name
        self._cancelled = self._shown_empty = self.ended = self.again = False
        self._pause = RETRY_AFTER_S
        world.later(14, self._try)

    def _try(self) -> None:
        world, venue = self._world, self._world.venues[self._name]
        if self._cancelled and trades_on(world.state, self._name):
            self._end(proven=False)
            return
        quiet = not any(order.status in IN_FLIGHT for order in world.state.open_on(self._name))
        if venue.is_down(world.now):
            world.reached["cancel-all: no answer"] += 1
            self._wait()
            return
        if not (self._shown_empty and quiet):
            venue.cancel_all(world.now)
            self._cancelled = True
        listed, _, _ = venue.account(world.now)
        if listed:
            self._shown_empty = False
            self._wait()
        elif self._shown_empty and quiet:
            self._end(proven=True)
        else:
            self._shown_empty, self._pause = True, RETRY_AFTER_S
            world.later(int(CONFIRM_AFTER_S * _MS), self._try)

    def _wait(self) -> None:
        self._world.later(int(self._pause * _MS), self._try)
        self._pause = min(2 * self._pause, RETRY_AFTER_MOST_S)

    def _end(self, *, proven: bool) -> None:
        self.ended = True
        world = self._world
        world.reached["cancel-all: proven empty" if proven else "cancel-all: trades again"] += 1
        if proven and world.state.position.stage is Stage.HALTED:
            world.give(i.HaltCompleted(str(world.state.halt_cause), 1, 1, 0, verified_empty=True))
        elif self.again and not proven:
            world.emptying[self._name] = Emptying(world, self._name)
