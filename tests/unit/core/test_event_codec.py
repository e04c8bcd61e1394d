"""orjson and the general way give the same bytes, for every kind of event and whatever is in it."""

from __future__ import annotations

import tracemalloc
import types
from decimal import Decimal
from enum import Enum
from typing import Any, Union, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from controller.core import event_codec
from controller.core import events as e
from controller.core.event_codec import encode
from exchange.errors import IntegrityError
from exchange.model import OrderStatus
from exchange.ports import VenueName
from policies import canonical
from policies.stage import Environment, Stage
from tests.support.desk import Desk
from tests.support.tries import tries

SAFE = canonical.MAX_SAFE_INTEGER
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(),
    int: st.integers(-SAFE, SAFE),
    bool: st.booleans(),
    type(None): st.none(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type."""
    if kind in PLAIN:
        return PLAIN[kind]
    if hasattr(kind, "__supertype__"):
        return values(kind.__supertype__)
    if hasattr(kind, "__metadata__"):
        return values(kind.__origin__)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return instances(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        return st.one_of([values(one) for one in arguments])
    if origin is tuple and Ellipsis not in arguments:
        return st.tuples(*map(values, arguments))
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    assert origin is dict
    return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=4)


def instances(kind: type[BaseModel]) -> st.SearchStrategy[Any]:
    fields = {name: values(item.annotation) for name, item in kind.model_fields.items()}
    return st.fixed_dictionaries(fields).map(lambda found: kind.model_construct(**found))


def general(event: e.Event) -> bytes:
    """The canonical encoder's bytes, without the fields that are left out where they have their usual value."""
    usual = event_codec.BRIEF.get(type(event), {})
    return canonical.encode(event.model_dump(mode="json", exclude={name for name in usual if getattr(event, name) == usual[name]}))


@settings(max_examples=tries(400))
@given(st.one_of([instances(kind) for kind in e.Event.__subclasses__()]))
def test_orjson_and_the_canonical_encoder_give_the_same_bytes(event: e.Event) -> None:
    assert encode(event) == general(event)


@pytest.mark.parametrize("text", ['\0\x1f\b\t\n\f\r"\\/\x7f', "LIVE_€10", "\u2028\ue000\U0001f600", "</script>"])
def test_every_text_is_escaped_as_in_rfc_8785(text: str) -> None:
    event = e.Disarmed(reason=text)
    assert encode(event) == canonical.encode({"reason": text})


def test_names_outside_ascii_are_sorted_as_in_rfc_8785() -> None:
    totals = {"\ue000": Decimal(1), "\U0001f600": Decimal(2), "BTC": Decimal("0.10")}
    event = e.BalancesBaselined(venue=VenueName.MOCK, totals=totals, known_trades=(), cursor=0)
    assert encode(event) == canonical.encode(event.model_dump(mode="json"))


def test_integers_up_to_2_53_are_written() -> None:
    for cursor in (SAFE, -SAFE):
        event = e.BalancesBaselined(venue=VenueName.MOCK, totals={}, known_trades=(), cursor=cursor)
        assert b'{"cursor":%d,' % cursor in encode(event)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize(
    "changed",
    [
        {"cursor": SAFE + 1},
        {"cursor": -SAFE - 1},
        {"cursor": 2**64},
        {"known_trades": ("\ud800",)},
        {"cursor": 1.5},
        {"known_trades": (1.5,)},
    ],
)
def test_values_without_a_canonical_form_are_refused(changed: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"venue": VenueName.MOCK, "totals": {}, "known_trades": (), "cursor": 0} | changed
    event = e.BalancesBaselined.model_construct(**fields)
    with pytest.raises(IntegrityError):
        encode(event)


def test_a_deployment_s_events_read_back_as_they_were() -> None:
    for event, _ in Desk().walk_to(Stage.VALIDATED).journal:
        assert encode(event) == general(event)
        assert event_codec.decode(event.kind, encode(event)) == event


def test_a_body_that_is_kept_takes_no_more_memory_than_its_bytes() -> None:
    event = next(event for event, _ in Desk().walk_to(Stage.VALIDATED).journal if isinstance(event, e.Sampled))
    tracemalloc.start()
    bodies = [encode(event) for _ in range(200)]
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used / len(bodies) < len(bodies[0]) + 100


def test_an_enum_is_written_as_its_value() -> None:
    event = e.OrderReported(
        client_id="a", order_id="b", status=OrderStatus.FILLED, executed=Decimal("1E-7"), executed_quote=Decimal(0)
    )
    assert b'"status":"FILLED"' in encode(event)
    assert b'"executed":"0.0000001"' in encode(event)


FIRST = e.DeploymentCreated(
    controller_id="desk", environment=Environment.REHEARSAL, gatehouse_version="0.1.0", vocabulary=e.VOCABULARY
)


def first_entry(**changes: Any) -> bytes:
    """The body of a first entry with other values; ``None`` leaves a value out."""
    document = {**FIRST.model_dump(mode="json"), **changes}
    return canonical.encode({name: value for name, value in document.items() if value is not None})


def test_the_first_entry_of_a_journal_names_its_vocabulary() -> None:
    desk = Desk()
    desk.boot()
    first = desk.journal[0][0]
    assert isinstance(first, e.DeploymentCreated)
    assert first.vocabulary == e.VOCABULARY
    assert event_codec.decode(first.kind, encode(first)) == first


@pytest.mark.parametrize(("vocabulary", "named"), [(None, 1), (1, 1), (e.VOCABULARY + 1, e.VOCABULARY + 1)])
def test_a_first_entry_in_another_vocabulary_is_refused(vocabulary: int | None, named: int) -> None:
    with pytest.raises(IntegrityError) as refused:
        event_codec.decode(FIRST.kind, first_entry(vocabulary=vocabulary))
    assert refused.value.code == "other-vocabulary"
    assert refused.value.message == f"this journal was written in vocabulary {named}; this version reads {e.VOCABULARY}"
    assert "version of gatehouse that wrote it" in refused.value.remedy


@pytest.mark.parametrize("body", [b"no JSON", b"[]", b"{}x"])
def test_a_first_entry_that_is_no_document_is_malformed(body: bytes) -> None:
    with pytest.raises(IntegrityError) as refused:
        event_codec.decode(FIRST.kind, body)
    assert refused.value.code == "malformed-event"
