"""What we knew of our orders at the testnet when we asked it, however many came since."""

import pytest

from controller.core.our_books import KEPT, Mark, OurBooks
from exchange.model import Millis

ASKED_AT = Millis(1_000)


def books(*at: int) -> OurBooks:
    """Books that grew by one order at each of these times; the last states of them are kept."""
    marks = tuple(Mark(Millis(when), number, f"digest-{number}") for number, when in enumerate(at, 1))
    return OurBooks(orders=len(at), marks=marks[-KEPT:])


@pytest.mark.parametrize(("at", "known"), [((), 0), ((500,), 1), ((1_000,), 0), ((500, 999, 1_000, 2_000), 2)])
def test_what_was_booked_before_we_asked_was_known(at: tuple[int, ...], known: int) -> None:
    assert books(*at).known_at(ASKED_AT) == known


def test_orders_that_came_after_we_asked_never_count() -> None:
    assert books(500, *(2_000 for _ in range(3 * KEPT))).known_at(ASKED_AT) <= 1


def test_orders_before_the_kept_states_count_beside_an_old_one() -> None:
    assert books(*(500 for _ in range(3 * KEPT)), 2_000).known_at(ASKED_AT) == 3 * KEPT
