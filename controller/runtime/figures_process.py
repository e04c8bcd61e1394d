"""Computes the statistics of a run in a process of its own, for ``controller.runtime.statistics``.

numpy, scipy and arch take seconds to load and some 170 MB, and they keep the interpreter busy meanwhile. In the controller's own
process a halt could wait for that. The process gets the series on its standard input, prints the figures, and ends. It is the
least urgent one of the machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from decimal import Decimal

from controller.core import state_codec
from gates.computed import Statistic
from gates.series import RunSeries
from policies.rules import MetricName
from policies.schema import Performance

Found = tuple[tuple[Statistic, ...], str]
"""The figures of a series and the digest of the series."""

_NICE = 10
_PROBLEM_MOST = 300


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
        *(sys.executable, "-m", "controller.runtime.figures_process"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        # More threads of the linear algebra would not be quicker, only less urgent work for every core.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    try:
        answer, problem = await process.communicate(json.dumps(question).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        lines = problem.decode(errors="replace").strip().splitlines()
        raise FiguresFailed((lines[-1] if lines else f"it ended with exit code {process.returncode}")[:_PROBLEM_MOST])
    return _read(json.loads(answer))


def _read(answer: dict[str, object]) -> Found:
    rows = answer["figures"]
    assert isinstance(rows, list), "the answer of this very file"
    figures = (
        Statistic(MetricName(name), None if value is None else Decimal(value), int(samples), detail)
        for name, value, samples, detail in rows
    )
    return tuple(figures), str(answer["digest"])


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
