"""What a bot believes from its private stream is what REST says, after every step: faults, restarts, halts, changes of stage.

The steps are those of ``test_core_invariants``. The gateway's hub, its sessions and the news of the journal are real; a socket and
the writer's thread are not.
"""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from controller.core import inputs as i
from controller.core.decisions.draft import Decision
from tests.simulation.test_core_invariants import Deployment, played
from tests.support.proofs import sizes
from tests.support.streamed_desk import BOT, OTHER, Controller


class Streamed(Deployment):
    """The deployment with two bots that listen to their private streams."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.controller: Controller | None = None

    def give(self, input_: i.Input) -> Decision:
        if self.controller is None:
            self.controller = Controller(self.desk, self.loop)
        decision = super().give(input_)
        if isinstance(input_, i.Boot):
            # The streams ended with the process; the bots find the new one.
            self.controller = Controller(self.desk, self.loop)
        else:
            self.controller.run(self.controller.commit(decision))
        return decision

    @invariant()
    def streams_say_what_rest_says(self) -> None:
        if self.controller is not None:
            self.controller.run(self.controller.check())

    @rule(bot=st.sampled_from((BOT, OTHER)))
    @precondition(lambda self: self.controller is not None)
    def a_bot_stops_reading(self, bot: str) -> None:
        assert self.controller is not None
        self.controller.sockets[bot].unread = True

    @rule(bot=st.sampled_from((BOT, OTHER)))
    @precondition(lambda self: self.controller is not None)
    def a_bot_reads_on(self, bot: str) -> None:
        assert self.controller is not None
        socket = self.controller.sockets[bot]
        socket.unread = False
        self.loop.call_soon(socket.read)

    def teardown(self) -> None:
        self.loop.close()
        super().teardown()


@pytest.mark.parametrize("examples", sizes(short=6, long=60))
def test_a_bot_that_trusts_its_stream_knows_what_rest_says(examples: int) -> None:
    played(Streamed, examples=examples, steps=60)
