"""What Prometheus reads, and what it costs the writer's thread."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import AsyncIterator

import httpx
import pytest
from opentelemetry.sdk.resources import Resource
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.routing import Route

from controller.runtime.loop.clock import SystemClock
from controller.telemetry import instruments
from controller.telemetry.book import MOST_DURATIONS, Book
from controller.telemetry.instruments import INSTRUMENTS, Kind
from controller.telemetry.meters import Meters
from controller.telemetry.redact import Redactor
from controller.telemetry.scrape import Scrape

CANARY = "canary-9f27c1e5d0"


def redactor() -> Redactor:
    made = Redactor()
    made.register(CANARY)
    return made


@pytest.fixture
async def meters() -> AsyncIterator[Meters]:
    made = Meters(Book(SystemClock()), redactor(), Resource.get_empty, otlp=False)
    yield made
    await made.aclose()


async def samples(meters: Meters) -> dict[tuple[str, ...], float]:
    text, _ = await meters.text("")
    families = text_string_to_metric_families(text.decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_names_follow_the_conventions() -> None:
    for one in INSTRUMENTS:
        assert one.name.startswith("gatehouse.")
        assert one.name == one.name.lower()
        assert one.unit == "s" or (one.unit.startswith("{") and one.unit.endswith("}"))
        assert one.description.endswith(".")
        assert all(len(labels) == len(one.labels) for labels in one.zeros)
    assert len({one.name for one in INSTRUMENTS}) == len(INSTRUMENTS)


async def test_counts_and_durations_arrive(meters: Meters) -> None:
    meters.book.add(instruments.ORDERS_DENIED, "cap", amount=2)
    meters.book.add(instruments.ORDERS_DENIED, "cap")
    meters.book.took(instruments.APPENDING, 3_000_000)
    found = await samples(meters)
    assert found["gatehouse_order_denied_total", "cap"] == 3
    assert found["gatehouse_journal_append_duration_seconds_sum",] == 0.003
    assert found["gatehouse_halt_total", "breach"] == 0


async def test_durations_that_nobody_collects_are_dropped_and_counted(meters: Meters) -> None:
    for _ in range(MOST_DURATIONS + 7):
        meters.book.took(instruments.DECIDING, 1_000)
    found = await samples(meters)
    assert found["gatehouse_decision_duration_seconds_count",] == MOST_DURATIONS
    assert found["gatehouse_telemetry_lost_total",] == 7


def test_durations_that_nobody_collects_take_little_memory() -> None:
    book, outcomes = Book(SystemClock()), ("ACKED", "REJECTED")
    tracemalloc.start()
    for number in range(MOST_DURATIONS):
        book.took(instruments.ORDER_ANSWERED, 1_000_000 + number, outcomes[number % 2])
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used / MOST_DURATIONS < 60
    taken = list(book.durations())
    assert taken[:2] == [(instruments.ORDER_ANSWERED, 0.001, ("ACKED",)), (instruments.ORDER_ANSWERED, 0.001000001, ("REJECTED",))]
    assert len(taken) == MOST_DURATIONS


async def test_a_registered_secret_is_in_no_label(meters: Meters) -> None:
    meters.book.add(instruments.ORDERS_DENIED, f"rule {CANARY}")
    text, _ = await meters.text("")
    assert b"gatehouse_order_denied_total" in text
    assert CANARY.encode() not in text


async def test_the_text_is_made_on_another_thread(meters: Meters) -> None:
    threads = set()
    meters.book.watch(lambda: threads.add(threading.get_ident()))
    await meters.text("")
    assert threads
    assert threading.get_ident() not in threads


async def test_many_scrapers_cost_one_collection(meters: Meters) -> None:
    reads = []
    meters.book.watch(lambda: reads.append(1))
    await meters.text("")
    texts = await asyncio.gather(*(meters.text("") for _ in range(50)))
    assert len({text for text, _ in texts}) == 1
    assert len(reads) == 1


async def test_a_scrape_answers_in_the_form_that_is_asked_for(meters: Meters) -> None:
    refreshed = []
    scrape = Scrape(meters, lambda: refreshed.append(1))
    app = Starlette(routes=[Route("/metrics", scrape.show)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        plain = await client.get("/metrics")
        opened = await client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
        posted = await client.post("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert opened.headers["content-type"].startswith("application/openmetrics-text")
    assert opened.text.endswith("# EOF\n")
    assert posted.status_code == 405
    assert len(refreshed) == 2


def test_counting_loads_no_sdk() -> None:
    text = "import sys, controller.runtime.followers.counting, controller.telemetry.meters\n"
    text += "print([name for name in sys.modules if name.startswith(('opentelemetry', 'prometheus_client'))])"
    done = subprocess.run((sys.executable, "-c", text), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_kind_is_declared() -> None:
    assert {one.kind for one in INSTRUMENTS} == set(Kind)
