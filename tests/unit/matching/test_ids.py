"""Order and trade ids: a venue with a name of its own gives ids that no other venue, and no earlier start, has given."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exchange.matching.registry import Registry

NAMES = st.text("0123456789abcdef", min_size=32, max_size=32)


@given(st.lists(NAMES, min_size=2, max_size=5, unique=True), st.integers(1, 10**6))
def test_venues_with_other_names_never_give_the_same_id(names: list[str], sequence: int) -> None:
    given_ids = {Registry(1, name).order_id(number) for name in names for number in (1, 2, sequence + 2)}
    assert len(given_ids) == 3 * len(names)


@given(NAMES, st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_name_gives_the_same_ids_at_every_start(name: str, sequence: int, seed: int) -> None:
    assert Registry(seed, name).order_id(sequence) == Registry(seed + 1, name).order_id(sequence)


@given(NAMES, st.integers(0, 10**9))
def test_an_id_has_the_form_of_mexc(name: str, sequence: int) -> None:
    assert len(Registry(1, name).order_id(sequence)) == len("C02__505979017439002624115")


def test_without_a_name_the_seed_decides() -> None:
    assert Registry(1).order_id(1) == Registry(1).order_id(1) != Registry(2).order_id(1)
