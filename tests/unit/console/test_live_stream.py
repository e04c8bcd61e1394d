from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from starlette.types import Message

from controller.console import stream as subject
from controller.console.limits import ConsoleLimits, TooMany
from controller.console.schema import EntryView, SampleView, StatusView
from controller.console.stream import LiveResponse, LiveStream
from exchange.errors import Refused
from tests.support.operator_port import FakePort, a_sample, a_status, an_entry


class Reader:
    """Reads one stream frame by frame."""

    def __init__(self, frames: AsyncIterator[bytes]) -> None:
        self._frames = frames

    async def frame(self) -> tuple[str, str]:
        """The next event's name and data; comments and ``retry`` have no name."""
        async with asyncio.timeout(5):
            text = (await anext(self._frames)).decode()
        fields = dict(line.split(": ", 1) for line in text.strip().split("\n") if not line.startswith(":"))
        assert text.endswith("\n\n")
        return fields.get("event", ""), fields.get("data", text)

    async def event(self) -> tuple[str, str]:
        """The next event that has a name."""
        while True:
            name, data = await self.frame()
            if name:
                return name, data


async def opened(port: FakePort, stream: LiveStream | None = None) -> Reader:
    reader = Reader(await (stream or LiveStream(port)).open())
    assert (await reader.event())[0] == "status"
    await port.joined.acquire()
    return reader


async def test_a_reader_gets_the_current_status_first() -> None:
    port = FakePort()
    reader = Reader(await LiveStream(port).open())
    assert (await reader.frame())[1].startswith("retry: ")
    name, data = await reader.frame()
    assert (name, StatusView.model_validate_json(data)) == ("status", port.view)


async def test_entries_and_samples_are_sent_at_once_and_in_order() -> None:
    port = FakePort()
    reader = await opened(port)
    for item in (an_entry(1841), a_sample(5), an_entry(1842)):
        port.publish(item)
    names, data = zip(*[await reader.event() for _ in range(3)], strict=True)
    assert names == ("entry", "sample", "entry")
    assert EntryView.model_validate_json(data[2]).seq == 1842
    assert SampleView.model_validate_json(data[1]).at == 5


async def test_a_burst_of_statuses_is_sent_as_the_latest_one() -> None:
    port = FakePort()
    reader = await opened(port)
    for number in range(50):
        port.publish(a_status(exposure_eur=Decimal(number)))
    name, data = await reader.event()
    assert (name, StatusView.model_validate_json(data).exposure_eur) == ("status", Decimal(49))


async def test_two_readers_see_the_same() -> None:
    port = FakePort()
    stream = LiveStream(port)
    readers = [await opened(port, stream), await opened(port, stream)]
    port.publish(an_entry(1841))
    first, second = [await reader.event() for reader in readers]
    assert first == second


async def test_a_silent_stream_sends_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "PING_INTERVAL_S", 0.01)
    reader = await opened(FakePort())
    assert (await reader.frame())[1].startswith(":")


async def test_the_stream_ends_when_the_controller_ends_the_subscription() -> None:
    port = FakePort()
    reader = await opened(port)
    port.publish(None)
    with pytest.raises(StopAsyncIteration):
        await reader.event()
    assert port.subscribers == []


async def test_closing_ends_every_reader_and_its_subscription() -> None:
    port = FakePort()
    stream = LiveStream(port)
    reader = await opened(port, stream)
    stream.close()
    with pytest.raises(StopAsyncIteration):
        await reader.event()
    assert port.subscribers == []


LIMITS = ConsoleLimits(readers=5, readers_per_address=2)


@pytest.mark.parametrize(("addresses", "status"), [("aa", 429), ("abcde", 503)], ids=["of one address", "of all together"])
async def test_the_number_of_readers_is_limited(addresses: str, status: int) -> None:
    stream = LiveStream(FakePort(), LIMITS)
    for address in addresses:
        await stream.open(address)
    with pytest.raises(TooMany, match="readers") as refused:
        await stream.open(addresses[-1])
    assert refused.value.status == status


async def test_a_reader_counts_before_it_reads_its_first_frame() -> None:
    stream = LiveStream(FakePort(), LIMITS)
    found = await asyncio.gather(*(stream.open("a") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(one, TooMany) for one in found) == 3


async def test_a_reader_that_never_read_leaves_its_place_when_it_is_closed() -> None:
    stream = LiveStream(FakePort(), ConsoleLimits(readers=1))
    await (await stream.open("a")).aclose()
    assert await stream.open("b")


async def test_a_reader_whose_first_status_fails_takes_no_place() -> None:
    port = FakePort(error=Refused("no", code="no", remedy="Wait."))
    stream = LiveStream(port, ConsoleLimits(readers=1))
    with pytest.raises(Refused):
        await stream.open("a")
    port.error = None
    assert await stream.open("a")


async def test_the_place_of_a_reader_that_ended_is_free() -> None:
    port = FakePort()
    stream = LiveStream(port, ConsoleLimits(readers=1))
    reader = await opened(port, stream)
    port.publish(None)
    with pytest.raises(StopAsyncIteration):
        await reader.event()
    assert await stream.open("a")


async def test_a_client_that_left_before_the_first_byte_takes_no_place() -> None:
    stream = LiveStream(FakePort(), ConsoleLimits(readers=1))

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def stuck(_: Message) -> None:
        await asyncio.Event().wait()

    response = LiveResponse(await stream.open("a"))
    async with asyncio.timeout(30):
        await response({"type": "http", "asgi": {"spec_version": "2.3"}}, gone, stuck)
    assert await stream.open("b")
