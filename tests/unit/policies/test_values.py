"""A changed copy is what dataclasses would have made, and the original stays as it was."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import DataSource, Millis
from gates.measure import Tally
from policies.values import replace

TALLY = Tally.begin(DataSource.LIVE, at=Millis(1), cap_eur=Decimal(10), accelerated=False)
NAMES = [item.name for item in dataclasses.fields(Tally)]


@dataclass(frozen=True, slots=True)
class Slotted:
    one: int
    two: int = 2


@dataclass(frozen=True)
class Checked:
    one: int

    def __post_init__(self) -> None:
        if self.one < 0:
            raise ValueError("less than nothing")


@given(st.dictionaries(st.sampled_from(NAMES), st.integers()))
def test_a_copy_equals_the_copy_of_dataclasses(changes: dict[str, Any]) -> None:
    before = dataclasses.replace(TALLY)
    assert replace(TALLY, **changes) == dataclasses.replace(TALLY, **changes)
    assert before == TALLY


def test_a_class_with_slots_is_copied_too() -> None:
    assert replace(Slotted(1), two=3) == Slotted(1, 3)


def test_an_unknown_field_is_refused_in_a_copy() -> None:
    with pytest.raises(TypeError, match="odrers"):
        replace(TALLY, odrers=1)  # type: ignore[call-arg]


def test_a_value_that_checks_itself_is_made_by_its_constructor() -> None:
    with pytest.raises(ValueError, match="less than nothing"):
        replace(Checked(1), one=-1)


def test_a_copy_is_as_frozen_as_the_original() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        replace(TALLY, orders=1).orders = 2  # type: ignore[misc]
