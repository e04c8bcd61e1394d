"""The collector of cycles while a process answers orders."""

import gc
import weakref

from controller.runtime.loop.collector import few_collections


class Cycle:
    def __init__(self) -> None:
        self.me = self


def test_what_existed_before_is_left_out_of_a_full_collection() -> None:
    old = [[] for _ in range(10_000)]
    with few_collections(5_000):
        looked_at = len(gc.get_objects())
        assert gc.get_freeze_count() > len(old)
    assert looked_at < len(old)
    assert gc.get_freeze_count() == 0


def test_garbage_that_is_made_inside_is_still_collected() -> None:
    with few_collections(1_000):
        gone = weakref.ref(Cycle())
        kept = [[] for _ in range(2_000)]
        assert kept
        assert gone() is None


def test_the_thresholds_are_as_before_at_the_end() -> None:
    before = gc.get_threshold()
    with few_collections(before[0] + 1):
        assert gc.get_threshold()[0] == before[0] + 1
    assert gc.get_threshold() == before
