"""A desk whose owner moves money, and the command that accepts it. The tests of new baselines and transfers use it."""

from __future__ import annotations

from controller.core.decisions import rebaseline
from controller.core.decisions.draft import CommandReply
from exchange.ports import VenueName
from policies.authority import Verb
from tests.support.desk import Desk


def differ(desk: Desk, venue: VenueName, asset: str = "USDT", amount: str = "-20") -> Desk:
    """Let the owner move money, and read the account twice."""
    desk.owner_moves(venue, asset, amount)
    for _ in range(2):
        desk.pass_time(1_000)
        desk.sweep(venue)
    return desk


def shown(desk: Desk, venue: VenueName) -> str:
    """What a person would sign now. Raises ``Refused`` when nothing can be signed."""
    assert desk.state.policy is not None
    return rebaseline.subject_now(desk.state, desk.state.policy, venue, desk.seen(), desk.now)


def accept(desk: Desk, venue: VenueName, *signers: str) -> CommandReply:
    """Sign what the account shows now as the new baseline, and let the venue be read again."""
    reply = desk.ask(Verb.REBASELINE, shown(desk, venue), *(signers or ("alice",)))
    desk.pass_time(1_000)
    desk.sweep(venue)
    return reply
