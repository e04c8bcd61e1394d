"""Computes the statistics of a run in a process of its own, for ``controller.runtime.statistics``.

numpy, scipy and arch take seconds to load and some 170 MB, and they keep the interpreter busy meanwhile. In the controller's own
process a halt could wait for that. The process gets the series on its standard input, prints the figures, and ends. It is the
least urgent one of the machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from contextlib import suppress
from decimal import Decimal

from controller.core import state_codec
from gates.computed import Statistic
from gates.series import RunSeries
from policies.rules import MetricName
from policies.schema import Performance

Found = tuple[tuple[Statistic, ...], str]
"""The figures of a series and the digest of the series."""

ANSWER_MOST = 1_000_000
"""Bytes of an answer: some fifty times those of a real one."""

_NICE = 10
_PROBLEM_MOST = 300
_COMPLAINT_MOST = 10_000
_PIECE = 65_536
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class FiguresFailed(Exception):
    """The process printed no figures; the text is the last line that it left."""


async def in_a_process(series: RunSeries, performance: Performance | None, covered_ms: int) -> Found:
    """Compute beside the controller. Raises ``FiguresFailed``. When this is cancelled, the process is killed."""
    question = {
        "series": state_codec.write(RunSeries, series),
        "performance": None if performance is None else performance.model_dump(mode="json"),
        "covered_ms": covered_ms,
    }
    process = await asyncio.create_subprocess_exec(
        # -P: the directory that the controller was started in is no place to import from.
        *(sys.executable, "-P", "-m", "controller.runtime.figures_process"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        # More threads of the linear algebra would not be quicker, only less urgent work for every core.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    try:
        answer, problem = await _asked(process, json.dumps(question).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if len(answer) > ANSWER_MOST:
        raise FiguresFailed(f"it printed more than {ANSWER_MOST:,} bytes")
    if process.returncode != 0:
        lines = problem.decode(errors="replace").strip().splitlines()
        raise FiguresFailed((lines[-1] if lines else f"it ended with exit code {process.returncode}")[:_PROBLEM_MOST])
    try:
        return _read(json.loads(answer))
    except (ValueError, ArithmeticError, TypeError, KeyError, RecursionError) as error:
        raise FiguresFailed(f"its answer cannot be read: {type(error).__name__}") from error


async def _asked(process: asyncio.subprocess.Process, question: bytes) -> tuple[bytes, bytes]:
    """What it printed, and the beginning of what it complained about. It is killed when it prints too much."""
    assert process.stdin is not None, "it was started with pipes"
    assert process.stdout is not None
    assert process.stderr is not None
    writing = asyncio.create_task(_write(process.stdin, question))
    complaining = asyncio.create_task(_last(process.stderr))
    try:
        answer = bytearray()
        while len(answer) <= ANSWER_MOST and (more := await process.stdout.read(_PIECE)):
            answer += more
        if len(answer) > ANSWER_MOST:
            process.kill()
        await process.wait()
        return bytes(answer), await complaining
    finally:
        for task in (writing, complaining):
            task.cancel()
        await asyncio.gather(writing, complaining, return_exceptions=True)


async def _write(pipe: asyncio.StreamWriter, question: bytes) -> None:
    # One that has ended already says why on its standard error.
    with suppress(BrokenPipeError, ConnectionResetError):
        pipe.write(question)
        await pipe.drain()
    pipe.close()


async def _last(pipe: asyncio.StreamReader) -> bytes:
    """The end of what comes through a pipe."""
    last = b""
    while more := await pipe.read(_PIECE):
        last = (last + more)[-_COMPLAINT_MOST:]
    return last


def _read(answer: dict[str, object]) -> Found:
    rows, digest = answer["figures"], answer["digest"]
    if not isinstance(rows, list) or not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ValueError("it is no answer of this file")
    figures = tuple(
        Statistic(MetricName(name), None if value is None else Decimal(value), int(samples), str(detail))
        for name, value, samples, detail in rows
    )
    if len({one.name for one in figures}) != len(figures):
        raise ValueError("it has a figure twice")
    return figures, digest


def answered(question: bytes) -> bytes:
    """The answer to one question, both as JSON."""
    from gates.figures import figures

    asked = json.loads(question)
    series = state_codec.read(RunSeries, asked["series"])
    performance = None if asked["performance"] is None else Performance.model_validate_json(json.dumps(asked["performance"]))
    found = figures(series, performance, asked["covered_ms"])
    rows = [[one.name.value, None if one.value is None else format(one.value, "f"), one.samples, one.detail] for one in found]
    return json.dumps({"digest": series.digest(), "figures": rows}).encode()


if __name__ == "__main__":
    os.nice(_NICE)
    sys.stdout.buffer.write(answered(sys.stdin.buffer.read()))
