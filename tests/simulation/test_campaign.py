"""Generated sequences of requests, venue faults, restarts and halts: the invariants hold by the venue's own books.

``make campaign`` plays 100,000 of them. Here are two shorter campaigns, and the proof that a campaign finds what is broken.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.support.campaign.mutants import MUTANTS, Change, applied
from tests.support.campaign.run import Tally, part, played, shortened, walk
from tests.support.campaign.steps import Step, drawn
from tests.support.counting import Counted
from tests.support.proofs import proven, sizes

SEED = 5
MUTANT_SEED, WITHIN = 4, 300
LIVE = 3
BUY: Step = ("order", ("BUY", 0, 9, -5, "", ("ack", 0, 0, 0)))

pytestmark = pytest.mark.timeout(1_200)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A mutant's errors are what is looked for, and the log would be full of them."""
    walk()
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("sequences", sizes(short=1_000, long=5_000))
def test_every_invariant_holds_by_the_venues_own_books(sequences: int, counted: Counted) -> None:
    tally = part(SEED, range(sequences))
    assert not tally.failures, "\n".join(failure.text() for failure in tally.failures)
    assert tally.unreached() == [], "the campaign does not reach what it is for"
    counted("sequences", tally.sequences)


def test_every_change_that_breaks_the_product_can_still_be_made() -> None:
    # Each is code that was changed as text; the campaign that plays it is a long proof.
    assert all(change.code() != change.function.__code__ for mutant in MUTANTS.values() for change in mutant)


@pytest.mark.parametrize(
    "mutant",
    proven(
        MUTANTS,
        short=[
            "orders that were not answered yet do not count in the exposure",
            "an order is sent again after a time-out",
            "the latch revokes no permit",
            "a trade told under two ids is booked twice",
            "a reading counts as new whatever it shows",
            "a trade counts as new whatever its date",
        ],
    ),
)
def test_a_campaign_finds_a_broken_product(mutant: tuple[Change, ...]) -> None:
    with applied(mutant):
        tally = part(MUTANT_SEED, range(WITHIN), shortens=False, stops=True)
    assert tally.failures, f"{WITHIN} sequences do not notice it"


def test_the_same_seed_gives_the_same_sequences() -> None:
    assert drawn(7, 12) == drawn(7, 12)
    assert drawn(7, 12) != drawn(7, 13)
    first, second = part(7, range(20)), part(7, range(20))
    assert first.reached == second.reached


def test_a_failure_is_shortened_to_the_steps_it_needs() -> None:
    noise: list[Step] = [("wait", (60,)), ("move", (3,)), ("heal", ()), ("cancel", (0, True))]
    with applied(MUTANTS["orders that were not answered yet do not count in the exposure"]):
        steps = [*noise, BUY, BUY, *noise]
        _, message = played(LIVE, steps)
        assert message.startswith("invariant 2")
        short = shortened(LIVE, steps, message)
    assert all(step == BUY for step in short), short
    assert len(short) == 2


def test_a_campaign_that_reaches_too_little_says_what_it_missed() -> None:
    tally = Tally()
    tally.add(part(SEED, range(1)))
    assert "cap: more than 90 % used" in tally.unreached() or "halt: breach" in tally.unreached()
